"""A connection that dies inside COMMIT of a change by another way than a call (wire.md §6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap import transactions
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import accounts, pins
from sipxconfig_soap.domain.audit import list_entries
from sipxconfig_soap.errors import OutcomeUnknown, Unavailable
from tests.support.cli import Cli
from tests.support.client import Client
from tests.support.pages import Visitor
from tests.support.proxy import Cut, Proxy, cutting_proxy
from tests.support.sheets import PHONES_HEAD, USERS_HEAD, Sheets
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from sipxconfig_soap.settings import Settings
    from tests.support.soap import Soap

JOBS = "/sipxconfig/jobs"
FAIL = "UPDATE jobs SET state = 'failed', attempts = 5, finished = now(), reason = 'no space left'"
CUTS = pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.ANSWER])


@pytest.fixture
def proxy(database_url: str, database: Database) -> Iterator[Proxy]:
    assert database
    with cutting_proxy(database_url) as proxy:
        yield proxy


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """A phone whose profile has failed."""
    system = System(soap, database)
    system.add_phone(MAC)
    system.manage_phone(MAC, generateProfiles=True)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(FAIL)
    return system


@pytest.fixture
def visitor(proxy: Proxy, settings: Settings, system: System) -> Iterator[Visitor]:
    """Somebody whose pages come from a server behind the proxy."""
    assert system
    pool = Database(proxy.url, pool_size=2)
    yield Visitor(Client(settings, pool))
    pool.dispose()


@pytest.fixture
def cli(proxy: Proxy, tmp_path: Path) -> Cli:
    """The command, which reaches the database through the proxy."""
    cli = Cli(tmp_path)
    cli.environ["SIPXCONFIG_DATABASE_URL"] = proxy.url
    return cli


def execute(system: System, statement: str) -> None:
    with system.database.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def said(cli: Cli, *arguments: str) -> str:
    """What a command says that ends well; the log tells of the cut."""
    code, output, errors = cli.run(*arguments)
    assert code == 0, errors
    return output


def operations(database: Database) -> list[str]:
    """What the audit log has, after what the fixtures did."""
    with database.connect() as connection:
        known = {"addPhone", "managePhone"}
        return [each.operation for each in list_entries(connection) if each.operation not in known]


@CUTS
def test_a_retry_is_done_once_and_its_answer_says_so(
    visitor: Visitor, proxy: Proxy, system: System, cut: Cut
) -> None:
    page = visitor.get(JOBS)
    proxy.cuts = [cut]
    answer = visitor.send(page, "Jobs", "retry=1")
    assert proxy.made == [cut]
    assert (answer.status, answer.response.headers["location"]) == (303, f"{JOBS}?again=1")
    assert system.jobs() == [("profiles", MAC)]
    assert operations(system.database) == ["retryJobs"]


def test_a_retry_of_which_nobody_knows_does_not_ask_to_come_again(
    visitor: Visitor, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "OUTCOME_SECONDS", 0.3)
    page = visitor.get(JOBS)
    proxy.cuts, proxy.closed = [Cut.ANSWER], True
    answer = visitor.send(page, "Jobs", "retry=1")
    assert answer.status == 503
    assert "it is not known whether the change was made" in answer.response.text
    assert "retry-after" not in answer.response.headers


def test_a_retry_that_changes_nothing_is_refused_as_ever(
    visitor: Visitor, proxy: Proxy, system: System
) -> None:
    page = visitor.get(JOBS)
    system.manage_phone(MAC, deletePhone=True)
    proxy.cuts = [Cut.ANSWER]
    answer = visitor.send(page, "Jobs", "retry=1")
    assert (answer.status, answer.response.headers["retry-after"]) == (503, "5")
    assert operations(system.database) == []


@CUTS
def test_a_pin_is_set_once(cli: Cli, proxy: Proxy, system: System, cut: Cut) -> None:
    proxy.cuts = [cut]
    code, output, _ = cli.run("admin", "set-pin", "--stdin", stdin="another\n")
    assert proxy.made == [cut]
    assert (code, output) == (0, "The PIN of superadmin is set.\n")
    assert operations(system.database) == ["set-pin"]


@CUTS
def test_an_administrator_is_created_once(cli: Cli, proxy: Proxy, system: System, cut: Cut) -> None:
    proxy.cuts = [cut]
    code, output, _ = cli.run("admin", "create", "ann", "--stdin", stdin="another\n")
    assert proxy.made == [cut]
    assert (code, output) == (0, "The administrator ann is created.\n")
    assert operations(system.database) == ["create"]


@CUTS
@pytest.mark.parametrize("pin", [None, "given"])
def test_the_first_administrator_is_created_once_and_the_pin_is_shown(
    cli: Cli, proxy: Proxy, system: System, *, cut: Cut, pin: str | None
) -> None:
    execute(system, "DELETE FROM users")
    if pin is not None:
        cli.environ["SIPXCONFIG_ADMIN_PIN"] = pin
    proxy.cuts = [cut]
    output = said(cli, "migrate")
    assert proxy.made == [cut]
    shown = re.findall("^PIN of superadmin: (.+)$", output, re.MULTILINE)
    assert len(shown) == (pin is None)
    with system.database.connect() as connection:
        account = accounts.find_account(connection, "superadmin")
    assert account is not None
    assert pins.verify_pin(pin or shown[0], account.pin_hash).ok
    assert operations(system.database) == ["create"]


@CUTS
@pytest.mark.parametrize("which", ["1", "--all"])
def test_jobs_wait_again_once(
    cli: Cli, proxy: Proxy, system: System, *, cut: Cut, which: str
) -> None:
    proxy.cuts = [cut]
    assert said(cli, "jobs", "retry", which) == "Jobs that wait again: 1.\n"
    assert proxy.made == [cut]
    assert system.jobs() == [("profiles", MAC)]
    assert operations(system.database) == ["jobs retry"]


@CUTS
def test_jobs_are_deleted_once(cli: Cli, proxy: Proxy, system: System, cut: Cut) -> None:
    proxy.cuts = [cut]
    assert said(cli, "jobs", "purge", "--days", "0") == "Jobs deleted: 1.\n"
    assert proxy.made == [cut]
    assert operations(system.database) == ["jobs purge"]


@CUTS
def test_profiles_are_queued_once(cli: Cli, proxy: Proxy, system: System, cut: Cut) -> None:
    proxy.cuts = [cut]
    output = said(cli, "profiles", "regenerate", "--all", "--no-wait")
    assert output == "Phones whose profiles are queued: 1.\n"
    assert proxy.made == [cut]
    assert system.jobs() == [("profiles", MAC)]
    assert operations(system.database) == ["profiles regenerate"]


@pytest.mark.parametrize(
    "command",
    [
        ("jobs", "retry", "99"),
        ("jobs", "purge", "--days", "9"),
        ("profiles", "regenerate", "--no-wait", "--group", "empty"),
        ("migrate",),
    ],
)
def test_what_changes_nothing_leaves_no_entry(
    cli: Cli, system: System, command: tuple[str, ...]
) -> None:
    execute(system, "INSERT INTO phone_groups (name) VALUES ('empty')")
    cli.ok(*command)
    assert operations(system.database) == []


@CUTS
@pytest.mark.parametrize(
    ("kind", "head", "row"),
    [
        ("users", USERS_HEAD, "201,1234,,,Ann,,,,"),
        ("phones", PHONES_HEAD, "superadmin,,,,,,,,,0004f2000002,polycom300,,"),
    ],
)
def test_an_import_is_done_once(
    cli: Cli,
    proxy: Proxy,
    system: System,
    tmp_path: Path,
    *,
    cut: Cut,
    kind: str,
    head: str,
    row: str,
) -> None:
    path = Sheets(cli, kind, tmp_path, head).write(row)
    proxy.cuts = [cut]
    code, output, _ = cli.run(kind, "import", "--apply", path)
    assert proxy.made == [cut]
    assert (code, output) == (0, "Done; added: 1, changed: 0, unchanged: 0.\n")
    assert len(operations(system.database)) == 1


def test_what_finds_no_receipt_is_unavailable(proxy: Proxy) -> None:
    def work(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SELECT 1")

    pool = Database(proxy.url, pool_size=1)
    proxy.cuts = [Cut.ANSWER]
    with pytest.raises(Unavailable) as caught:
        pool.change(work, receipt=lambda nothing: nothing)
    assert not isinstance(caught.value, OutcomeUnknown)
    pool.dispose()
