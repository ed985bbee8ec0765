"""Imports of CSV files beside others: what they hold, and what they leave behind."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap.domain import pins
from sipxconfig_soap.domain.audit import audit_log
from sipxconfig_soap.domain.phone_changes import change_external_line
from sipxconfig_soap.domain.rules import Rules
from sipxconfig_soap.domain.work import Work
from sipxconfig_soap.errors import Problems, Refused
from sipxconfig_soap.sheets import importing
from tests.support.cli import WAIT_SECONDS
from tests.support.sheets import PHONES_HEAD, USERS_HEAD, InProcess, counts
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sipxconfig_soap.db import Database

OTHERS_IN_A_TRANSACTION = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
)
HASH_HEAD = f"{USERS_HEAD},Voicemail PIN hash,PIN hash"
LINES_HEAD = f"{PHONES_HEAD},Line user,Line name,Line password,Line server,Line voicemail"


@pytest.fixture
def sheets(system: System, tmp_path: Path) -> InProcess:
    return InProcess(system.database, tmp_path)


def file(*lines: str, head: str = USERS_HEAD) -> bytes:
    return "".join(f"{line}\n" for line in (head, *lines)).encode()


def refusals(report: importing.Report) -> list[tuple[int, str | None, str]]:
    assert report.added == report.changed == 0
    return [tuple(each) for each in report.refusals]


# -- before the transaction ------------------------------------------------------------------------


def test_no_transaction_is_open_while_pins_are_hashed(
    system: System, sheets: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_all, open_ones = pins.hash_all, []

    def watched(texts: Sequence[str]) -> Iterator[str]:
        open_ones.append(system.scalar(str(OTHERS_IN_A_TRANSACTION)))
        return hash_all(texts)

    monkeypatch.setattr(pins, "hash_all", watched)
    lines = [f"{300 + number},1{number},2{number}" for number in range(150)]
    assert counts(sheets.imports("users", file(*lines))) == (150, 0, 0)
    assert open_ones == [0, 0]
    sheets.imports("users", file(*lines), apply=False)
    assert len(open_ones) == 2
    stored = "SELECT {} FROM users WHERE user_name = '449'"
    assert pins.verify_pin("1149", system.scalar(stored.format("pin_hash"))).ok
    assert pins.verify_pin("2149", system.scalar(stored.format("voicemail_pin_hash"))).ok


def test_pins_are_hashed_once_though_a_race_is_lost(
    system: System, sheets: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody takes an alias of the file when the import has found it free."""
    hashed: list[str] = []
    hash_all = pins.hash_all

    def counted(texts: Sequence[str]) -> Iterator[str]:
        hashed.extend(texts)
        return hash_all(texts)

    monkeypatch.setattr(pins, "hash_all", counted)

    def take() -> None:
        system.add_users("999", aliases=["600"])

    with after_first(system.database, "INSERT INTO users", take):
        report = sheets.imports("users", file("201,11,,,,,600", "202,22"))
    assert [each.sentence for each in report.refusals] == [
        "aliases[0] '600' is already in use by an alias of the user 999."
    ]
    assert system.user_names() == ["999", "superadmin"]
    assert hashed == ["11", "22"]


class after_first:  # noqa: N801 - reads as a statement
    """Does something once, after the first statement with these words in it."""

    def __init__(self, database: Database, words: str, act: Callable[[], object]) -> None:
        self._engine = database.reads
        self._words = words
        self._act: Callable[[], object] | None = act

    def __enter__(self) -> None:
        sa.event.listen(self._engine, "after_cursor_execute", self._see)

    def __exit__(self, *_: object) -> None:
        sa.event.remove(self._engine, "after_cursor_execute", self._see)
        assert self._act is None

    def _see(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if self._act is not None and self._words in statement:
            act, self._act = self._act, None
            act()


# -- what the domain says --------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_hashes_of_voicemail_pins_keep_the_rules(
    system: System, sheets: InProcess, *, there: bool
) -> None:
    if there:
        system.add_users("201", "202", "203", "204", "205")
    good = pins.hash_pin("7")
    costly = good.replace("t=1", "t=99")
    long = pins.of_token(good, "201" * 60, "realm" * 60)
    hashes = {"201": long, "202": costly, "205": pins.of_token(good, "205", "r"), "203": "$argon2"}
    lines = ["204,,5", *(f'{name},,,,,,,,,"{each}"' for name, each in hashes.items())]
    no_hash = "vmpintoken is not a hash that this server could check."
    cost = "vmpintoken is a hash with greater cost parameters than this server's."
    label = "Voicemail PIN hash"
    report = sheets.imports("users", file(*lines, head=HASH_HEAD))
    assert [tuple(each) for each in report.refusals] == [
        (3, label, no_hash),
        (4, label, cost),
        (5, label, no_hash),
        (6, label, no_hash),
    ]
    assert counts(sheets.imports("users", file(f'203,,,,,,,,,"{good}"', head=HASH_HEAD)))
    stored = system.scalar("SELECT voicemail_pin_hash FROM users WHERE user_name = '203'")
    assert stored == good


