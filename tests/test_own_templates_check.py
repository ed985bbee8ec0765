"""What ``doctor`` says of an administrator's templates (docs/spec/phones.md §3)."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.profiles import Unreadable, own_check
from sipxconfig_soap.provisioning.profiles.own_check import errors, strays
from tests.support.cli import Cli
from tests.support.system import MAC, System
from tests.support.templates import HURRY_SECONDS, hurried, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

GROUPS = ("Reception", "St. Gallen", ".x", "a/b")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of this machine can enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_files_that_are_of_something(tmp_path: Path) -> None:
    groups = ("group/Reception", "group/St. Gallen", "group/%2Ex", "group/a%2Fb")
    families = {f"family/{model.family}" for model in MODELS.values()}
    others = (
        "family/polycom/polycom-application",
        "model/avaya-1220/nortel-11xx",
        "group/Reception/nortel-11xx",
    )
    for name in (*groups, *families, *(f"model/{each}" for each in MODELS), *others):
        write(tmp_path, f"{name}.j2", "{% extends parent %}{% block own %}{% endblock %}")
    write(tmp_path, ".git/config", "x")
    write(tmp_path, "family/.polycom.j2.swp", "x")
    assert list(strays(tmp_path, GROUPS)) == []
    assert list(errors(tmp_path)) == []


def test_files_that_are_of_nothing(tmp_path: Path) -> None:
    nobody, no_group = (
        "is of no family, model or group of phones",
        "there is no such group of phones",
    )
    expected = {
        "README": nobody,
        "common.j2": nobody,
        "family/Polycom.j2": nobody,
        "family/polycom.j2~": nobody,
        "family/polycom/nortel-11xx.j2": nobody,
        "family/polycom/polycom.j2": nobody,
        "group/Nobody.j2": no_group,
        "group/Reception/snom.j2": nobody,
        "group/reception.j2": no_group,
        "model/polycom.j2": nobody,
        "polycom/polycom.j2": nobody,
    }
    for name in expected:
        write(tmp_path, name, "")
    assert list(strays(tmp_path, GROUPS)) == [f"{name}: {why}" for name, why in expected.items()]


def test_files_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_check, "Bounded", hurried)
    write(tmp_path, "family/aastra.j2", "{{ lines[0].name|quoted }}")
    write(tmp_path, "family/clearone.j2", "\n{% filter upper %}{% endfilter %}")
    write(tmp_path, "family/gtek.j2", "\n{% if %}")
    (tmp_path / "family/jitsi.j2").symlink_to("jitsi.j2")
    write(tmp_path, "family/polycom.j2", '\n{% block own %}{% include "x.j2" %}{% endblock %}')
    write(tmp_path, "family/snom.j2", "{{ lines[0].name|quoted }}")
    write(tmp_path, "family/yealink.j2", b"\xff")
    write(tmp_path, "group/Reception.j2", "{{ lines[0].name|quoted }}{% extends 'parent' %}")
    write(tmp_path, "group/Slow.j2", "{{ 3 ** (3 ** 19) }}")
    (tmp_path / "family/zoiper.j2").symlink_to("/etc/passwd")
    assert list(errors(tmp_path)) == [
        "family/clearone.j2, line 2: the tag 'filter' is not allowed: nothing escapes its text",
        "family/gtek.j2, line 2: Expected an expression, got 'end of statement block'",
        "family/jitsi.j2: is a link without end",
        "family/polycom.j2, line 2: own templates extend and include nothing but parent",
        "family/snom.j2, line 1: No filter named 'quoted'.",
        "family/yealink.j2, line 1: is not UTF-8",
        f"family/zoiper.j2: is a link that leads out of {tmp_path}",
        f"group/Slow.j2: takes more than {HURRY_SECONDS} seconds",
    ]


def test_a_file_that_cannot_be_read_hides_none_behind_it(open_folder: Path) -> None:
    for name in ("aastra", "gtek", "snom"):
        write(open_folder, f"family/{name}.j2", "{% endif %}")
    (open_folder / "family/gtek.j2").chmod(0)
    found = errors(open_folder)
    first = next(found)  # and now there is the process that compiles
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        others = list(found)
    finally:
        os.seteuid(user)
    mistake = "line 1: Encountered unknown tag 'endif'."
    assert [first, *others] == [
        f"family/aastra.j2, {mistake}",
        f"{open_folder}/family/gtek.j2: Permission denied",
        f"family/snom.j2, {mistake}",
    ]


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    for check in (errors(tmp_path / "x"), strays(tmp_path / "x", GROUPS)):
        with pytest.raises(Unreadable, match=r"/x: No such file or directory$"):
            list(check)


# -- the command -----------------------------------------------------------------------------------


def run(directory: Path, url: str, templates: Path | None, *arguments: str) -> tuple[int, str, str]:
    """Run a command with own templates."""
    cli = Cli(directory)
    cli.environ["SIPXCONFIG_DATABASE_URL"] = url
    if templates is not None:
        cli.environ["SIPXCONFIG_PROFILE_TEMPLATES"] = str(templates)
    return cli.run(*arguments)


def doctor(directory: Path, url: str, templates: Path | None) -> tuple[int, list[list[str]]]:
    """The exit code of doctor, and what it says of templates: verdicts and sentences."""
    code, output, errors = run(directory, url, templates, "doctor")
    assert errors == ""
    lines = [line.split(maxsplit=2) for line in output.splitlines()]
    return code, [[line[0], line[2]] for line in lines if line[1] == "templates"]


def test_doctor_compiles_them_without_a_database(tmp_path: Path) -> None:
    directory = tmp_path / "templates"
    write(directory, "group/Top.j2", "{{")
    broken = "group/Top.j2, line 1: unexpected 'end of template'"
    nobody = "postgresql://nobody@127.0.0.1:1/none"
    assert doctor(tmp_path, nobody, directory) == (1, [["fail", broken]])


@pytest.mark.usefixtures("database")
def test_doctor_looks_at_own_templates(database_url: str, tmp_path: Path) -> None:
    directory = tmp_path / "templates"
    assert doctor(tmp_path, database_url, None) == (0, [])
    missing = ["fail", f"{directory}: No such file or directory"]
    assert doctor(tmp_path, database_url, directory) == (1, [missing])
    write(directory, "family/polycom.j2", "{% extends parent %}")
    well = ["ok", f"those in {directory} can be used"]
    assert doctor(tmp_path, database_url, directory) == (0, [well])
    write(directory, "group/Nobody.j2", "{{")
    broken = "group/Nobody.j2, line 1: unexpected 'end of template'"
    nobody = ["warn", "group/Nobody.j2: there is no such group of phones"]
    assert doctor(tmp_path, database_url, directory) == (1, [["fail", broken], nobody])


def test_doctor_knows_the_groups_of_phones(
    soap: Soap, database: Database, database_url: str, tmp_path: Path
) -> None:
    System(soap, database).add_phone(groups=["Reception"])
    write(tmp_path / "templates", "group/Reception.j2", "{% extends parent %}")
    (code, ((verdict, _),)) = doctor(tmp_path, database_url, tmp_path / "templates")
    assert (code, verdict) == (0, "ok")


def test_the_command_profile_shows_what_would_be_written(
    soap: Soap, database: Database, database_url: str, tmp_path: Path
) -> None:
    templates = tmp_path / "templates"
    System(soap, database).add_phone(MAC, groups=["Top"])
    for text, output, sentence in (
        ("mine of {{ model }}\n", "mine of polycom331\n", ""),
        ("\n{{ oops }}", "", "group/Top.j2, line 2: 'oops' is undefined."),
        (None, "", f"{templates}: No such file or directory."),
    ):
        if text is None:
            shutil.rmtree(templates)
        else:
            write(templates, "group/Top.j2", text)
        error = f"Error: The profile cannot be written: {sentence}\n" if sentence else ""
        found = run(tmp_path, database_url, templates, "profile", MAC)
        assert found == (int(bool(sentence)), output, error)
