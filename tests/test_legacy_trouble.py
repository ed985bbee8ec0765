"""What goes wrong while import-legacy runs is one true sentence (docs/spec/migration.md §9)."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
import sqlalchemy as sa

from tests.support.cli import HEARS_CTRL_C, WAIT_SECONDS, Cli
from tests.support.imports import Importer, command
from tests.support.legacy import LAST_TOKENS
from tests.support.proxy import Cut, Proxy, cutting_proxy
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.settings import Settings
    from tests.support.legacy import Legacy

    Make = Callable[..., Legacy]


WAITING = (
    "FROM pg_locks WHERE NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Hold:
    """Keeps an import waiting for the lines of its source, for as long as the context lasts.

    Args:
        old: the source.
    """

    def __init__(self, old: Legacy) -> None:
        self._engine = sa.create_engine(old.url, poolclass=sa.NullPool)

    def __enter__(self) -> Self:
        self._connection = self._engine.connect()
        self._connection.exec_driver_sql("LOCK TABLE line IN ACCESS EXCLUSIVE MODE")
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def wait_for(self, process: subprocess.Popen[str]) -> None:
        """Wait until the import waits."""
        while not self._connection.scalar(sa.text(f"SELECT count(*) {WAITING}")):
            assert process.poll() is None
            time.sleep(0.05)

    def cancel(self) -> None:
        """Have PostgreSQL end what waits, since a driver hears of a signal only then."""
        self._connection.exec_driver_sql(f"SELECT pg_cancel_backend(pid) {WAITING}")

    def release(self) -> None:
        """Let it go on."""
        self._connection.rollback()


DONE = "All of it is taken over."
SECRET = "geheim-1234"


@pytest.fixture
def cli(tmp_path: Path, database_url: str, database: Database) -> Cli:  # noqa: ARG001 - emptied
    return command(tmp_path, database_url)


@pytest.fixture
def old(make_legacy: Make) -> Legacy:
    old = make_legacy(LAST_TOKENS)
    old.user("superadmin")
    user = old.user("200", first_name="Δοκιμή")
    old.user("two words")
    old.line(old.phone(MAC, device_version_id="polycom4.0.X"), user)
    return old


@pytest.fixture
def proxy(database_url: str, cli: Cli) -> Iterator[Proxy]:
    with cutting_proxy(database_url) as proxy:
        cli.environ["SIPXCONFIG_DATABASE_URL"] = proxy.url
        yield proxy


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.ANSWER])
def test_a_target_that_is_lost_inside_commit_is_asked_what_became_of_it(
    system: System, cli: Cli, old: Legacy, proxy: Proxy, cut: Cut
) -> None:
    before, file = system.dump(), Path(cli.environ["HOME"]) / "report.json"
    proxy.cuts = [cut]
    code, said, errors = cli.run("import-legacy", old.url, "--apply", "--report", str(file))
    assert proxy.made == [cut]
    assert "connection lost in commit" in errors
    if cut is Cut.BEFORE:
        assert code == 1
        assert errors.splitlines()[-1].endswith("Nothing was changed.")
        assert DONE not in said
        assert system.dump() == before
        assert not file.exists()
    else:
        assert code == 0
        assert DONE in said
        assert system.user_names() == ["200", "superadmin"]
        assert json.loads(file.read_text(encoding="utf-8"))["applied"] is True


IMPATIENT = """
from sipxconfig_soap import transactions
from sipxconfig_soap.cli.main import main
transactions.OUTCOME_SECONDS = 1.0
main()
"""
"""The command, that asks for a second only what became of a change."""


def test_an_outcome_that_nobody_knows_is_not_called_unchanged(
    system: System, cli: Cli, old: Legacy, proxy: Proxy
) -> None:
    proxy.cuts = [Cut.ANSWER]
    command = [sys.executable, "-c", IMPATIENT, "import-legacy", old.url, "--apply"]
    pipe = subprocess.PIPE
    with (
        Hold(old) as hold,
        subprocess.Popen(command, env=cli.environ, text=True, stdout=pipe, stderr=pipe) as process,
    ):
        hold.wait_for(process)
        proxy.closed = True
        hold.release()
        said, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 1
    assert "it is not known whether the change was made" in errors
    assert "Nothing was changed" not in said + errors
    assert system.user_names() == ["200", "superadmin"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_import_that_is_stopped_changes_nothing(
    system: System, cli: Cli, old: Legacy, tmp_path: Path, how: signal.Signals
) -> None:
    before, file = system.dump(), tmp_path / "report.json"
    pipe = subprocess.PIPE
    arguments = ("import-legacy", old.url, "--apply", "--report", str(file))
    with Hold(old) as hold, cli.popen(*arguments, before=HEARS_CTRL_C, stderr=pipe) as process:
        hold.wait_for(process)
        process.send_signal(how)
        hold.cancel()
        _, errors = process.communicate(timeout=WAIT_SECONDS)
    if how is signal.SIGINT:
        assert process.returncode == 1
        assert errors.splitlines()[-1] == "Error: It was stopped. Nothing was changed."
    else:
        assert process.returncode == 128 + signal.SIGTERM
    assert system.dump() == before
    assert not [each for each in tmp_path.iterdir() if "report" in each.name]


def test_a_reader_who_has_seen_enough_changes_nothing(
    system: System, cli: Cli, old: Legacy, tmp_path: Path
) -> None:
    before, file = system.dump(), tmp_path / "report.json"
    for arguments in ([], ["--report", str(file)]):
        pipe = subprocess.PIPE
        with cli.popen("import-legacy", old.url, "--apply", *arguments, stderr=pipe) as process:
            assert process.stdout is not None
            process.stdout.close()
            assert process.stderr is not None
            assert process.stderr.read() == ""
            assert process.wait(WAIT_SECONDS) == 1
        assert system.dump() == before
        assert not [each for each in tmp_path.iterdir() if "report" in each.name]


def test_an_output_that_cannot_be_written_changes_nothing(
    system: System, cli: Cli, old: Legacy
) -> None:
    before = system.dump()
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "sipxconfig_soap", "import-legacy", old.url, "--apply"],
            env=cli.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    reason = "No space left on device"
    assert ended.stderr == (
        f"Error: The output cannot be written: {reason}. Nothing was changed.\n"
    )
    assert system.dump() == before


def test_a_report_that_fills_the_disk_changes_nothing(
    system: System, cli: Cli, make_legacy: Make, tmp_path: Path
) -> None:
    """A limit on the size of files stands for it."""
    old = make_legacy()
    old.user("200")
    rows = [{"user_id": n, "user_name": f"u {n} {'x' * 99}", "pintoken": ""} for n in range(900)]
    old.rows("users", rows)
    before, file = system.dump(), tmp_path / "report.json"
    pipe = subprocess.PIPE
    arguments = ("import-legacy", old.url, "--apply", "--report", str(file))
    with cli.popen(*arguments, stderr=pipe, preexec_fn=_small_files) as process:
        _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert errors.splitlines()[-1] == (
        f"Error: The report {file} cannot be written: File too large. Nothing was changed."
    )
    assert system.dump() == before
    assert not [each for each in tmp_path.iterdir() if "report" in each.name]


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_report_replaces_files_alone(cli: Cli, old: Legacy, tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "report.json"
    file.write_text("before", encoding="utf-8")
    link.symlink_to(file)
    cli.ok("import-legacy", old.url, "--report", str(link))
    assert link.is_symlink()
    assert json.loads(file.read_text(encoding="utf-8"))["applied"] is False
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    said = cli.fails("import-legacy", old.url, "--apply", "--report", str(fifo))
    assert said == f"The report {fifo} cannot be written: it is no file. Nothing was changed."
    assert fifo.is_fifo()


def test_a_report_that_cannot_take_its_place_leaves_it_said_what_was_done(
    system: System, cli: Cli, old: Legacy, tmp_path: Path
) -> None:
    """Somebody makes a directory of its name while the import runs."""
    file = tmp_path / "report.json"
    pipe = subprocess.PIPE
    arguments = ("import-legacy", old.url, "--apply", "--report", str(file))
    with Hold(old) as hold, cli.popen(*arguments, stderr=pipe) as process:
        hold.wait_for(process)
        file.mkdir()
        hold.release()
        _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert errors.splitlines()[-1] == (
        f"Error: The report {file} cannot be written: Is a directory. {DONE}"
    )
    assert system.user_names() == ["200", "superadmin"]


def test_names_are_escaped_where_the_terminal_has_no_letters_for_them(
    cli: Cli, make_legacy: Make
) -> None:
    old = make_legacy()
    old.user("Jürg Δοκιμή")
    cli.environ |= {"PYTHONIOENCODING": "iso-8859-1"}
    code, said, errors = cli.process("import-legacy", old.url)
    assert code == 0, errors
    assert r"J\udcfcrg \u0394\u03bf" in said.encode("ascii", "backslashreplace").decode()


def test_what_others_do_meanwhile_is_no_part_of_it(
    system: System, database: Database, settings: Settings, make_legacy: Make
) -> None:
    """A holder of a name is deleted between two looks at it; the first one counts."""
    old = make_legacy()
    old.user("200")
    system.add_users("200", "300")
    importer = Importer(database, settings)
    run = importer.quiet.track

    def remove(items: object, what: str, total: int) -> object:
        if what == "Reading lines":
            with database.engine.begin() as connection:
                connection.exec_driver_sql("DELETE FROM users WHERE user_name = '200'")
        return run(items, what, total)  # type: ignore[arg-type]

    importer.quiet.track = remove  # type: ignore[method-assign, assignment]
    outcome = importer.run(old, merge=True)
    assert outcome.found("users") == [("200", "nameInUse", "userName")]
    assert system.user_names() == ["300", "superadmin"]


def test_a_group_that_goes_meanwhile_is_told_of(
    system: System, cli: Cli, make_legacy: Make, database: Database
) -> None:
    """Its new members would be lost without a word."""
    old = make_legacy()
    old.user("201", groups=[old.group("sales")])
    system.add_users("200", groups=["sales"])
    arguments = ("import-legacy", old.url, "--apply", "--merge")
    with Hold(old) as hold, cli.popen(*arguments, stderr=subprocess.PIPE) as process:
        hold.wait_for(process)
        with database.engine.begin() as other:
            other.exec_driver_sql("DELETE FROM user_groups WHERE name = 'sales'")
        hold.release()
        _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert errors.splitlines()[-1] == (
        "Error: Somebody else changed the target meanwhile. Nothing was changed. Start again."
    )
    assert system.user_names() == ["200", "superadmin"]


def test_a_pause_of_any_length_is_no_reason_to_give_up(
    database: Database, settings: Settings, make_legacy: Make
) -> None:
    """The report may be read in a pager, and PINs are hashed while the target waits."""
    old = make_legacy()
    old.user("200")
    importer = Importer(database, settings)
    limits: dict[str, Any] = {}

    def note(items: object, what: str, total: int) -> object:  # noqa: ARG001
        if what == "Writing":
            query = (
                "SELECT name, setting FROM pg_settings WHERE name IN"
                " ('statement_timeout', 'idle_in_transaction_session_timeout')"
            )
            limits.update(importer.connection.exec_driver_sql(query).all())
        return iter(items)  # type: ignore[call-overload]

    importer.quiet.track = note  # type: ignore[method-assign, assignment]
    importer.run(old)
    assert limits == {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}


def test_a_source_that_is_lost_after_it_was_read_is_not_missed(
    system: System, database: Database, settings: Settings, make_legacy: Make
) -> None:
    old = make_legacy()
    old.user("200")
    importer = Importer(database, settings)

    def cut(items: object, what: str, total: int) -> object:  # noqa: ARG001
        if what == "Writing":
            with sa.create_engine(old.url, poolclass=sa.NullPool).connect() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        return iter(items)  # type: ignore[call-overload]

    importer.quiet.track = cut  # type: ignore[method-assign, assignment]
    importer.run(old)
    assert system.user_names() == ["200", "superadmin"]


def test_no_secret_is_in_what_is_said(
    cli: Cli, make_legacy: Make, tmp_path: Path, system: System
) -> None:
    old = make_legacy()
    old.user("200", pin=SECRET, sip_password=SECRET)
    old.user("two words", pin=SECRET, sip_password=SECRET + "\x01")
    old.user("201", pin=SECRET, sip_password=SECRET + "\x01" * 200)
    phone = old.phone(MAC)
    settings = {"reg/address": "300", "reg/server/1/address": "x y", "reg/auth.password": SECRET}
    old.line(phone, settings=settings)
    long = {"reg/server/1/address": "h", "reg/auth.password": SECRET * 40}
    old.line(phone, settings=settings | long)
    url = sa.make_url(old.url).set(password=SECRET)
    assert url.username
    file = tmp_path / "report.json"
    cli.environ["SIPXCONFIG_LOG_LEVEL"] = "debug"
    shown = url.render_as_string(hide_password=False)
    for more in ([], ["--apply"], ["--apply"]):
        _, said, errors = cli.run("import-legacy", shown, "--report", str(file), *more)
        assert file.exists(), errors
        assert SECRET not in said + errors + file.read_text(encoding="utf-8")
    assert "200" in system.user_names()


def test_the_tables_that_it_filled_are_known_to_the_planner(
    cli: Cli, system: System, make_legacy: Make
) -> None:
    """Lists of a system that was just imported are planned for what it has."""
    old = make_legacy()
    many = range(10_000, 10_300)
    rows = [{"user_id": n, "user_name": str(n), "pintoken": ""} for n in many]
    old.rows("users", rows)
    code, _, errors = cli.run("import-legacy", old.url, "--apply")
    assert code == 0, errors
    assert "not analyzed" not in errors
    known = "SELECT reltuples FROM pg_class WHERE oid = CAST(:name AS regclass)"
    for table in ("users", "names"):
        assert system.scalar(known, name=table) == len(many) + 1
    values = "SELECT count(*) FROM pg_stats WHERE (schemaname, tablename, attname) = "
    assert system.scalar(f"{values} ('public', 'names', 'value')") == 1
