"""The command import-legacy, as an administrator runs it (docs/migration.md)."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.support.cli import WAIT_SECONDS, Cli
from tests.support.databases import created_database
from tests.support.imports import command
from tests.support.legacy import DOMAIN, LAST_TOKENS, REALM
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.embedded import EmbeddedPostgres
    from tests.support.legacy import Legacy

    Make = Callable[..., Legacy]

PASSWORD = "geheim-1234"
HEAD = "kind                read  taken  changed  refused"


@pytest.fixture
def cli(tmp_path: Path, database_url: str, database: Database) -> Cli:  # noqa: ARG001 - emptied
    return command(tmp_path, database_url)


@pytest.fixture
def old(make_legacy: Make) -> Legacy:
    """An old system with a user and a phone, and one of which nothing can be made."""
    old = make_legacy(LAST_TOKENS)
    admins = old.group("administrators", permission__application__superadmin="ENABLE")
    old.user("superadmin", groups=[admins])
    user = old.user("200", "2000", groups=[admins])
    old.user("two\nwords\x1b[31m")
    old.line(old.phone(MAC, device_version_id="polycom4.0.X"), user)
    return old


def test_it_is_said_what_would_be_and_then_done(
    system: System, cli: Cli, old: Legacy, tmp_path: Path
) -> None:
    before = system.dump()
    said = cli.ok("import-legacy", old.url)
    lines = said.splitlines()
    assert lines[0] == "A sipXconfig of release 4.4.0 (schema version 12)."
    assert HEAD in lines
    assert "users               3     2      0        1" in lines
    assert "PINs of users clear: 0, token: 2, none: 0." in lines
    assert "Refused users, invalidValue (1):" in lines
    assert r"  two\u000awords\u001b[31m (number " in said.replace(r"\n", r"\u000a")
    assert lines[-1] == "Nothing was changed. --apply does it."
    assert system.dump() == before

    file = tmp_path / "report.json"
    said = cli.ok("import-legacy", old.url, "--apply", "--report", str(file))
    assert said.splitlines()[-1] == "All of it is taken over."
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["applied"] is True
    assert report["source"] == {
        "release": "4.4.0",
        "schema": 12,
        "domain": DOMAIN,
        "realm": REALM,
        "aliases": [],
    }
    assert report["kinds"]["users"] == {"read": 3, "taken": 2, "changed": 0, "refused": 1}
    assert [each["name"] for each in report["findings"]] == ["two\nwords\x1b[31m"]
    assert system.user_names() == ["200", "superadmin"]
    assert system.jobs() == [("profiles", MAC)]
    # Nobody's PIN is in what was said.
    assert "argon2" not in said + file.read_text(encoding="utf-8")
    audited = "SELECT operation || ' ' || array_to_string(entities, ', ') FROM audit_log"
    assert system.scalar(audited) == "import-legacy users: 2, phones: 1"
    assert {line.split()[0] for line in cli.ok("doctor").splitlines()} == {"ok"}
    assert "token" not in cli.ok("profile", MAC)

    said = cli.fails("import-legacy", old.url, "--apply")
    assert said.startswith("The target is not empty (users: 1, phones: 1).")
    assert said.endswith("Nothing was changed.")
    said = cli.ok("import-legacy", old.url, "--apply", "--merge", "--no-profiles")
    assert "users               3     0      0        3" in said.splitlines()


def test_a_source_that_is_none_is_one_sentence(cli: Cli, database_url: str) -> None:
    said = cli.fails("import-legacy", database_url)
    assert said == "The source is not a database of sipXconfig. Nothing was changed."
    url = sa.make_url(database_url).set(password=PASSWORD, host="127.0.0.1", port=1)
    for wrong in (url, url.set(host="no.such.host.invalid")):
        said = cli.fails("import-legacy", wrong.render_as_string(hide_password=False))
        assert said.startswith("The source cannot be read: ")
        assert PASSWORD not in said
    code, _, errors = cli.run("import-legacy", f"mysql://u:{PASSWORD}@h/d")
    assert code == 2
    assert "it must be a URL such as postgresql://" in errors
    assert PASSWORD not in errors


def test_a_report_that_cannot_be_written_stops_all(
    system: System, cli: Cli, old: Legacy, tmp_path: Path
) -> None:
    before = system.dump()
    file = tmp_path / "nowhere" / "report.json"
    said = cli.fails("import-legacy", old.url, "--apply", "--report", str(file))
    reason = "No such file or directory"
    assert said == f"The report {file} cannot be written: {reason}. Nothing was changed."
    assert system.dump() == before


def test_a_report_is_there_only_when_all_went_well(
    system: System, cli: Cli, old: Legacy, tmp_path: Path
) -> None:
    system.add_users("300")
    cli.fails("import-legacy", old.url, "--report", str(tmp_path / "report.json"))
    assert not [each for each in tmp_path.iterdir() if "report" in each.name]


def test_a_full_disk_of_the_target_changes_nothing(
    system: System, cli: Cli, old: Legacy, database_url: str
) -> None:
    """A trigger stands for it, and says what PostgreSQL says then."""
    before = system.dump()
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    reason = 'could not extend file "base/1/2": No space left on device'
    full = f"RAISE EXCEPTION '{reason}' USING ERRCODE = 'disk_full'"
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN {full}; END $$;"
                "CREATE TRIGGER full_disk BEFORE INSERT ON lines EXECUTE FUNCTION full_disk()"
            )
        said = cli.fails("import-legacy", old.url, "--apply")
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP FUNCTION full_disk CASCADE")
    assert said == f"The database cannot be used: {reason}. Nothing was changed."
    assert system.dump() == before


def test_who_comes_between_is_told_of(
    system: System, cli: Cli, old: Legacy, database_url: str
) -> None:
    """A name that is taken after the conflicts were looked for."""
    engine = sa.create_engine(database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        # Holds the name back until the import waits for it.
        connection.execute(
            sa.text(
                "INSERT INTO call_groups (name, enabled) VALUES ('200', false);"
                "INSERT INTO names (value, folded, kind, call_group_id)"
                " SELECT '200', '200', 'name', id FROM call_groups"
            )
        )
        pipe = subprocess.PIPE
        with cli.popen("import-legacy", old.url, "--apply", stderr=pipe) as process:
            waits = sa.text(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            with engine.connect() as other:
                while not other.execute(waits).scalar():
                    other.rollback()
            connection.commit()
            _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 1
    assert errors == (
        "Error: Somebody else changed the target meanwhile. Nothing was changed. Start again.\n"
    )
    assert system.user_names() == ["superadmin"]


def test_an_export_of_mongodb_must_be_there(cli: Cli, old: Legacy) -> None:
    code, _, errors = cli.run("import-legacy", old.url, "--mongo-export", "/nowhere.json")
    assert code == 2
    assert "/nowhere.json" in errors


def test_a_new_database_needs_its_schema_first(
    cli: Cli, old: Legacy, postgres: EmbeddedPostgres
) -> None:
    with created_database(postgres, f"legacy_new_{os.getpid()}") as url:
        cli.environ["SIPXCONFIG_DATABASE_URL"] = url
        assert "run sipxconfig-soap migrate" in cli.fails("import-legacy", old.url)
        cli.ok("migrate")
        cli.ok("import-legacy", old.url, "--apply")


def test_progress_is_shown_on_a_terminal(cli: Cli, old: Legacy) -> None:
    main, terminal = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        with suppress(OSError):
            while piece := os.read(main, 1024):
                shown.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    command = [sys.executable, "-m", "sipxconfig_soap", "import-legacy", old.url, "--apply"]
    environ = cli.environ | {"TERM": "xterm"}
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=terminal
    ) as process:
        assert process.wait(WAIT_SECONDS) == 0
    os.close(terminal)
    reader.join(WAIT_SECONDS)
    os.close(main)
    text = b"".join(shown).decode()
    assert "Reading users" in text
    assert "Hashing PINs" in text
    assert "100%" in text
