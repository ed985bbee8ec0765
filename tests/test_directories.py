"""A directory of a file server that is away holds nobody up (docs/spec/command.md §3)."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest
import requests

from sipxconfig_soap import directories
from sipxconfig_soap.directories import why_not_writable
from tests.support.hung import hung, needs_fuse
from tests.support.server import serve
from tests.support.worker import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli

SILENT = "it does not answer within 3 s"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "away"
    directory.mkdir()
    return directory


@needs_fuse
def test_who_asks_is_told_and_one_thread_waits(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hung(directory):
        with monkeypatch.context() as patch:
            patch.setattr(directories, "ANSWER_SECONDS", 0.2)
            for _ in range(3):
                assert why_not_writable(directory) == "it does not answer within 0.2 s"
        assert waiting() == 1
        # Others do not wait for it.
        assert why_not_writable(directory.parent) is None
    wait_for(lambda: waiting() == 0)
    assert why_not_writable(directory) is None


def waiting() -> int:
    """How many threads wait for a directory."""
    return sum(thread.name == directories.THREAD for thread in threading.enumerate())


@pytest.mark.usefixtures("hurried")
def test_who_asks_after_an_answer_asks_anew(directory: Path) -> None:
    inside = directory / "profiles"
    for _ in range(300):
        # Not even root can make a directory in a file.
        inside.write_text("")
        assert why_not_writable(inside / "of phones") == "Not a directory"
        inside.unlink()
        assert why_not_writable(inside / "of phones") is None


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns after each few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_what_could_not_be_asked_is_asked_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            why_not_writable(directory)
    assert why_not_writable(directory) is None


@needs_fuse
def test_a_server_whose_profile_directory_is_away_starts_and_says_so(
    directory: Path, database_url: str, tmp_path: Path
) -> None:
    settings = {"SIPXCONFIG_DATABASE_URL": database_url, "SIPXCONFIG_PROFILE_ROOT": str(directory)}
    problem = f"the profile directory {directory} cannot be written: {SILENT}; "
    with serve(tmp_path, settings) as server:
        assert "cannot be written" not in "".join(server.output)
        with hung(directory):
            answer = requests.get(f"{server.url}/readyz", timeout=60)
            sentence = f"not ready: the profile directory cannot be written: {SILENT}\n"
            assert (answer.status_code, answer.text) == (503, sentence)
            # It is started while nothing answers.
            with serve(tmp_path, settings) as second:
                assert problem in "".join(second.output)
                assert requests.get(f"{second.url}/healthz", timeout=60).status_code == 200
                assert second.stop() == 0
        wait_for(lambda: requests.get(f"{server.url}/readyz", timeout=60).status_code == 200)


@needs_fuse
def test_doctor_says_so(own: Cli, directory: Path) -> None:
    own.environ["SIPXCONFIG_PROFILE_ROOT"] = str(directory)
    with hung(directory):
        code, output, _ = own.run("doctor")
    assert code == 1
    assert (
        f"fail  profiles   the profile directory {directory} cannot be written: {SILENT}" in output
    )
