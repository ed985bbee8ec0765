"""Which jobs are queued for phones, and when (docs/spec/phones.md §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.domain.jobs import list_jobs
from tests.support.system import MAC, System, edits, refused

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

OTHER = "0004f2000002"


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    system = System(soap, database)
    system.add_users("1", "2")
    system.add_phone(MAC, "polycom331", groups=["G"], lines=[{"userId": "1"}])
    system.add_phone(OTHER, "polycom331", groups=["G"], lines=[{"userId": "2"}])
    return system


def execute(system: System, sql: str) -> None:
    with system.database.engine.begin() as connection:
        connection.exec_driver_sql(sql)


def files(system: System) -> list[list[str]]:
    with system.database.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT files FROM jobs WHERE kind = 'removal' AND state = 'waiting' ORDER BY id"
        )
        return [list(row.files) for row in rows]


def test_each_matched_phone_gets_a_job_of_each_kind_asked_for(system: System) -> None:
    system.do("managePhone", search={"byGroup": "G"}, generateProfiles=True)
    assert system.jobs() == [("profiles", MAC), ("profiles", OTHER)]
    system.manage_phone(OTHER, restart=True)
    assert system.jobs()[2:] == [("restart", OTHER)]


def test_profiles_are_queued_before_the_restart(system: System) -> None:
    system.manage_phone(restart=True, generateProfiles=True)
    assert system.jobs() == [("profiles", MAC), ("restart", MAC)]


def test_waiting_jobs_of_one_phone_and_kind_are_merged(system: System) -> None:
    for _ in range(3):
        system.do("managePhone", generateProfiles=True, restart=True)
    assert sorted(system.jobs()) == sorted(
        [("profiles", MAC), ("profiles", OTHER), ("restart", MAC), ("restart", OTHER)]
    )
    system.edit_user("1", firstName="x")
    assert len(system.jobs()) == 4


def test_a_job_that_is_over_is_not_merged(system: System) -> None:
    system.manage_phone(generateProfiles=True)
    execute(system, "UPDATE jobs SET state = 'done', finished = now()")
    system.manage_phone(generateProfiles=True)
    assert system.jobs() == [("profiles", MAC)]
    assert system.jobs(state="done") == [("profiles", MAC)]


@pytest.mark.parametrize(
    "changes",
    [
        {"edit": edits(description="x", deviceVersion="polycom3.1.X", groups="H")},
        {"addLine": {"userId": "2"}},
        {"addExternalLine": {"userId": "x", "registrationServer": "h"}},
        {"removeLineByUserId": "1"},
        {"addGroup": "H", "removeGroup": "G"},
        {"edit": edits(serialNumber="00:04:F2:AA:BB:CC")},
        {"generateProfiles": False, "restart": False},
    ],
)
def test_edits_and_lines_of_a_phone_queue_none_by_themselves(
    system: System, changes: dict[str, Any]
) -> None:
    system.manage_phone(**changes)
    assert system.jobs() == []


def test_nothing_is_queued_when_the_call_is_refused(system: System) -> None:
    system.refuses(
        refused("unknownUser", "addLine.userId", "9"),
        operation="managePhone",
        generateProfiles=True,
        restart=True,
        addLine={"userId": "9"},
    )
    assert system.jobs() == []


def test_a_changed_serial_number_queues_the_removal_of_the_old_files(system: System) -> None:
    system.manage_phone(edit=edits(serialNumber="0004f2000001"))
    assert ("removal", MAC) in system.jobs()
    assert files(system) == [[f"{MAC}-sipx-phone.cfg", f"{MAC}.cfg"]]


def test_deleting_a_phone_queues_the_removal_of_its_files(system: System) -> None:
    system.do("managePhone", deletePhone=True)
    assert system.jobs() == [("removal", MAC), ("removal", OTHER)]
    assert files(system)[0] == [f"{MAC}-sipx-phone.cfg", f"{MAC}.cfg"]


def test_deleting_a_phone_cancels_its_waiting_jobs(system: System) -> None:
    system.do("managePhone", generateProfiles=True, restart=True)
    system.manage_phone(deletePhone=True)
    assert system.jobs(state="cancelled") == [("profiles", MAC), ("restart", MAC)]
    assert sorted(system.jobs()) == [("profiles", OTHER), ("removal", MAC), ("restart", OTHER)]


def test_the_files_of_an_earlier_serial_number_go_although_the_phone_is_deleted(
    system: System,
) -> None:
    system.manage_phone(edit=edits(serialNumber="0004f2000001"))
    system.manage_phone("0004f2000001", deletePhone=True)
    removed = {file for each in files(system) for file in each}
    assert removed == {
        f"{serial}{suffix}"
        for serial in (MAC, "0004f2000001")
        for suffix in ("-sipx-phone.cfg", ".cfg")
    }


def test_jobs_are_listed_oldest_first_though_their_phones_are_gone(system: System) -> None:
    system.manage_phone(generateProfiles=True)
    system.manage_phone(OTHER, restart=True)
    system.manage_phone(deletePhone=True)
    with system.database.engine.connect() as connection:
        listed = [(job.kind, job.serial, job.state, job.attempts) for job in list_jobs(connection)]
        only = [job.kind for job in list_jobs(connection, state="waiting", serial=MAC)]
    assert listed == [
        ("profiles", MAC, "cancelled", 0),
        ("restart", OTHER, "waiting", 0),
        ("removal", MAC, "waiting", 0),
    ]
    assert only == ["removal"]