def test_fields_of_external_lines_keep_the_rules(system: System, sheets: InProcess) -> None:
    system.add_phone(MAC, "polycom650")
    line = {"userId": "ext", "registrationServer": "sip.org", "displayName": "Ext"}
    system.manage_phone(MAC, addExternalLine={**line, "password": "p"})
    before = system.dump()
    row = f",,,,,,,,,{MAC},polycom650,,,ext,{{}},{{}},sip.org,{{}}"
    lines = [row.format("Ext", '"a\nb"', ""), row.format("x" * 256, "", '"\x7f"')]
    report = sheets.imports("phones", file(*lines, head=LINES_HEAD))
    assert [(each.line, each.column) for each in report.refusals] == [
        (2, "Line password"),
        (4, "Line name"),
        (4, "Line voicemail"),
    ]
    assert system.dump() == before
    content = file(row.format("", "new", ""), head=LINES_HEAD)
    assert counts(sheets.imports("phones", content)) == (0, 1, 0)
    assert counts(sheets.imports("phones", content)) == (0, 0, 1)
    assert system.scalar("SELECT concat(display_name, password) FROM lines") == "Extnew"
    assert system.jobs() == [("profiles", MAC)]


def test_a_line_that_has_gone_or_is_a_users_is_not_changed(system: System) -> None:
    system.add_users("201")
    system.add_phone(MAC, lines=[{"userId": "201"}])
    own = system.scalar("SELECT id FROM lines")
    values = {"userId": "ext", "registrationServer": "sip.org", "displayName": "x"}
    values |= {"password": None, "voiceMail": None}
    for line_id in (own, own + 1):
        with system.database.engine.connect() as connection:
            work = Work(connection, Rules("d", "r", (), frozenset()), Problems())
            with pytest.raises(Refused) as caught:
                change_external_line(work, line_id, values)
        (problem,) = caught.value.problems
        assert problem.sentence.endswith("'ext' is of a line that has gone meanwhile.")


@pytest.mark.parametrize("line", ["201,,,,Bob", "201,,,,,,,,new", "201,1"])
def test_a_user_who_is_renamed_meanwhile_is_not_told_as_changed(
    system: System, sheets: InProcess, line: str
) -> None:
    system.add_users("201", firstName="Ann")

    def rename() -> None:
        system.edit_user("201", userName="301")

    with after_first(system.database, "users.voicemail_pin_hash", rename):
        report = sheets.imports("users", file(line))
    assert refusals(report) == [
        (
            2,
            "User name",
            "userName '201' is of something that was deleted or renamed meanwhile: start again.",
        )
    ]
    assert system.user("301")["firstName"] == "Ann"


def test_a_phone_that_is_deleted_meanwhile(system: System, sheets: InProcess) -> None:
    system.add_phone(MAC, "polycom331")
    line = f",,,,,,,,,{MAC},polycom331,,Hall"

    def delete() -> None:
        system.manage_phone(MAC, deletePhone=True)

    with after_first(system.database, "FROM phones JOIN LATERAL", delete):
        report = sheets.imports("phones", file(line, head=PHONES_HEAD))
    assert [(each.line, each.column) for each in report.refusals] == [(2, "Phone serial number")]
    assert system.serials() == []


# -- beside others ---------------------------------------------------------------------------------


