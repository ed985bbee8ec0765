"""The examples do what they show, by the commands at their head, as often as one likes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.client import ADMINISTRATOR
from tests.support.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.server import RunningServer
    from tests.support.soap import Soap

EXAMPLES = Path(__file__).parents[1] / "examples"

TIMEOUT = 300
"""Seconds for an example, in which some are generated and compiled on a busy machine."""

PROBES = {
    "axis/Users.java": "command -v curl && command -v javac && test -e /usr/share/java/axis.jar",
    "curl/users.sh": "command -v curl",
    "gsoap/users.cpp": "command -v curl && command -v g++ && command -v wsdl2h"
    " && test -e /usr/include/stdsoap2.h",
    "jaxws/Users.java": "command -v curl && command -v javac && command -v wsimport",
    "node/users.mjs": 'test -e "$(npm root --global)/soap"',
    "perl/users.pl": "perl -MSOAP::Lite -e 1",
    "php/users.php": """php -r 'exit(extension_loaded("soap") ? 0 : 1);'""",
    "python/users.py": "true",
    "ruby/users.rb": "command -v curl && ruby -rsoap/wsdlDriver -rhttpclient -e 1",
}
"""Commands that succeed where what an example needs is installed; its head says what that is."""

SETTINGS = (
    "export SIPX_URL=http://127.0.0.1:8080/sipxconfig/services SIPX_USER=superadmin SIPX_PIN=..."
)

GIVEN = {
    "pip install zeep": "true",
    "npm install soap": 'ln -s "$(npm root --global)" node_modules',
}
"""What a test does instead of installing."""


@pytest.fixture(scope="module")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = {"SIPXCONFIG_DATABASE_URL": database_url}
    with serve(tmp_path_factory.mktemp("server"), environment, "--no-worker") as running:
        yield running


# What runs once for a second gains nothing from the best code or from threads that clean up.
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def shell(script: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=directory,
        env=os.environ
        | {"PATH": path, "LC_ALL": "C.UTF-8", "JAVA_TOOL_OPTIONS": JAVA}
        | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )


def head(example: Path) -> tuple[str, list[str]]:
    """What it says at its head: what it needs, and how to run it, but for the settings."""
    text = example.read_text(encoding="utf-8")
    found = re.search(r"How to run it(.*):\n((?:(?://|#)?(?: {4,}\S.*)?\n)+)", text)
    assert found, f"{example} does not say how to run it"
    lines = [line.lstrip("/# ") for line in found[2].splitlines()]
    assert SETTINGS in lines
    return found[1].strip(), [GIVEN.get(each, each) for each in lines if each not in {"", SETTINGS}]


def output(stack: str) -> str:
    """What the example prints. It has not added 200, so characters that it damages would show."""
    name = f"example-{stack}"
    problems = ["invalidValue aliases[0] not valid", f"nameInUse userName {name}"]
    sentences = [
        "aliases[0] 'not valid' has characters that the user part of a SIP address cannot have.",
        f"userName '{name}' is already in use by the userName of the user {name}.",
    ]
    first, second = sentences if stack == "php" else problems
    return f"""\
everybody:
  200 Jürgen Łoś -
  superadmin - - -
added:
  {name} Zoë Łukasik - {name}-a {name}-b
edited:
  {name} - Łukasik zoe@example.org {name}-a {name}-b
refused: {sentences[0]} (1 more problem)
  {first}
  {second}
deleted:
"""


def test_every_example_is_tested() -> None:
    found = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.glob("*/[Uu]sers.*")}
    assert found == set(PROBES)
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {
        name.partition("/")[0] for name in PROBES
    }


@pytest.mark.parametrize("name", PROBES)
def test_an_example_runs_as_it_says_leaves_nothing_behind_and_tells_of_a_wrong_pin(
    name: str, server: RunningServer, soap: Soap, tmp_path: Path
) -> None:
    needed, (*build, run) = head(EXAMPLES / name)
    if shell(PROBES[name], tmp_path).returncode != 0:
        pytest.skip(f"what {name} needs is not here {needed}")
    user = {"userName": "200", "firstName": "Jürgen", "lastName": "Łoś"}
    soap.operation("UserService", "AddUser", {"user": user})
    directory = tmp_path / "example"
    shutil.copytree((EXAMPLES / name).parent, directory)
    building = "\n".join(["{", *build, "true", "} >&2"])
    done = shell(
        f"{building}\n{run}\n{run}\nif SIPX_PIN=wrong {run} >&2; then echo no failure; fi",
        directory,
        SIPX_URL=f"{server.url}/sipxconfig/services",
        SIPX_USER=ADMINISTRATOR[0],
        SIPX_PIN=ADMINISTRATOR[1],
    )
    assert done.returncode == 0, done.stderr
    expected = output(name.partition("/")[0])
    assert [line.rstrip() for line in done.stdout.splitlines()] == expected.splitlines() * 2
    found = soap.operation("UserService", "FindUser", {})
    assert [each["userName"] for each in found] == ["200", "superadmin"]
