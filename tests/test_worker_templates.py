"""Workers with an administrator's templates and files for many phones (docs/spec/phones.md §3)."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.settings import Settings
from tests.support.system import MAC, System
from tests.support.templates import write
from tests.support.worker import Job, SipPeer, all_jobs, ended, files_below, wait_for, working

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

    Work = Callable[..., AbstractContextManager[None]]

OTHER = "0004f2000002"
POLYCOM = f"{MAC}-sipx-phone.cfg"


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """A phone with a line of user 201."""
    system = System(soap, database)
    system.add_users("201", firstName="Ann", sipPassword="s3cret")
    system.add_phone(MAC, "polycom331", lines=[{"userId": "201"}], groups=["Sales", "Reception"])
    return system


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "profiles"


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    directory = tmp_path / "templates"
    directory.mkdir()
    return directory


@pytest.fixture
def work(database_url: str, tmp_path: Path, templates: Path) -> Work:
    """Runs a worker with these settings beside the usual ones of these tests."""

    def run(**settings: str) -> AbstractContextManager[None]:
        usual = {"job_retry_delays": "0.05 0.05", "profile_templates": str(templates)}
        values = {"data_dir": str(tmp_path), **usual, **settings}
        return working(database_url, Settings.load({}, **values))

    return run


def done(system: System) -> list[Job]:
    return ended(system.database.engine)


def generate(system: System, serial: str = MAC) -> Job:
    """Have the files of a phone written; returns the job when it has ended."""
    system.manage_phone(serial, generateProfiles=True)
    return done(system)[-1]


# -- own templates ---------------------------------------------------------------------------------


def test_groups_count_in_the_order_that_the_phone_shows(
    system: System, work: Work, root: Path, templates: Path
) -> None:
    text = "{{% extends parent %}}{{% block own %}}\n<{}/>{{{{ super() }}}}{{% endblock %}}"
    for group in system.phone()["groups"]:
        write(templates, f"group/{group}.j2", text.format(group))
    with work():
        assert generate(system).state == "done"
        assert "<Reception/><Sales/>" in (root / POLYCOM).read_text()
        system.manage_phone(removeGroup="Reception")
        assert generate(system).state == "done"
        assert "<Reception/>" not in (root / POLYCOM).read_text()


def test_a_mistake_fails_the_job_and_the_file_stays(
    system: System, work: Work, root: Path, templates: Path
) -> None:
    with SipPeer() as peer, work(sip_proxy=peer.address, restart_spacing="0.01"):
        assert generate(system).state == "done"
        before = (root / POLYCOM).read_bytes()
        write(templates, "family/polycom.j2", "{% extends parent %}\n{{ oops }}\n")
        write(templates, "model/polycom331.j2", "{% extends parent %}{{ oops }}")
        system.manage_phone(generateProfiles=True, restart=True)
        profiles, restart = done(system)[-2:]
        reason = "family/polycom.j2, line 2: 'oops' is undefined"
        # What follows "extends" is written by nobody, so the mistake in the other is none.
        assert (profiles.state, profiles.reason, profiles.attempts) == ("done", None, 1)
        write(templates, "family/polycom.j2", "\n{{ oops }}\n")
        system.manage_phone(generateProfiles=True, restart=True)
        profiles, restart = done(system)[-2:]
        assert profiles == Job("profiles", MAC, "failed", reason, 1)
        assert restart.reason == f"its profiles failed: {reason}"
        assert (root / POLYCOM).read_bytes() == before
        write(templates, "family/polycom.j2", "fine\n")
        assert generate(system).state == "done"
        assert (root / POLYCOM).read_text() == "fine\n"
        assert len(peer.heard) == 1


def test_a_loop_for_ever_holds_nobody_up(
    system: System, work: Work, root: Path, templates: Path
) -> None:
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    write(templates, "family/polycom.j2", loop)
    for number in range(10, 30):
        system.add_phone(f"0004f20001{number}", "polycom331")
    system.add_phone(OTHER, "snom300")
    system.do("managePhone", generateProfiles=True)
    with work():
        found = {job.serial: (job.state, job.reason) for job in done(system)}
    assert found.pop(OTHER) == ("done", None)
    reason = "family/polycom.j2, line 1: takes more than 2 seconds"
    assert (len(found), set(found.values())) == (21, {("failed", reason)})
    assert files_below(root) == [f"{OTHER.upper()}.xml"]


def test_a_directory_that_comes_back_in_time(
    system: System, work: Work, root: Path, templates: Path
) -> None:
    templates.rmdir()
    with work(job_retry_delays="0.2 " * 100):
        system.manage_phone(generateProfiles=True)
        engine = system.database.engine
        reason = f"{templates}: No such file or directory"
        wait_for(
            lambda: reason in {job.reason for job in all_jobs(system.database.engine)}, str(engine)
        )
        write(templates, "family/polycom.j2", "fine\n")
        assert done(system)[-1].state == "done"
    assert (root / POLYCOM).read_text() == "fine\n"


def test_a_value_that_does_not_fit_removes_the_old_file(
    system: System, work: Work, root: Path, templates: Path
) -> None:
    with work():
        assert generate(system).state == "done"
        write(templates, "model/polycom331.j2", "{{ lines[0].name }}{{ lines[1].name }}")
        assert str(generate(system).reason).startswith("model/polycom331.j2, line 1: ")
        assert POLYCOM in files_below(root)
        system.add_phone(OTHER, "unidatawpu7700", lines=[{"userId": "201"}])
        assert generate(system, OTHER).state == "done"
        write(templates, "family/unidata.j2", "{{ lines[0].name|quoted }}")
        system.edit_user("201", firstName='"Ann"')
        job = next(job for job in done(system)[-2:] if job.serial == OTHER)
    assert str(job.reason).startswith("line 1: firstName, lastName holds a quotation mark")
    assert not any(OTHER in path for path in files_below(root))


# -- files for many phones -------------------------------------------------------------------------

SHARED = {
    ("cisco7960", "syncinfo.xml"): '<IMAGE VERSION="*" SYNC="2"/>\n',
    ("nortel1535", "1.0/0.1.90S/sysconf_2890d_sip.cfg"): (
        "[VOIP]\noutbound_proxy_server pbx.example.net\noutbound_proxy_port 5062\n"
        "proxy_type SCS\nsip_service_domain pbx.example.net\n"
        "line1_proxy_address pbx.example.net\nline1_proxy_port 5062\n"
    ),
}


@pytest.mark.parametrize(("model_id", "path"), SHARED)
def test_a_file_for_all_phones_is_written_with_the_first_and_never_again(
    system: System, work: Work, root: Path, model_id: str, path: str
) -> None:
    system.add_phone(OTHER, model_id, lines=[{"userId": "201"}])
    with work(domain="pbx.example.net", sip_registrar_port="5062"):
        assert generate(system).state == "done"
        assert path not in files_below(root)
        assert generate(system, OTHER).state == "done"
        assert (root / path).read_text() == SHARED[model_id, path]
        assert stat.S_IMODE((root / path).stat().st_mode) == 0o640
        assert stat.S_IMODE((root / path).parent.stat().st_mode) == 0o2750
        (root / path).write_text("theirs")
        assert generate(system, OTHER).state == "done"
        system.manage_phone(OTHER, deletePhone=True)
        system.do("resetServices", phone=True, user=True)
        done(system)
    assert files_below(root) == [path]
    assert (root / path).read_text() == "theirs"


def test_the_port_in_a_file_for_all_phones_is_the_usual_one(
    system: System, work: Work, root: Path
) -> None:
    system.add_phone(OTHER, "nortel1535")
    with work():
        assert generate(system, OTHER).state == "done"
    assert "outbound_proxy_port 5060\n" in (root / "1.0/0.1.90S/sysconf_2890d_sip.cfg").read_text()


def test_a_phone_that_fails_makes_no_file_for_others(
    system: System, work: Work, root: Path
) -> None:
    system.edit_user("201", sipPassword='top " s3cret')
    system.add_phone(OTHER, "cisco7960", lines=[{"userId": "201"}])
    with work():
        assert generate(system, OTHER).state == "failed"
    assert files_below(root) == sorted([POLYCOM, f"{MAC}.cfg"])


def test_no_phone_has_a_file_that_others_share(system: System) -> None:
    phone = {"serialNumber": "syncinfo", "modelId": "zoiperPhoneModel"}
    assert system.refusal("addPhone", phone=phone).codes == ["invalidSerialNumber"]


# -- restarts --------------------------------------------------------------------------------------


def test_a_model_that_only_its_registrar_can_restart(system: System, work: Work) -> None:
    system.add_phone(OTHER, "ciscoplus7941G", lines=[{"userId": "201"}])
    with SipPeer() as peer, work(sip_proxy=peer.address):
        system.manage_phone(OTHER, restart=True)
        (job,) = done(system)
    assert (job.state, job.attempts) == ("unsupported", 1)
    assert str(job.reason).startswith("the model ciscoplus7941G cannot be restarted from here: ")
    assert "Call-ID of its own registration" in str(job.reason)
    assert peer.heard == []