@pytest.fixture
def patient(make_database: Callable[..., Database]) -> Database:
    """Waits for others as long as a busy machine may take."""
    patient = make_database(pool_size=2)

    @sa.event.listens_for(patient.reads, "checkout")
    def _(connection: sa.PoolProxiedConnection, *_rest: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout TO '{WAIT_SECONDS}s'")

    return patient


def test_two_imports_of_the_same_file_at_once(
    system: System, sheets: InProcess, patient: Database
) -> None:
    """One comes first, the other finds what it did; nothing is there twice or by halves."""
    content = file(*(f"{300 + n},1{n},,,A,,{600 + n},,g{n % 3}" for n in range(30)))
    start = threading.Barrier(2)

    def one(number: int) -> importing.Report:
        own = InProcess(patient, sheets.directory / str(number))
        own.directory.mkdir()
        start.wait(WAIT_SECONDS)
        return own.imports("users", content)

    with ThreadPoolExecutor(2) as threads:
        reports = list(threads.map(one, range(2)))
    done = [report for report in reports if not report.refusals]
    assert sum(report.added for report in done) == 30
    assert len(system.do("findUser")) == 31
    for report in reports:
        for refusal in report.refusals:
            assert "is already in use by" in refusal.sentence
    assert system.scalar("SELECT count(*) FROM user_groups WHERE name LIKE 'g_'") == 3


def test_a_server_is_written_to_meanwhile(system: System, sheets: InProcess) -> None:
    names = [str(300 + number) for number in range(10)]
    system.add_users(*names)
    done = threading.Event()

    def edit() -> int:
        rounds = 0
        while not done.is_set() or rounds == 0:
            for name in reversed(names):
                system.edit_user(name, lastName=f"Round {rounds}")
            rounds += 1
        return rounds

    content = file(*(f"{name},,,,New" for name in names))
    with ThreadPoolExecutor(1) as thread:
        edits = thread.submit(edit)
        try:
            assert counts(sheets.imports("users", content)) == (0, 10, 0)
        finally:
            done.set()
        rounds = edits.result(WAIT_SECONDS)
    shown = {(user["firstName"], user["lastName"]) for user in map(system.user, names)}
    assert shown == {("New", f"Round {rounds - 1}")}


def test_a_dry_run_leaves_nothing(system: System, sheets: InProcess) -> None:
    """No row of any table, the audit log included, and nobody is told of anything."""
    system.add_users("201", firstName="Ann")
    system.add_phone(MAC, lines=[{"userId": "201"}])
    audited = sa.select(sa.func.count()).select_from(audit_log)
    before, entries = system.dump(), system.scalar(str(audited))
    users = file("201,9,9,p,Bob,,300,a@b,new", "202,1,2,,Ann,,,,new", "superadmin,1")
    assert counts(sheets.imports("users", users, apply=False)) == (1, 2, 0)
    phones = file(f"201,,,,,,,,,{MAC},polycom331,new,Hall", head=PHONES_HEAD)
    assert counts(sheets.imports("phones", phones, apply=False)) == (0, 1, 0)
    assert system.dump() == before
    assert system.scalar(str(audited)) == entries


def test_postgresql_knows_of_many_new_rows(
    system: System, sheets: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MANY", 30)
    analyzed = "SELECT reltuples FROM pg_class WHERE relname = 'users'"
    system.database.change(lambda connection: connection.exec_driver_sql("ANALYZE users"))
    sheets.imports("users", file(*(f"{300 + number}" for number in range(29))))
    assert system.scalar(analyzed) == 1
    sheets.imports("users", file(*(f"{400 + number}" for number in range(30))))
    assert system.scalar(analyzed) == 60


def test_spoilt_cells_are_warned_of_in_any_column_and_secrets_not_told(sheets: InProcess) -> None:
    lines = ["201.0,9.0,8.0,7.0,#NAME?,,4.9E+12"]
    warnings = sheets.imports("users", file(*lines), apply=False).warnings
    fraction = "looks like a number that a script made a fraction."
    assert [tuple(each) for each in warnings] == [
        (2, "User name", f"'201.0' {fraction}"),
        (2, "PIN", f"The cell {fraction}"),
        (2, "Voicemail PIN", f"The cell {fraction}"),
        (2, "SIP password", f"The cell {fraction}"),
        (2, "First name", "'#NAME?' looks like an error that a spreadsheet wrote."),
        (2, "User alias", "'4.9E+12' looks like a number that a spreadsheet rounded."),
    ]
