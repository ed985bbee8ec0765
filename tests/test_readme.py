"""The README tells the truth where a program can tell."""

from __future__ import annotations

import re
from pathlib import Path

from sipxconfig_soap.cli import main
from sipxconfig_soap.db import SESSION
from sipxconfig_soap.settings import SETTINGS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_settings_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(SIPXCONFIG_\w+)` \| (.*?) \| (.*) \|$", README, re.MULTILINE)
    assert rows == [
        (each.variable, f"`{each.default}`" if each.default else "", each.meaning)
        for each in SETTINGS
    ]


def test_the_table_of_commands_is_that_of_the_program() -> None:
    named = set(re.findall(r"^\| `sipxconfig-soap ([\w-]+)", README, re.MULTILINE))
    assert named == set(main.commands)


def test_every_file_that_a_page_refers_to_is_there() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docker/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} refers to {target}"


def test_what_pgbouncer_is_to_set_is_what_the_server_sets() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for name, value in SESSION.items():
        assert f"SET {name} TO {value}" in text
