"""``doctor`` finds what is wrong, and changes nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tests.support.cli import WAIT_SECONDS, Cli, Processes, Server, execute

if TYPE_CHECKING:
    from sipxconfig_soap.embedded import EmbeddedPostgres


def verdicts(output: str) -> dict[str, str]:
    return {line.split()[1]: line.split()[0] for line in output.splitlines()}


def test_doctor_finds_all_well(own: Cli) -> None:
    everything = ("settings", "profiles", "database", "encoding", "sessions", "schema", "writing")
    before = own.ok("audit", "--json")
    assert verdicts(own.ok("doctor")) == dict.fromkeys([*everything, "clock"], "ok")
    # What it tried to write is not there.
    assert own.ok("audit", "--json") == before


def test_doctor_before_the_first_start(cli: Cli, tmp_path: Path) -> None:
    output = cli.ok("doctor")
    assert verdicts(output) == {
        "settings": "ok",
        "directory": "ok",
        "profiles": "ok",
        "database": "warn",
    }
    assert not (tmp_path / "data").exists()


def postmaster(cli: Cli) -> Path:
    return Path(cli.environ["SIPXCONFIG_DATA_DIR"]) / "postgresql/postmaster.pid"


def test_doctor_only_looks(tmp_path: Path) -> None:
    cli = Processes(tmp_path)
    tmp_path.chmod(0o711)
    assert cli.run("migrate")[0] == 0
    data = postmaster(cli).parent
    before = (data / "server.log").read_bytes()
    assert "warn  database   the embedded PostgreSQL does not run; serve starts it" in (
        cli.ok("doctor")
    )
    assert (data / "server.log").read_bytes() == before

    # One that runs though nobody uses it goes on running.
    server = Server(cli, "--no-worker")
    server.process.kill()
    server.process.wait(WAIT_SECONDS)
    assert server.process.stdout is not None
    server.process.stdout.close()
    assert "ok    writing    is possible" in cli.ok("doctor")
    assert postmaster(cli).exists()
    # The next command that uses it stops it.
    cli.ok("jobs")
    assert not postmaster(cli).exists()


def test_doctor_looks_at_the_profile_directory_whatever_the_database(own: Cli) -> None:
    own.environ["SIPXCONFIG_PROFILE_ROOT"] = "/dev/null/profiles"
    code, output, _ = own.run("doctor")
    assert code == 1
    assert (
        "fail  profiles   the profile directory /dev/null/profiles cannot be written: Not a "
        "directory; give it to this user, or name another one in SIPXCONFIG_PROFILE_ROOT.\n"
    ) in output
    assert "ok    writing    is possible" in output


def test_a_domain_that_somebody_has_decided_on_is_no_warning(own: Cli) -> None:
    own.environ["SIPXCONFIG_DOMAIN"] = "example.org"
    assert "ok    settings   the SIP domain is example.org" in own.ok("doctor")
    own.environ["SIPXCONFIG_DOMAIN"] = ""
    assert "warn  settings   the SIP domain is the default example.org" in own.ok("doctor")


def test_doctor_tries_to_write(own: Cli) -> None:
    url = sa.make_url(own.environ["SIPXCONFIG_DATABASE_URL"])
    execute(str(url), f"ALTER DATABASE {url.database} SET default_transaction_read_only = on")
    code, output, _ = own.run("doctor")
    assert code == 1
    assert "fail  writing    cannot execute INSERT in a read-only transaction" in output
    assert verdicts(output)["clock"] == "ok"


def test_doctor_names_a_right_that_is_missing(own: Cli) -> None:
    url, role = sa.make_url(own.environ["SIPXCONFIG_DATABASE_URL"]), f"guest_{os.getpid()}"
    execute(str(url), f"CREATE ROLE {role} LOGIN")
    try:
        execute(str(url), f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}")
        own.environ["SIPXCONFIG_DATABASE_URL"] = url.set(username=role).render_as_string()
        code, output, _ = own.run("doctor")
    finally:
        execute(str(url), f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert code == 1
    assert f"fail  writing    the role {role} lacks DELETE on audit_log and " in output


def test_doctor_finds_what_is_wrong(cli: Cli, postgres: EmbeddedPostgres, empty_url: str) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = empty_url
    code, output, _ = cli.run("doctor")
    assert (code, verdicts(output)["schema"]) == (1, "fail")
    assert "run sipxconfig-soap migrate" in output

    execute(empty_url, "SELECT 1")
    cli.ok("migrate")
    execute(empty_url, "ALTER TABLE jobs DROP COLUMN files")
    code, output, _ = cli.run("doctor")
    assert (code, verdicts(output)["schema"]) == (0, "warn")

    cli.environ["SIPXCONFIG_DATABASE_URL"] = postgres.url("no_such_database")
    code, output, _ = cli.run("doctor")
    assert (code, verdicts(output)["database"]) == (1, "fail")

    cli.environ |= {"SIPXCONFIG_DATABASE_URL": "", "SIPXCONFIG_DATA_DIR": "/dev/null/data"}
    code, output, _ = cli.run("doctor")
    assert (code, verdicts(output)["directory"]) == (1, "fail")

    cli.environ |= {"SIPXCONFIG_BIND": "x", "SIPXCONFIG_BNID": "x"}
    code, output, _ = cli.run("doctor")
    assert code == 1
    assert output.splitlines()[0].startswith("warn  settings   SIPXCONFIG_BNID")
    assert output.splitlines()[1].startswith("fail  settings   SIPXCONFIG_BIND")


def test_doctor_counts_the_connections_of_an_own_postgresql(own: Cli) -> None:
    own.environ |= {"SIPXCONFIG_WORKERS": "64", "SIPXCONFIG_THREADS": "63"}
    code, output, _ = own.run("doctor")
    assert (code, verdicts(output)["database"]) == (0, "warn")
    assert "clients, but 4041 may come: raise its max_connections, or lower" in output


def test_doctor_knows_what_others_take_of_the_connections(own: Cli) -> None:
    url = sa.make_url(own.environ["SIPXCONFIG_DATABASE_URL"])
    own.environ |= {"SIPXCONFIG_WORKERS": "2", "SIPXCONFIG_THREADS": "4"}
    execute(str(url), f"ALTER DATABASE {url.database} CONNECTION LIMIT 17")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect():
        output = own.ok("doctor")
    assert "PostgreSQL lets in 17 clients, but 17 may come: raise its max_connections" in output
    assert re.search(r"\(others have \d+ of its connections\)", output)


def test_doctor_knows_an_encoding_that_cannot_hold_every_name(cli: Cli, latin_url: str) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = latin_url
    code, output, _ = cli.run("doctor")
    assert (code, verdicts(output)["encoding"]) == (1, "fail")
    assert "LATIN1; create the database anew with --encoding=UTF8" in output
