"""The units of deploy/systemd/, as systemd itself judges them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

# The worker first.
UNITS = sorted((Path(__file__).parents[1] / "deploy" / "systemd").glob("sipxconfig-soap*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
PROGRAM = "/opt/sipxconfig-soap/bin/sipxconfig-soap"
WORST = 3.0

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here (Debian: systemd)"
)


def analyze(*arguments: object) -> str:
    done = subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_has_nothing_to_say_of_them(tmp_path: Path) -> None:
    copies = []
    for unit in UNITS:
        text = unit.read_text()
        if unit in SERVICES:
            # The program is not installed here, and that it exists is looked at.
            assert f"ExecStart={PROGRAM} " in text
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(text.replace(PROGRAM, "/bin/true"))
    # It also looks at the units of this machine, of which nothing is known here.
    said = [line for line in analyze("verify", *copies).splitlines() if "sipxconfig" in line]
    assert said == []


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: str(unit.name))
def test_little_is_left_to_whoever_takes_a_process_over(unit: Path) -> None:
    found = re.search(
        r"exposure level for \S+: ([\d.]+)", analyze("security", "--offline=true", unit)
    )
    assert found is not None
    assert float(found[1]) < WORST


def setting(unit: str, name: str) -> str:
    """The only value of a setting of a unit."""
    text = (UNITS[0].parent / unit).read_text()
    [value] = re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)
    return str(value)


def test_the_server_may_open_its_own_socket() -> None:
    """Its health is asked for there; with the socket of somebody else it would never be ready."""
    user = setting("sipxconfig-soap.service", "User")
    assert setting("sipxconfig-soap.socket", "SocketUser") == user
    assert setting("sipxconfig-soap-worker.service", "User") == user
    assert setting("sipxconfig-soap.socket", "SocketGroup") == "www-data"
    assert setting("sipxconfig-soap.socket", "SocketMode") == "0660"


def test_server_and_worker_are_hardened_alike() -> None:
    """What stands in one unit and is missing in the other has been forgotten."""
    hardening = re.compile(
        r"^(?:Protect|Private|Restrict|System|Capability|NoNew|Lock|Memory|Remove|UMask|Limit)\w+=.*",
        re.MULTILINE,
    )
    worker, server = (hardening.findall(unit.read_text()) for unit in SERVICES)
    assert len(server) > 20
    # With it nobody can make the folders of profiles, whose setgid bit hands their group on.
    server.remove("RestrictSUIDSGID=yes")
    assert server == worker
