"""What a worker makes of jobs: files, restarts, retries, reasons (docs/spec/phones.md §2)."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.jobs import queue, worker
from sipxconfig_soap.settings import Settings
from tests.support.system import MAC, System, edits
from tests.support.worker import (
    LIMIT,
    Job,
    SipPeer,
    all_jobs,
    closed_port,
    ended,
    files_below,
    wait_for,
    working,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

    Work = Callable[..., AbstractContextManager[None]]

OTHER = "0004f2000002"
NEW = "0004f2000003"
BOTH = sorted([f"{MAC}-sipx-phone.cfg", f"{MAC}.cfg"])


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """A phone with a line of user 201."""
    system = System(soap, database)
    system.add_users("201", firstName="Ann", sipPassword="s3cret")
    system.add_phone(MAC, "polycom331", lines=[{"userId": "201"}])
    return system


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "profiles"


@pytest.fixture
def work(database_url: str, tmp_path: Path) -> Work:
    """Runs a worker with these settings beside the usual ones of these tests."""

    def run(**settings: str) -> AbstractContextManager[None]:
        usual = {"restart_spacing": "0.01", "job_retry_delays": "0.05 0.05"}
        values = {"data_dir": str(tmp_path), **usual, **settings}
        return working(database_url, Settings.load({}, **values))

    return run


@pytest.fixture
def peer() -> Iterator[SipPeer]:
    with SipPeer() as peer:
        yield peer


def done(system: System) -> list[Job]:
    return ended(system.database.engine)


def outcomes(system: System) -> list[tuple[str, str]]:
    return [(job.kind, job.state) for job in done(system)]


def profile(root: Path, serial: str = MAC) -> str:
    return (root / f"{serial}-sipx-phone.cfg").read_text()


# -- files ---------------------------------------------------------------------------------------


def test_a_job_starts_by_itself_when_it_is_committed(
    system: System, work: Work, root: Path
) -> None:
    with work():
        # It has long fallen asleep: only the notification can wake it.
        time.sleep(1)
        begun = time.monotonic()
        system.manage_phone(generateProfiles=True)
        wait_for((root / f"{MAC}.cfg").exists)
        assert time.monotonic() - begun < LIMIT / 4
        assert done(system) == [Job("profiles", MAC, "done", None, 1)]
    assert files_below(root) == BOTH
    assert 'reg.1.displayName="Ann"' in profile(root)


def test_what_waited_before_the_worker_came(system: System, work: Work, root: Path) -> None:
    system.manage_phone(generateProfiles=True)
    with work():
        done(system)
    assert files_below(root) == BOTH


def test_modes_of_files_and_folders(system: System, work: Work, root: Path) -> None:
    system.add_phone("000b82aabbcc", "gsPhoneGxp2020")
    system.do("managePhone", generateProfiles=True)
    with work():
        done(system)
    for path in [root, *root.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o2750 if path.is_dir() else 0o640)


def test_the_phone_counts_as_it_is_when_the_job_is_done(
    system: System, work: Work, root: Path
) -> None:
    system.manage_phone(generateProfiles=True)
    system.edit_user("201", firstName="Zoë")
    system.add_users("202")
    system.manage_phone(addLine={"userId": "202"})
    with work():
        assert outcomes(system) == [("profiles", "done")]
    assert 'reg.1.displayName="Zoë"' in profile(root)
    assert 'reg.2.address="202"' in profile(root)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"firstName": "Eve"}, 'reg.1.displayName="Eve"'),
        ({"lastName": "Lee"}, 'reg.1.displayName="Ann Lee"'),
        ({"sipPassword": "n3w"}, 'reg.1.auth.password="n3w"'),
        ({"userName": "301"}, 'reg.1.address="301"'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_change_of_a_user_reaches_the_phone(
    system: System, work: Work, root: Path, change: dict[str, str], shown: str
) -> None:
    with work():
        system.edit_user("201", **change)
        assert outcomes(system) == [("profiles", "done")]
        assert shown in profile(root)


def test_a_deleted_user_leaves_the_phone(system: System, work: Work, root: Path) -> None:
    with work():
        system.do("manageUser", search={"byUserName": "201"}, deleteUser=True)
        assert outcomes(system) == [("profiles", "done")]
    assert "201" not in profile(root)


def test_deleting_a_phone_removes_its_files(system: System, work: Work, root: Path) -> None:
    system.add_phone(OTHER, "polycom331")
    with work():
        system.do("managePhone", generateProfiles=True)
        done(system)
        system.manage_phone(deletePhone=True)
        assert outcomes(system)[2:] == [("removal", "done")]
    assert files_below(root) == sorted([f"{OTHER}-sipx-phone.cfg", f"{OTHER}.cfg"])


def test_a_waiting_job_of_a_deleted_phone_writes_nothing(
    system: System, work: Work, root: Path
) -> None:
    system.manage_phone(generateProfiles=True, restart=True)
    system.manage_phone(deletePhone=True)
    with work():
        found = outcomes(system)
    assert found == [("profiles", "cancelled"), ("restart", "cancelled"), ("removal", "done")]
    assert not root.exists()


def test_a_changed_serial_number_moves_what_was_there(
    system: System, work: Work, root: Path
) -> None:
    with work():
        system.manage_phone(generateProfiles=True)
        done(system)
        system.manage_phone(edit=edits(serialNumber=NEW))
        assert outcomes(system)[1:] == [("removal", "done"), ("profiles", "done")]
    assert files_below(root) == sorted([f"{NEW}-sipx-phone.cfg", f"{NEW}.cfg"])


def test_a_changed_serial_number_moves_only_what_was_there(
    system: System, work: Work, root: Path
) -> None:
    system.manage_phone(edit=edits(serialNumber=NEW))
    with work():
        assert outcomes(system) == [("removal", "done")]
    assert files_below(root) == []


def test_a_phone_that_moves_with_new_profiles_gets_them_once(
    system: System, work: Work, root: Path
) -> None:
    with work():
        system.manage_phone(generateProfiles=True)
        done(system)
    system.manage_phone(edit=edits(serialNumber=NEW), generateProfiles=True)
    with work():
        assert outcomes(system)[1:] == [("removal", "done"), ("profiles", "done")]
    assert files_below(root) == sorted([f"{NEW}-sipx-phone.cfg", f"{NEW}.cfg"])


def test_a_profile_that_waits_while_the_phone_moves_goes_to_the_new_place(
    system: System, work: Work, root: Path
) -> None:
    system.manage_phone(generateProfiles=True)
    system.manage_phone(edit=edits(serialNumber=NEW))
    with work():
        states = outcomes(system)
    assert states == [("profiles", "cancelled"), ("removal", "done"), ("profiles", "done")]
    assert files_below(root) == sorted([f"{NEW}-sipx-phone.cfg", f"{NEW}.cfg"])


def test_a_phone_that_takes_over_a_serial_number_keeps_its_file(
    system: System, work: Work, root: Path
) -> None:
    system.add_phone(OTHER, "polycom331", description="second")
    system.do("managePhone", search={"bySerialNumber": MAC}, generateProfiles=True)
    with work():
        done(system)
    # The profile of the second phone waits when the first makes way for it.
    system.manage_phone(OTHER, generateProfiles=True)
    system.manage_phone(edit=edits(serialNumber=NEW))
    system.manage_phone(OTHER, edit=edits(serialNumber=MAC))
    with work():
        done(system)
    names = [f"{serial}{end}" for serial in (MAC, NEW) for end in ("-sipx-phone.cfg", ".cfg")]
    assert files_below(root) == sorted(names)
    assert "reg.1.address" not in profile(root)
    assert 'reg.1.address="201"' in profile(root, NEW)


def test_a_reset_removes_all_files(system: System, work: Work, root: Path) -> None:
    with work():
        system.manage_phone(generateProfiles=True)
        done(system)
        system.do("resetServices", phone=True, user=True)
        done(system)
    assert files_below(root) == []


# -- what cannot be written ----------------------------------------------------------------------


@pytest.fixture
def cisco(system: System) -> str:
    """A phone whose format knows no escape."""
    serial = "00085d000001"
    system.add_phone(serial, "cisco7960", lines=[{"userId": "201"}])
    return serial


def test_a_password_that_the_format_cannot_carry(
    system: System, cisco: str, work: Work, root: Path
) -> None:
    with work():
        system.manage_phone(cisco, generateProfiles=True)
        done(system)
        written, shared = files_below(root)
        system.add_users("202", sipPassword='top " s3cret')
        system.manage_phone(cisco, addLine={"userId": "202"}, generateProfiles=True)
        job = done(system)[-1]
        assert files_below(root) == [shared]
        assert (job.state, job.attempts) == ("failed", 1)
        assert job.reason is not None
        assert job.reason.startswith("line 2: password ")
        assert "s3cret" not in job.reason
        system.edit_user("202", sipPassword="plain")
        assert done(system)[-1].state == "done"
    assert files_below(root) == [written, shared]


def test_a_restart_fails_with_its_profiles(
    system: System, cisco: str, work: Work, peer: SipPeer
) -> None:
    system.edit_user("201", sipPassword='top " s3cret')
    with work(sip_proxy=peer.address):
        system.manage_phone(cisco, generateProfiles=True, restart=True)
        found = [job for job in done(system) if job.serial == cisco]
    assert [(job.kind, job.state) for job in found] == [
        ("profiles", "failed"),
        ("restart", "failed"),
    ]
    assert str(found[1].reason).startswith("its profiles failed: line 1: password ")
    assert peer.heard == []


def test_one_phone_that_fails_holds_nobody_up(
    system: System, cisco: str, work: Work, root: Path
) -> None:
    system.edit_user("201", sipPassword='top " s3cret')
    with work():
        states = {job.serial: job.state for job in done(system)}
    assert states == {MAC: "done", cisco: "failed"}
    assert files_below(root) == BOTH


def unusable(root: Path) -> None:
    root.parent.mkdir(exist_ok=True)
    root.write_text("a file where the folder should be")


def test_an_unusable_root_is_tried_again_then_failed_with_the_restart(
    system: System, work: Work, root: Path, peer: SipPeer
) -> None:
    unusable(root)
    with work(sip_proxy=peer.address):
        system.manage_phone(generateProfiles=True, restart=True)
        first, second = done(system)
    reason = f"{root}/{MAC}.cfg: Not a directory"
    assert first == Job("profiles", MAC, "failed", reason, 3)
    assert second == Job("restart", MAC, "failed", f"its profiles failed: {reason}", 0)
    assert peer.heard == []


def test_a_root_that_becomes_usable_in_time(
    system: System, work: Work, root: Path, peer: SipPeer
) -> None:
    unusable(root)
    with work(sip_proxy=peer.address, job_retry_delays="0.5 " * 60):
        system.manage_phone(generateProfiles=True, restart=True)
        waiting = wait_for(
            lambda: [job for job in all_jobs(system.database.engine) if job.reason is not None]
        )
        assert waiting[0].state in ("waiting", "running")
        # The restart waits for the retries.
        assert peer.heard == []
        root.unlink()
        assert outcomes(system) == [("profiles", "done"), ("restart", "done")]
    assert len(peer.heard) == 1
    assert files_below(root) == BOTH


def test_a_pause_that_ends_while_the_worker_looks_is_not_slept_through(
    system: System, work: Work, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = queue.next_due

    def ask_late(*arguments: Any) -> float | None:
        time.sleep(0.3)
        return ask(*arguments)

    monkeypatch.setattr(queue, "next_due", ask_late)
    monkeypatch.setattr(worker, "LOOK_SECONDS", 3600.0)
    unusable(root)
    with work(job_retry_delays="0.1 0.1"):
        system.manage_phone(generateProfiles=True)
        assert outcomes(system) == [("profiles", "failed")]


def test_a_removal_that_fails_is_tried_again(system: System, work: Work, root: Path) -> None:
    (root / f"{MAC}.cfg").mkdir(parents=True)
    system.manage_phone(deletePhone=True)
    with work(job_retry_delays="0.2 " * 60):
        wait_for(lambda: all_jobs(system.database.engine)[0].reason is not None)
        (root / f"{MAC}.cfg").rmdir()
        assert outcomes(system) == [("removal", "done")]


def test_what_nobody_foresaw_fails_with_a_reference(
    system: System, work: Work, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("a secret")

    monkeypatch.setattr("sipxconfig_soap.jobs.files.Renderer.render", broken)
    with work():
        system.manage_phone(generateProfiles=True)
        (job,) = done(system)
    assert job.state == "failed"
    assert str(job.reason).startswith("internal error (reference ")
    assert files_below(root) == []


# -- restarts ------------------------------------------------------------------------------------


def test_profiles_then_restart(system: System, work: Work, root: Path, peer: SipPeer) -> None:
    present: list[list[str]] = []
    with work(sip_proxy=peer.address):
        system.manage_phone(generateProfiles=True, restart=True)
        wait_for(lambda: peer.heard)
        present.append(files_below(root))
        assert done(system) == [
            Job("profiles", MAC, "done", None, 1),
            Job("restart", MAC, "done", None, 1),
        ]
    assert present == [BOTH]
    assert peer.heard[0].startswith(f"NOTIFY sip:~~in~{MAC}@example.org SIP/2.0\r\n".encode())


def test_starts_are_spaced_out(system: System, work: Work, peer: SipPeer) -> None:
    for number in range(4):
        system.add_phone(f"0004f200010{number}", "polycom331")
    with work(sip_proxy=peer.address, restart_spacing="0.2"):
        system.do("managePhone", restart=True)
        done(system)
    gaps = [late - early for early, late in zip(peer.times, peer.times[1:], strict=False)]
    assert len(gaps) == 4
    # Sendings are spaced out; their arrivals may lag.
    assert peer.times[-1] - peer.times[0] >= 4 * 0.2 - 0.15


@pytest.mark.parametrize("code", [404, 480, 503])
def test_a_final_answer_is_final(system: System, work: Work, code: int) -> None:
    with SipPeer(code) as peer, work(sip_proxy=peer.address):
        system.manage_phone(restart=True)
        (job,) = done(system)
    assert job == Job("restart", MAC, "failed", f"answered {code} Noted", 1)
    assert len(peer.heard) == 1


def test_a_dead_proxy_is_tried_again_then_failed(system: System, work: Work) -> None:
    proxy = closed_port()
    with work(sip_proxy=proxy):
        system.manage_phone(restart=True)
        (job,) = done(system)
    host, _, port = proxy.partition(":")
    assert job == Job("restart", MAC, "failed", f"{host} port {port}: Connection refused", 3)


def test_a_name_that_does_not_resolve(system: System, work: Work) -> None:
    with work(sip_proxy="no-such-host.invalid"):
        system.manage_phone(restart=True)
        (job,) = done(system)
    assert (job.state, job.attempts) == ("failed", 3)
    assert str(job.reason).startswith("no-such-host.invalid port 5060: ")


def test_a_proxy_that_comes_back(system: System, work: Work) -> None:
    with SipPeer() as peer:
        proxy = peer.address
    with work(sip_proxy=proxy, job_retry_delays="0.2 " * 200):
        system.manage_phone(restart=True)
        wait_for(lambda: all_jobs(system.database.engine)[0].reason is not None)
        with SipPeer(port=int(proxy.rpartition(":")[2])):
            (job,) = done(system)
    assert job.state == "done"
    assert job.attempts > 1


def test_a_model_that_cannot_be_restarted(system: System, work: Work) -> None:
    system.add_phone(OTHER, "karelIP116")
    with work():
        system.manage_phone(OTHER, restart=True)
        (job,) = done(system)
    reason = "the model karelIP116 cannot be restarted from here"
    assert job == Job("restart", OTHER, "unsupported", reason, 1)


def test_a_first_line_restart_without_lines(system: System, work: Work, peer: SipPeer) -> None:
    system.add_phone("00085d000001", "cisco7960", lines=[])
    with work(sip_proxy=peer.address):
        system.manage_phone("00085d000001", restart=True)
        (job,) = done(system)
    assert job.state == "failed"
    assert "no line of a user" in str(job.reason)
    assert peer.heard == []


def test_a_silent_phone_holds_nobody_up(system: System, work: Work) -> None:
    with SipPeer(None) as peer, work(sip_proxy=peer.address):
        system.add_phone(OTHER, "polycom331")
        system.manage_phone(restart=True)
        wait_for(lambda: peer.heard)
        peer.code = 200
        system.manage_phone(OTHER, restart=True)
        wait_for(lambda: all_jobs(system.database.engine)[1].state == "done")


def test_a_restart_under_way_waits_again_when_the_worker_stops(system: System, work: Work) -> None:
    with SipPeer(None) as peer, work(sip_proxy=peer.address):
        system.manage_phone(restart=True)
        wait_for(lambda: peer.heard)
        assert all_jobs(system.database.engine)[0].state == "running"
    (job,) = all_jobs(system.database.engine)
    assert job == Job("restart", MAC, "waiting", "its worker was stopped", 1)
    with SipPeer() as answering, work(sip_proxy=answering.address):
        assert done(system)[0] == Job("restart", MAC, "done", None, 2)


def test_restarts_are_merged_with_one_that_waits(system: System, work: Work, peer: SipPeer) -> None:
    for _ in range(3):
        system.manage_phone(generateProfiles=True, restart=True)
    with work(sip_proxy=peer.address):
        assert outcomes(system) == [("profiles", "done"), ("restart", "done")]
    assert len(peer.heard) == 1
