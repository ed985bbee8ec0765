"""docs/installing.md: what its commands name is there, and what they write can be used.

The commands themselves need a Debian of their own, with systemd, on which they were run one by one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from sipxconfig_soap.settings import Settings, remarks

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
COMMANDS = "\n".join(dedent(each) for each in re.findall(r"(?:^ {4}.*\n)+", PAGE, re.MULTILINE))
NAME = "pbx.example.org"


def written(path: str) -> str:
    """What the page writes into a file."""
    found = re.search(rf"cat > {re.escape(path)} <<'?END'?\n(.*?)\nEND\n", COMMANDS, re.DOTALL)
    assert found is not None, path
    return found[1].replace("$NAME", NAME) + "\n"


def variables(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_commands_are_a_shells() -> None:
    assert COMMANDS.count("\n") > 60
    subprocess.run(["bash", "-n"], input=COMMANDS, text=True, check=True)


def test_all_that_is_taken_from_the_source_is_there() -> None:
    named = re.findall(r"\bdeploy/[\w./-]+\*?", COMMANDS)
    assert len(named) >= 5
    for each in named:
        assert list(ROOT.glob(each)), each


def test_the_settings_can_be_used_as_they_stand() -> None:
    environment = variables(written("/etc/sipxconfig-soap/environment"))
    settings = Settings.load(environment)
    assert settings.domain == NAME
    assert settings.require_https
    assert remarks(environment) == []


def test_page_units_and_command_mean_the_same_places() -> None:
    command = (ROOT / "deploy" / "bin" / "sipxconfig-soap").read_text()
    for unit in ("sipxconfig-soap.service", "sipxconfig-soap-worker.service"):
        text = (ROOT / "deploy" / "systemd" / unit).read_text()
        lines = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
        secret = lines["LoadCredential"].partition(":")[2]
        assert f"> {secret}\n" in COMMANDS
        assert f"_FILE={secret}\n" in command
        assert f"cat > {lines['EnvironmentFile']} <<" in COMMANDS
        assert f"<{lines['EnvironmentFile']}\n" in command
        program = lines["ExecStart"].split()[0]
        assert f"exec {program} " in command
        assert f"python3 -m venv {program.partition('/bin/')[0]}\n" in COMMANDS
        assert f"--home /var/lib/{lines['StateDirectory']} {lines['User']}\n" in COMMANDS
    data = variables(written("/etc/sipxconfig-soap/environment"))["SIPXCONFIG_DATA_DIR"]
    assert f'TFTP_DIRECTORY="{data}/profiles"' in written("/etc/default/tftpd-hpa")


def test_nginx_is_led_to_the_socket_of_the_unit(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.write_bytes((ROOT / "deploy" / "nginx" / "sipxconfig-soap.conf").read_bytes())
    seds = re.findall(r"^sed -i .*conf$", COMMANDS, re.MULTILINE)
    assert len(seds) == 2
    for each in seds:
        there = each.replace("/etc/nginx/conf.d/sipxconfig-soap.conf", str(site))
        subprocess.run(["bash", "-c", there], env={**os.environ, "NAME": "other.org"}, check=True)
    unit = (ROOT / "deploy" / "systemd" / "sipxconfig-soap.socket").read_text()
    [socket] = re.findall(r"^ListenStream=(.*)$", unit, re.MULTILINE)
    servers = re.findall(r"^ +(?:server|server_name) (?!\{).*?[ ;]", site.read_text(), re.MULTILINE)
    assert [each.strip(" ;") for each in servers] == [
        f"server unix:{socket}",
        "server_name other.org",
    ]


def test_the_firewall_is_one(tmp_path: Path) -> None:
    if shutil.which("nft") is None or os.geteuid() != 0:
        pytest.skip("it takes root and nft (Debian: nftables) to have the rules read")
    rules = tmp_path / "nftables.conf"
    rules.write_text(written("/etc/nftables.conf"))
    done = subprocess.run(
        ["nft", "-c", "-f", str(rules)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# -- deploy/bin/sipxconfig-soap --------------------------------------------------------------------


def command(directory: Path, settings: str, **environment: str) -> dict[str, str]:
    """The settings with which the command runs the program, and its arguments under ``""``."""
    text = (ROOT / "deploy" / "bin" / "sipxconfig-soap").read_text()
    (directory / "environment").write_text(settings)
    program = directory / "program"
    program.write_text('#!/bin/sh\nenv\necho "=$*"\n')
    program.chmod(0o755)
    text = text.replace("/opt/sipxconfig-soap/bin/sipxconfig-soap", str(program))
    text = text.replace("/etc/sipxconfig-soap/environment", f"{directory}/environment")
    done = subprocess.run(
        ["sh", "-c", text, "sipxconfig-soap", "jobs", "--state", "failed"],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    found = variables(done.stdout)
    return {name: found[name] for name in found if name.startswith("SIPXCONFIG_") or not name}


def test_the_command_has_the_settings_of_the_services(tmp_path: Path) -> None:
    settings = """\
# A comment; SIPXCONFIG_NO=1
SIPXCONFIG_DOMAIN=a.org
SIPXCONFIG_JOB_RETRY_DELAYS="1 2"
SIPXCONFIG_REALM='$HOME; touch it `touch it` "x"'
SIPXCONFIG_PROFILE_ROOT=/srv/two words
SIPXCONFIG_LOG_FORMAT=json"""
    given = {"SIPXCONFIG_ADMIN_PIN_FILE": "/srv/pin", "SIPXCONFIG_LOG_FORMAT": "console"}
    assert command(tmp_path, settings, **given) == {
        "": "jobs --state failed",
        "SIPXCONFIG_DOMAIN": "a.org",
        "SIPXCONFIG_JOB_RETRY_DELAYS": "1 2",
        # As in systemd, nothing is done with it.
        "SIPXCONFIG_REALM": '$HOME; touch it `touch it` "x"',
        "SIPXCONFIG_PROFILE_ROOT": "/srv/two words",
        # Who calls has set it otherwise.
        "SIPXCONFIG_LOG_FORMAT": "console",
        "SIPXCONFIG_ADMIN_PIN_FILE": "/srv/pin",
        "SIPXCONFIG_DATABASE_URL_FILE": "/etc/sipxconfig-soap/database-url",
    }


def test_the_command_can_be_shown_another_database(tmp_path: Path) -> None:
    url = "postgresql://u:p@h/other"
    assert command(tmp_path, "", SIPXCONFIG_DATABASE_URL=url) == {
        "": "jobs --state failed",
        "SIPXCONFIG_DATABASE_URL": url,
    }
    assert command(tmp_path, "", SIPXCONFIG_DATABASE_URL_FILE="/srv/url") == {
        "": "jobs --state failed",
        "SIPXCONFIG_DATABASE_URL_FILE": "/srv/url",
    }
