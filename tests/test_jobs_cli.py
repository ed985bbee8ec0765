"""Jobs and profiles from the command line (docs/spec/phones.md §2, §3)."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.settings import Settings
from tests.support import in_process
from tests.support.cli import Cli
from tests.support.system import MAC, System
from tests.support.worker import LIMIT, all_jobs, ended, wait_for, working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

    Work = Callable[[], AbstractContextManager[None]]

OTHER = "0004f2000002"
BAD = "0004f2000003"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """A phone, another one in a group, and one whose password its file cannot carry."""
    system = System(soap, database)
    system.add_users("201", firstName="Ann")
    system.add_users("202", sipPassword='a"b')
    system.add_phone(MAC, "polycom331", lines=[{"userId": "201"}])
    system.add_phone(OTHER, "polycom331", groups=["lobby"])
    system.add_phone(BAD, "cisco7960", lines=[{"userId": "202"}])
    return system


@pytest.fixture
def cli(tmp_path: Path, database_url: str) -> Cli:
    cli = Cli(tmp_path)
    cli.environ["SIPXCONFIG_DATABASE_URL"] = database_url
    return cli


@pytest.fixture
def work(tmp_path: Path, database_url: str) -> Work:
    """Runs a worker."""
    values = {"job_retry_delays": "0.05", "restart_spacing": "0.01"}
    settings = Settings.load({}, data_dir=str(tmp_path), **values)
    return lambda: working(database_url, settings)


@pytest.fixture
def with_jobs(system: System, work: Work) -> System:
    """One profile is written, one failed, one is waiting."""
    system.manage_phone(MAC, generateProfiles=True)
    system.manage_phone(BAD, generateProfiles=True)
    with work():
        ended(system.database.engine)
    system.manage_phone(OTHER, generateProfiles=True)
    return system


def listed(cli: Cli, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli.ok("jobs", "--json", *options).splitlines()]


# -- jobs ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("with_jobs")
def test_every_job_is_an_object_with_these_fields(cli: Cli) -> None:
    done, failed, waiting = listed(cli)
    fields = ["id", "kind", "serial", "state", "reason", "attempts", "created", "finished"]
    assert list(done) == list(failed) == list(waiting) == fields
    assert done | {"created": "", "finished": ""} == {
        "id": 1,
        "kind": "profiles",
        "serial": MAC,
        "state": "done",
        "reason": None,
        "attempts": 1,
        "created": "",
        "finished": "",
    }
    assert re.fullmatch(TIME, done["created"])
    assert re.fullmatch(TIME, done["finished"])
    assert (failed["state"], failed["attempts"]) == ("failed", 1)
    assert failed["reason"].startswith("line 1: password ")
    assert (waiting["state"], waiting["attempts"], waiting["finished"]) == ("waiting", 0, None)


@pytest.mark.usefixtures("with_jobs")
def test_filters(cli: Cli) -> None:
    expected = {
        ("--state", "failed"): [BAD],
        ("--state", "done"): [MAC],
        ("--serial", MAC): [MAC],
        ("--serial", "00:04:F2:AA:BB:CC"): [MAC],
        ("--serial", "none"): [],
        ("--serial", MAC, "--state", "failed"): [],
        ("--since", "1h"): [MAC, BAD, OTHER],
        ("--since", "2999-01-01"): [],
    }
    found = {options: [job["serial"] for job in listed(cli, *options)] for options in expected}
    assert found == expected


@pytest.mark.usefixtures("with_jobs")
def test_jobs_as_a_table(cli: Cli) -> None:
    head, *rows = cli.ok("jobs").splitlines()
    names = ["id", "kind", "serial", "state", "reason", "attempts", "created", "finished"]
    assert head.split() == names
    assert len(rows) == 3


def test_a_state_that_there_is_not(cli: Cli) -> None:
    code, _, errors = cli.run("jobs", "--state", "lost")
    assert code == 2
    assert "'lost' is none of waiting, running, done, failed, unsupported, cancelled" in errors


def test_follow_prints_every_change(system: System, cli: Cli, work: Work) -> None:
    system.manage_phone(MAC, generateProfiles=True)
    lines: list[dict[str, Any]] = []
    with cli.popen("jobs", "--follow", "--json") as process:
        assert process.stdout is not None
        output = process.stdout
        reader = threading.Thread(target=lambda: lines.extend(json.loads(line) for line in output))
        reader.start()
        wait_for(lambda: lines)
        assert [(line["serial"], line["state"]) for line in lines] == [(MAC, "waiting")]
        with work():
            wait_for(lambda: (MAC, "done") in [(line["serial"], line["state"]) for line in lines])
            system.manage_phone(BAD, generateProfiles=True)
            wait_for(lambda: (BAD, "failed") in [(line["serial"], line["state"]) for line in lines])
        process.terminate()
        process.wait(LIMIT)
        reader.join(LIMIT)
    seen = [(line["serial"], line["state"]) for line in lines]
    assert len(set(seen)) == len(seen)


# -- jobs retry and purge ------------------------------------------------------------------------


def test_failed_jobs_wait_again(with_jobs: System, cli: Cli, work: Work) -> None:
    with_jobs.do("manageUser", search={"byUserName": "202"}, deleteUser=True)
    engine = with_jobs.database.engine
    with work():
        ended(engine)
    # A newer one stands for the failed one by now, and has done it.
    with_jobs.add_users("203", sipPassword='a"b')
    with_jobs.manage_phone(BAD, addLine={"userId": "203"}, generateProfiles=True)
    with work():
        failed = [number for number, job in enumerate(ended(engine), 1) if job.state == "failed"]
    assert cli.ok("jobs", "retry", str(failed[0])) == "Jobs that wait again: 0.\n"
    assert cli.ok("jobs", "retry", "--all") == "Jobs that wait again: 1.\n"
    again = all_jobs(engine)[failed[-1] - 1]
    assert (again.state, again.attempts) == ("waiting", 0)
    with_jobs.edit_user("203", sipPassword="plain")
    with work():
        found = ended(engine)
    assert found[failed[-1] - 1].state == "done"
    # The change of the password was merged into it.
    assert len(found) == failed[-1]


@pytest.mark.usefixtures("with_jobs")
def test_a_job_of_a_deleted_phone_is_not_tried_again(with_jobs: System, cli: Cli) -> None:
    with_jobs.manage_phone(BAD, deletePhone=True)
    assert cli.ok("jobs", "retry", "--all") == "Jobs that wait again: 0.\n"
    assert cli.ok("jobs", "retry", "2") == "Jobs that wait again: 0.\n"


def test_retry_wants_to_know_what(cli: Cli) -> None:
    for arguments in ([], ["1", "--all"]):
        code, _, errors = cli.run("jobs", "retry", *arguments)
        assert code == 2
        assert "Name the numbers of jobs, or --all." in errors


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["retry", str(2**63)], "9223372036854775808 is not in the range"),
        (["purge", "--days", "1e9"], "1e+09 is not from 0 to 36500."),
        (["purge", "--days", "nan"], "nan is not from 0 to 36500."),
        (["purge", "--days", "-1"], "-1 is not from 0 to 36500."),
    ],
)
def test_numbers_that_there_cannot_be(cli: Cli, arguments: list[str], reason: str) -> None:
    code, _, message = cli.run("jobs", *arguments)
    assert code == 2
    assert reason in message


def test_purge(with_jobs: System, cli: Cli) -> None:
    with with_jobs.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET finished = finished - interval '40 days' WHERE state = 'done'"
        )
    assert cli.ok("jobs", "purge") == "Jobs deleted: 1.\n"
    assert [job["state"] for job in listed(cli)] == ["failed", "waiting"]
    assert cli.ok("jobs", "purge", "--days", "0") == "Jobs deleted: 1.\n"
    assert [job["state"] for job in listed(cli)] == ["waiting"]


# -- profile -------------------------------------------------------------------------------------


def test_profile_prints_what_is_written(with_jobs: System, cli: Cli, tmp_path: Path) -> None:
    root = tmp_path / "data" / "profiles"
    cli.environ["SIPXCONFIG_DOMAIN"] = "example.org"
    with_jobs.edit_user("201", firstName="Söhne", lastName="漢字")
    settings = Settings.load({}, data_dir=str(tmp_path / "data"))
    with working(cli.environ["SIPXCONFIG_DATABASE_URL"], settings):
        ended(with_jobs.database.engine)
    lines, application = f"{MAC}-sipx-phone.cfg", f"{MAC}.cfg"
    process = cli.popen("profile", MAC)
    assert process.stdout is not None
    with process:
        assert process.stdout.buffer.read() == (root / lines).read_bytes()
    for arguments, name in (
        (["00-04-F2-AA-BB-CC"], lines),
        ([MAC, "--file", lines], lines),
        ([MAC, "--file", application], application),
    ):
        written = (root / name).read_bytes()
        assert in_process.run(cli.environ, ["profile", *arguments]) == (0, written, b"")


def test_profiles_that_are_not(system: System, cli: Cli) -> None:
    assert system.serials() == [MAC, OTHER, BAD]
    assert cli.fails("profile", "0004f2999999") == (
        "There is no phone with the serial number '0004f2999999'."
    )
    assert cli.fails("profile", MAC, "--file", "../x") == (
        f"This phone has no file '../x'; it has {MAC}-sipx-phone.cfg, {MAC}.cfg."
    )
    sentence = cli.fails("profile", BAD)
    assert sentence.startswith("The profile cannot be written: line 1: password ")
    assert 'a"b' not in sentence


# -- profiles regenerate -------------------------------------------------------------------------


def test_profiles_of_a_group(system: System, cli: Cli, work: Work) -> None:
    with work():
        output = cli.ok("profiles", "regenerate", "--group", " lobby ")
    assert output == "Phones whose profiles are queued: 1.\nJobs done: 1.\n"
    assert [job.serial for job in all_jobs(system.database.engine)] == [OTHER]


def test_a_failure_is_told(system: System, cli: Cli, work: Work) -> None:
    with work():  # whose log would be among the errors
        code, output, errors = cli.process("profiles", "regenerate", "--all")
    assert output == "Phones whose profiles are queued: 3.\nJobs done: 2, failed: 1.\n"
    assert (code, errors) == (1, "Error: sipxconfig-soap jobs --state failed tells why.\n")
    assert len(all_jobs(system.database.engine)) == 3


def test_nobody_needs_to_wait(system: System, cli: Cli) -> None:
    output = cli.ok("profiles", "regenerate", "--all", "--no-wait")
    assert output == "Phones whose profiles are queued: 3.\n"
    assert {job.state for job in all_jobs(system.database.engine)} == {"waiting"}


@pytest.mark.usefixtures("system")
def test_regenerate_wants_to_know_what(cli: Cli) -> None:
    for arguments in ([], ["--all", "--group", "lobby"]):
        code, _, errors = cli.run("profiles", "regenerate", *arguments)
        assert code == 2
        assert "Name either --all or --group NAME." in errors
    assert cli.fails("profiles", "regenerate", "--group", "nowhere") == (
        "There is no group of phones called 'nowhere'."
    )


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a pseudo-terminal."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def test_progress_on_a_terminal(
    system: System, cli: Cli, work: Work, terminal: tuple[int, int]
) -> None:
    ours, theirs = terminal
    system.manage_phone(BAD, deletePhone=True)
    cli.environ |= {"TERM": "xterm", "COLUMNS": "100"}
    shown: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "sipxconfig_soap", "profiles", "regenerate", "--all"],
        env=cli.environ,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        reader = threading.Thread(target=lambda: shown.append(read_all(ours)))
        reader.start()
        wait_for(lambda: len(all_jobs(system.database.engine)) == 3)
        with work():
            assert process.wait(LIMIT) == 0
        reader.join(LIMIT)
    (text,) = shown
    assert "Writing profiles" in text
    assert "100%" in text
    assert text.endswith("Jobs done: 2.\r\n")


def read_all(terminal: int) -> str:
    """What is printed on a terminal until everybody else has closed it."""
    pieces = []
    # Linux says EIO at its end.
    with suppress(OSError):
        while piece := os.read(terminal, 65536):
            pieces.append(piece)
    return b"".join(pieces).decode()


@pytest.mark.parametrize(
    "before", [["--data-dir", "elsewhere"], ["--state", "failed"], ["--serial", MAC], ["--json"]]
)
@pytest.mark.parametrize("command", [["purge", "--days", "0"], ["retry", "--all"]])
def test_options_of_the_list_are_not_taken_for_those_of_a_change(
    cli: Cli, before: list[str], command: list[str]
) -> None:
    code, _, errors = cli.run("jobs", *before, *command)
    assert code == 2
    assert f"{before[0]} is an option of the list" in errors
