"""The pages of jobs, changes and phones (docs/spec/wire.md §8)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from sipxconfig_soap.domain.audit import list_entries
from sipxconfig_soap.web.listing import PIECE
from tests.support.pages import Visitor
from tests.support.system import MAC, System, edits

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.db import Database
    from tests.support.client import Client
    from tests.support.pages import Page
    from tests.support.soap import Soap

JOBS, CHANGES, PHONES = "/sipxconfig/jobs", "/sipxconfig/changes", "/sipxconfig/phones"
OTHER = "0004f2000002"
FAIL = "UPDATE jobs SET state = 'failed', attempts = 5, finished = now(), reason = 'no space left'"


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """Two phones; a profile of the first failed, one of the second waits."""
    system = System(soap, database)
    system.add_users("201", firstName="Ann", sipPassword="hush-201")
    system.add_phone(MAC, lines=[{"userId": "201"}], description="Reception", groups=["lobby"])
    system.add_phone(OTHER)
    system.manage_phone(MAC, generateProfiles=True)
    run(system, FAIL)
    system.manage_phone(OTHER, generateProfiles=True)
    return system


@pytest.fixture
def visitor(client: Client) -> Visitor:
    return Visitor(client)


def run(system: System, sql: str) -> None:
    with system.database.engine.begin() as connection:
        connection.exec_driver_sql(sql)


def column(page: Page, number: int) -> list[str]:
    return [row[number] for row in page.rows]


# -- jobs ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("system")
def test_jobs_are_shown_newest_first(visitor: Visitor) -> None:
    page = visitor.get(JOBS)
    waiting, failed = page.rows
    assert waiting[:6] == ["2", "profiles", OTHER, "waiting", "", "0"]
    assert failed[:6] == ["1", "profiles", MAC, "failed Retry", "no space left", "5"]
    assert waiting[6]
    assert not waiting[7]
    assert failed[7]
    assert page.document.xpath(f"//a[@href='{PHONES}/{MAC}']")


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["2", "1"]),
        ("state=failed", ["1"]),
        ("state=done", []),
        ("state=&serial=", ["2", "1"]),
        ("serial=00:04:F2:AA:BB:CC", ["1"]),
        (f"serial=+{OTHER}+", ["2"]),
        (f"state=failed&serial={OTHER}", []),
        ("serial=x%00y", []),
        (f"serial={'x' * 300}", []),
        ("before=2", ["1"]),
        ("before=1", []),
    ],
)
def test_jobs_are_chosen(visitor: Visitor, query: str, found: list[str]) -> None:
    page = visitor.get(f"{JOBS}?{query}")
    assert page.status == 200
    assert column(page, 0) == found


@pytest.mark.usefixtures("system")
def test_a_filter_that_cannot_be_is_told(visitor: Visitor) -> None:
    page = visitor.get(f"{JOBS}?state=lost")
    assert page.status == 400
    assert page.rows == []
    assert page.problems("state") == [
        "state 'lost' is none of waiting, running, done, failed, unsupported, cancelled."
    ]
    page = visitor.get(f"{JOBS}?before=x")
    assert page.status == 400
    assert page.texts("//p[@role='alert']") == ["before 'x' is not a number."]


def test_a_list_comes_in_pieces(visitor: Visitor, system: System) -> None:
    columns = "kind, serial, target, state, finished"
    run(
        system,
        f"INSERT INTO jobs ({columns}) SELECT 'removal', 'x', 'x', 'done', now()"
        f" FROM generate_series(1, {2 * PIECE + 1})",
    )
    numbers: list[str] = []
    path: str | None = f"{JOBS}?state=done"
    sizes = []
    while path is not None:
        page = visitor.get(path)
        sizes.append(len(page.rows))
        numbers += column(page, 0)
        (path,) = page.document.xpath("//a[@rel='next']/@href") or (None,)
    assert sizes == [PIECE, PIECE, 1]
    assert numbers == [str(number) for number in range(2 * PIECE + 3, 2, -1)]


def test_one_failed_job_waits_again(visitor: Visitor, system: System) -> None:
    page = visitor.get(f"{JOBS}?state=failed&serial={MAC}")
    page = visitor.send(page, "Jobs", "retry=1")
    assert page.status == 303
    where = page.response.headers["location"]
    assert where == f"{JOBS}?state=failed&serial={MAC}&again=1"
    page = visitor.get(where)
    assert page.texts("//p[@role='status']") == ["One job waits again."]
    assert system.jobs() == [("profiles", MAC), ("profiles", OTHER)]
    assert system.scalar("SELECT attempts FROM jobs WHERE id = 1") == 0


def test_all_failed_jobs_wait_again(visitor: Visitor, system: System) -> None:
    run(system, FAIL)
    page = visitor.send(visitor.get(JOBS), "Jobs", "retry=all")
    assert page.response.headers["location"] == f"{JOBS}?again=2"
    assert visitor.get(f"{JOBS}?again=2").texts("//p[@role='status']") == ["2 jobs wait again."]
    assert system.jobs() == [("profiles", MAC), ("profiles", OTHER)]


def test_a_job_that_nobody_needs_stays_as_it_is(visitor: Visitor, system: System) -> None:
    page = visitor.get(JOBS)
    system.manage_phone(MAC, deletePhone=True)
    before = len(changes(system))
    page = visitor.send(page, "Jobs", "retry=1")
    told = visitor.get(page.response.headers["location"]).texts("//p[@role='status']")
    assert told == ["No job waits again: its phone is gone, or a newer job does the same."]
    assert system.jobs(state="failed") == [("profiles", MAC)]
    assert len(changes(system)) == before


def changes(system: System) -> list[tuple[str, str, list[str], str]]:
    with system.database.engine.connect() as connection:
        return [
            (each.service, each.operation, each.entities, each.administrator)
            for each in list_entries(connection)
        ]


def test_a_retry_is_noted(visitor: Visitor, system: System) -> None:
    visitor.send(visitor.get(JOBS), "Jobs", "retry=1")
    assert changes(system)[-1] == ("pages", "retryJobs", ["job 1"], "superadmin")
    run(system, FAIL)
    visitor.send(visitor.get(JOBS), "Jobs", "retry=all")
    assert changes(system)[-1] == ("pages", "retryJobs", ["all that failed"], "superadmin")


@pytest.mark.parametrize("which", ["", "x", "-1", "1 2", "9" * 30, "١"])
def test_a_retry_says_of_what(visitor: Visitor, system: System, which: str) -> None:
    fields = dict(visitor.get(JOBS).form("Jobs").form_values()) | {"retry": which}
    assert visitor.post(JOBS, fields).status == 400
    assert system.jobs(state="failed") == [("profiles", MAC)]


def test_a_job_that_there_is_not(visitor: Visitor, system: System) -> None:
    fields = dict(visitor.get(JOBS).form("Jobs").form_values()) | {"retry": "9" * 18}
    assert visitor.post(JOBS, fields).response.headers["location"] == f"{JOBS}?again=0"
    assert system.jobs(state="failed") == [("profiles", MAC)]


# -- changes -------------------------------------------------------------------------------------


def test_changes_are_shown_newest_first(visitor: Visitor, system: System) -> None:
    system.refusal("addUser", user={"userName": "201"})
    page = visitor.get(CHANGES)
    refused, *_, first = page.rows
    assert refused[1:] == ["superadmin", "addUser UserService", "refused", "", "127.0.0.1"]
    assert first[1:] == ["superadmin", "addUser UserService", "done", "201", "127.0.0.1"]
    assert datetime.fromisoformat(first[0])
    assert page.document.xpath(f"//td/a[@href='{PHONES}/{OTHER}']")


def test_changes_are_chosen(visitor: Visitor, system: System) -> None:
    system.do("addUser", user={"userName": "boss", "groups": ["administrators"]}, pin="1")
    system.soap.client.request("GET", CHANGES)
    boss = Visitor(visitor.client, ("boss", "1"))
    boss.call("ParkOrbitService", "addParkOrbit", name="x")
    now = datetime.now(UTC)
    hour = timedelta(hours=1)

    def found(**query: str) -> list[str]:
        page = visitor.get(f"{CHANGES}?{urlencode(query)}")
        assert page.status == 200
        return [each.split()[0] for each in column(page, 2)]

    everything = ["addParkOrbit", "addUser", *2 * ["managePhone"], *2 * ["addPhone"], "addUser"]
    assert found() == everything
    assert found(user="boss") == ["addParkOrbit"]
    assert found(user=" boss ") == ["addParkOrbit"]
    assert found(user="nobody") == []
    assert found(user="x\x00") == []
    assert found(kind="PhoneService") == [*2 * ["managePhone"], *2 * ["addPhone"]]
    assert found(kind="PhoneService/addPhone") == 2 * ["addPhone"]
    assert found(kind="PhoneService/addPhone", user="boss") == []
    assert found(kind="Phone%Service") == []
    assert found(since=(now - hour).isoformat()) == everything
    assert found(since=(now + hour).isoformat()) == []
    assert found(until=(now + hour).strftime("%Y-%m-%dT%H:%M")) == everything
    assert found(until=(now - hour).strftime("%Y-%m-%dT%H:%M")) == []


@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "0001-01-01T00:00+14:00", "\x00"])
def test_a_time_that_is_none(visitor: Visitor, value: str) -> None:
    page = visitor.get(f"{CHANGES}?{urlencode({'since': value})}")
    assert page.status == 400
    (sentence,) = page.problems("since")
    assert sentence.startswith("since '")
    assert sentence.endswith("is no time like 2026-01-31T08:00.")


def test_changes_come_in_pieces_with_the_same_filter(visitor: Visitor, system: System) -> None:
    columns = "administrator, address, service, operation, entities, outcome"
    run(
        system,
        f"INSERT INTO audit_log ({columns}) SELECT 'a&b', '::1', 'S', 'o', ARRAY['x'], 'done'"
        f" FROM generate_series(1, {PIECE + 1})",
    )
    page = visitor.get(f"{CHANGES}?user=a%26b&kind=S")
    assert len(page.rows) == PIECE
    (older,) = page.document.xpath("//a[@rel='next']/@href")
    page = visitor.get(older)
    assert [row[1] for row in page.rows] == ["a&b"]
    assert not page.document.xpath("//a[@rel='next']")
    assert page.form("Which changes").fields["user"] == "a&b"


def test_a_change_of_many_names_a_few(visitor: Visitor, system: System) -> None:
    names = [f"u{number:03d}" for number in range(25)]
    system.add_users(*names)
    system.do("manageUser", search={"byFuzzyUserNameOrAlias": "u0"}, edit=edits(lastName="x"))
    named = column(visitor.get(CHANGES), 4)[0]
    assert named == f"{', '.join(names[:20])} and 5 more"


# -- phones --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("path", [f"/{MAC}", "/00-04-F2-AA-BB-CC", f"?serial={MAC}"])
def test_a_phone(visitor: Visitor, path: str) -> None:
    page = visitor.get(PHONES + path)
    assert page.status == 200
    assert page.texts("//h1") == [f"Phone {MAC}"]
    facts = dict(zip(page.texts("//dt"), page.texts("//dd"), strict=True))
    assert facts["Model"].endswith("polycom331")
    assert (facts["Description"], facts["Groups"]) == ("Reception", "lobby")
    line, job = page.rows
    assert line == ["1", "201", '"Ann"<sip:201@example.org>']
    assert job[:4] == ["1", "profiles", MAC, "failed Retry"]


def test_the_profile_is_shown_without_secrets(visitor: Visitor, system: System) -> None:
    external = {"userId": "x", "registrationServer": "h", "password": "hush-line"}
    system.manage_phone(MAC, addExternalLine=external)
    system.manage_phone(OTHER, addExternalLine={"userId": "y", "registrationServer": "h"})
    page = visitor.get(f"{PHONES}/{MAC}")
    lines, application = page.document.xpath("//pre[@class='file']/text()")
    assert page.texts("//h3") == [f"{MAC}-sipx-phone.cfg", f"{MAC}.cfg"]
    assert 'reg.1.auth.password="********"' in lines
    assert 'reg.2.auth.password="********"' in lines
    assert "APPLICATION" in application
    assert "hush" not in page.response.text
    # A password that there is not is not hidden.
    assert 'reg.1.auth.password=""' in visitor.get(f"{PHONES}/{OTHER}").text("//pre[1]")


def test_a_profile_that_cannot_be_written(visitor: Visitor, system: System) -> None:
    system.add_users("202", sipPassword='hush"x')
    system.add_phone("0004f2000003", "cisco7960", lines=[{"userId": "202"}])
    page = visitor.get(f"{PHONES}/0004f2000003")
    (sentence,) = page.texts("//p[@class='problems']")
    assert sentence.startswith("The profile cannot be written: line 1: password ")
    assert not page.document.xpath("//pre")
    assert "hush" not in page.response.text


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("serial", ["nothing", "x%00", "%ff", "a%2Fb", "..", "x" * 300])
def test_a_phone_that_there_is_not(visitor: Visitor, serial: str) -> None:
    for path in (f"/{serial}", f"?serial={serial}"):
        page = visitor.get(PHONES + path)
        assert page.status == 404
        assert page.texts("//p[@class='problems']") == [
            "There is no phone with this serial number."
        ]


def test_the_jobs_of_a_phone_that_is_gone(visitor: Visitor, system: System) -> None:
    system.manage_phone(MAC, deletePhone=True)
    page = visitor.get(f"{PHONES}/{MAC}")
    assert page.status == 404
    assert column(page, 1) == ["removal", "profiles"]


def test_without_a_serial_number_one_is_asked_for(visitor: Visitor) -> None:
    page = visitor.get(PHONES)
    assert page.status == 200
    assert page.form("Which phone").get("action") == PHONES


def test_pages_lead_to_each_other(make_client: Callable[..., Client], system: System) -> None:
    assert system.serials() == [MAC, OTHER]
    for prefix in ("", "/voice"):
        settings = {"public_url": f"https://pbx.example.org{prefix}"} if prefix else {}
        visitor = Visitor(make_client(**settings))
        for path in (JOBS, CHANGES, f"{PHONES}/{MAC}", "/sipxconfig/services/UserService/findUser"):
            page = visitor.get(path)
            links = {str(link) for link in page.document.xpath("//a/@href|//form/@action")}
            assert {f"{prefix}{each}" for each in (JOBS, CHANGES, PHONES)} <= links
            for link in links:
                assert link.startswith(("#", f"{prefix}/sipxconfig/"))
                where = link.removeprefix(prefix).partition("#")[0] or path
                assert visitor.get(where).status == 200
