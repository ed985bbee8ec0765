"""The filter of deploy/fail2ban/ on lines that the server has really written."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sipxconfig_soap.web.throttle import Throttle
from tests.support.client import ADMINISTRATOR, PIN
from tests.support.soap import children, envelope

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database

FAIL2BAN = Path(__file__).parents[1] / "deploy" / "fail2ban"
FILTER = FAIL2BAN / "filter.d" / "sipxconfig-soap.conf"
JAIL = FAIL2BAN / "jail.d" / "sipxconfig-soap.conf"
ACTIONS = Path("/etc/fail2ban/action.d")
AWKWARD = "x,address=192.0.2.66"
"""A user name that tries to accuse somebody else."""

pytestmark = pytest.mark.skipif(
    shutil.which("fail2ban-regex") is None, reason="fail2ban is not here (Debian: fail2ban)"
)


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_failed_logins_are_found_with_the_clients_address_alone(
    form: str, database: Database, database_url: str, tmp_path: Path, run_server: Any
) -> None:
    assert database
    with run_server(
        SIPXCONFIG_DATABASE_URL=database_url,
        SIPXCONFIG_LOG_FORMAT=form,
        SIPXCONFIG_TRUSTED_PROXIES="127.0.0.1",
    ) as server:
        url = server.service("UserService")
        add = envelope(
            f"<con:AddUser>{children({'user': {'userName': AWKWARD}, 'pin': PIN})}</con:AddUser>"
        )
        headers = {"Content-Type": "text/xml"}
        added = requests.post(url, add, auth=ADMINISTRATOR, headers=headers, timeout=30)
        assert added.status_code == 200, added.text
        for number, name in enumerate(("superadmin", AWKWARD, "nobody"), 1):
            answer = requests.get(
                url,
                auth=(name, "wrong"),
                headers={"X-Forwarded-For": f"198.51.100.{number}"},
                timeout=30,
            )
            assert answer.status_code == 401
        # A proxy that names nobody: there is no address to ban, and no name to look up.
        nobody = requests.get(
            url, auth=("nobody", "wrong"), headers={"X-Forwarded-For": "unknown"}, timeout=30
        )
        assert nobody.status_code == 401
        right = requests.get(url, auth=ADMINISTRATOR, timeout=30)
        assert right.status_code == 200
    log = tmp_path / "log"
    log.write_text("".join(server.output))
    listed = subprocess.run(
        ["fail2ban-regex", "--out", "ip", str(log), str(FILTER)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "address=unknown" in log.read_text() or '"address": "unknown"' in log.read_text()
    assert listed.stdout.split() == ["198.51.100.1", "198.51.100.2", "198.51.100.3"]


def jail() -> dict[str, str]:
    parser = ConfigParser()
    parser.read(JAIL)
    return dict(parser["sipxconfig-soap"])


def test_who_guesses_at_one_name_for_long_is_banned_though_the_server_slows_him_down() -> None:
    """Each process counts for itself, so one alone lets the fewest through."""
    now = 1000.0
    throttle = Throttle(lambda: now)
    failed: list[float] = []
    while now < 4600:
        seconds = throttle.admit("superadmin", "192.0.2.1")
        if not seconds:
            throttle.failed("superadmin", "192.0.2.1")
            failed.append(now)
        now += seconds
    assert jail()["findtime"] == "10m"
    most = max(sum(began <= each < began + 600 for each in failed) for began in failed)
    assert int(jail()["maxretry"]) <= most


def test_a_ban_needs_what_debian_has() -> None:
    """Not iptables, which is fail2ban's default, and is not there on a fresh Debian."""
    action = jail()["banaction"]
    assert action.startswith("nftables")
    assert (ACTIONS / f"{action}.conf").is_file()
