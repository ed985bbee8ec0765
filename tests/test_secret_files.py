"""Secret settings whose text stands in a file (choices.md, "Secrets from files")."""

from __future__ import annotations

import os
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap import secret_files
from sipxconfig_soap.settings import SETTINGS, Settings, SettingsError, remarks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.support.server import RunningServer

URL = "postgresql://u:s3cret@h/d"
PIN_FILE = "SIPXCONFIG_ADMIN_PIN_FILE"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a secret"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of this machine can enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def problem(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ)
    (only,) = caught.value.problems
    return only


def pin_from(file: Path, content: bytes) -> str | None:
    file.write_bytes(content)
    return Settings.load({PIN_FILE: str(file)}).admin_pin


def test_every_secret_setting_can_be_a_file(file: Path) -> None:
    assert {each.file_variable for each in SETTINGS if each.secret} == {
        *("SIPXCONFIG_DATABASE_URL_FILE", "SIPXCONFIG_DIRECT_DATABASE_URL_FILE"),
        PIN_FILE,
    }
    file.write_text(URL + "\n")
    secrets = [each for each in SETTINGS if each.secret]
    settings = Settings.load({each.file_variable: str(file) for each in secrets})
    assert {getattr(settings, each.field) for each in secrets} == {URL}
    assert "s3cret" not in repr(settings)


def test_one_line_end_is_none_of_the_value(file: Path) -> None:
    assert pin_from(file, b"4711") == "4711"
    assert pin_from(file, b"4711\n") == "4711"
    assert pin_from(file, b"\xef\xbb\xbf4711\r\n") == "4711"
    assert pin_from(file, b" 47 11 \n") == " 47 11 "
    assert pin_from(file, "Größe".encode()) == "Größe"


def test_an_empty_variable_names_no_file() -> None:
    environ = {PIN_FILE: " ", "SIPXCONFIG_ADMIN_PIN": "4711"}
    assert Settings.load(environ).admin_pin == "4711"
    assert remarks(environ) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b" \t", "is empty"),
        (b"s3cret \xff", "is not in UTF-8"),
        (b"s3cret" * 11000, "is longer than 65536 bytes"),
    ],
)
def test_content_that_is_no_secret(file: Path, content: bytes, reason: str) -> None:
    file.write_bytes(content)
    assert problem({PIN_FILE: str(file)}) == f"{PIN_FILE} names a file, '{file}', that {reason}."


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    reasons = {
        tmp_path / "missing": "cannot be read: No such file or directory",
        tmp_path: "cannot be read: Is a directory",
        tmp_path / "pipe": "is no plain file",
        Path("/dev/zero"): "is no plain file",
        tmp_path / "loop": "cannot be read: Too many levels of symbolic links",
    }
    for path, reason in reasons.items():
        found = problem({PIN_FILE: str(path)})
        assert found == f"{PIN_FILE} names a file, '{path}', that {reason}."


def test_a_file_that_this_user_may_not_read(open_folder: Path) -> None:
    file = open_folder / "pin"
    file.write_text("s3cret")
    file.chmod(0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        found = problem({PIN_FILE: str(file)})
    finally:
        os.seteuid(user)
    assert found == f"{PIN_FILE} names a file, '{file}', that cannot be read: Permission denied."


def test_a_value_from_a_file_is_judged_like_any_other_and_not_shown(file: Path) -> None:
    file.write_text("mysql://u:s3cret@h/d")
    found = problem({"SIPXCONFIG_DATABASE_URL_FILE": str(file)})
    assert found == (
        "SIPXCONFIG_DATABASE_URL_FILE has a value that is not shown here: it must be a URL such as "
        "postgresql://user:password@host:5432/sipxconfig, with %40, %2F and %25 for @, / and % in "
        "a password."
    )
    file.write_text("s3cret\nand another line\n")
    assert problem({PIN_FILE: str(file)}) == (
        f"{PIN_FILE} has a value that is not shown here: it must be a text without control "
        "characters."
    )


def test_both_forms_are_refused_even_if_they_say_the_same(file: Path) -> None:
    file.write_text("4711")
    assert problem({PIN_FILE: str(file), "SIPXCONFIG_ADMIN_PIN": "4711"}) == (
        f"SIPXCONFIG_ADMIN_PIN and {PIN_FILE} are both given: keep one of them."
    )


def test_a_direct_url_is_no_second_problem_where_the_other_is_missing(tmp_path: Path) -> None:
    environ = {
        "SIPXCONFIG_DATABASE_URL_FILE": str(tmp_path / "missing"),
        "SIPXCONFIG_DIRECT_DATABASE_URL": URL,
    }
    assert problem(environ).startswith("SIPXCONFIG_DATABASE_URL_FILE names a file")


def test_what_is_no_path_may_be_the_secret_itself() -> None:
    for text in ("s3cret", URL, "~/s3cret", "./s3cret"):
        assert problem({PIN_FILE: text}) == (
            f"{PIN_FILE} has a value that is not shown here: it must be the absolute path of a "
            "file, such as /run/secrets/pin."
        )


def test_a_path_cannot_forge_a_line() -> None:
    assert problem({PIN_FILE: "/no\nsuch\x1b[2J"}).isprintable()


def test_a_server_and_its_worker_find_their_database_by_a_file(
    file: Path, server_url: str, run_server: Callable[..., AbstractContextManager[RunningServer]]
) -> None:
    file.write_text(server_url + "\n")
    environment = {"SIPXCONFIG_DATABASE_URL": "", "SIPXCONFIG_DATABASE_URL_FILE": str(file)}
    with run_server(worker=True, **environment) as server:
        with urllib.request.urlopen(server.url + "/readyz", timeout=30) as answer:
            assert answer.status == 200
        (worker,) = server.children("worker")
        assert worker.environ()["SIPXCONFIG_DATABASE_URL_FILE"] == str(file)


def test_a_file_that_everybody_can_read_is_remarked(open_folder: Path) -> None:
    file = open_folder / "pin"
    file.write_text("s3cret")
    file.chmod(0o644)
    environ = {PIN_FILE: str(file)}
    assert Settings.load(environ).admin_pin == "s3cret"
    assert remarks(environ) == [
        (
            f"{PIN_FILE} names a file, '{file}', that every user of this machine can read: "
            "take that right away (chmod o-r)."
        )
    ]
    file.chmod(0o640)
    assert remarks(environ) == []


def test_a_file_in_a_closed_folder_is_open_to_nobody(open_folder: Path) -> None:
    file = open_folder / "pin"
    file.write_text("s3cret")
    file.chmod(0o444)
    open_folder.chmod(0o750)
    assert remarks({PIN_FILE: str(file)}) == []
    assert remarks({PIN_FILE: str(open_folder / "missing")}) == []


def test_what_container_engines_hand_out_is_open_to_nobody_else(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_folder / "pin"
    file.write_text("s3cret")
    file.chmod(0o444)
    assert remarks({PIN_FILE: str(file)}) != []
    monkeypatch.setattr(secret_files, "ENGINE_DIRECTORY", open_folder)
    assert remarks({PIN_FILE: str(file)}) == []
