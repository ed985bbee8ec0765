"""Profile files on disk: whole, private, below the root, nothing left over (phones.md §3)."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.provisioning import files
from sipxconfig_soap.provisioning.files import OutsideRoot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "profiles"


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_a_file_is_written_with_its_folders_and_nothing_else(root: Path) -> None:
    files.replace(root, "1.0/0.1.90S/0004F2ABCDEF.cfg", b"[VOIP]\n")
    assert everything(root) == ["1.0", "1.0/0.1.90S", "1.0/0.1.90S/0004F2ABCDEF.cfg"]
    assert (root / "1.0/0.1.90S/0004F2ABCDEF.cfg").read_bytes() == b"[VOIP]\n"
    assert mode(root / "1.0/0.1.90S/0004F2ABCDEF.cfg") == 0o640
    assert mode(root) == mode(root / "1.0") == mode(root / "1.0/0.1.90S") == 0o2750


def test_folders_and_files_take_the_group_of_the_root(root: Path) -> None:
    groups = set(os.getgroups()) - {os.getgid()} or ({4242} if os.geteuid() == 0 else set())
    group = next(iter(groups), os.getgid())
    root.mkdir(parents=True)
    os.chown(root, -1, group)
    root.chmod(0o2750)
    files.replace(root, "gs_config/a.xml", b"x")
    assert (root / "gs_config").stat().st_gid == group
    assert (root / "gs_config/a.xml").stat().st_gid == group


def test_a_root_that_is_there_keeps_its_mode(root: Path) -> None:
    root.mkdir(parents=True, mode=0o700)
    files.replace(root, "a.cfg", b"x")
    assert mode(root) == 0o700


def test_a_new_file_replaces_the_old_one(root: Path) -> None:
    files.replace(root, "a.cfg", b"long" * 100_000)
    before = (root / "a.cfg").stat().st_ino
    files.replace(root, "a.cfg", b"short")
    assert (root / "a.cfg").read_bytes() == b"short"
    assert (root / "a.cfg").stat().st_ino != before
    assert everything(root) == ["a.cfg"]


def test_removal(root: Path) -> None:
    assert not files.remove(root, "a.cfg")
    files.replace(root, "gs_config/a.xml", b"x")
    files.replace(root, "gs_config/b.xml", b"x")
    assert files.remove(root, "gs_config/a.xml")
    assert not files.remove(root, "gs_config/a.xml")
    assert not files.remove(root, "elsewhere/a.xml")
    assert everything(root) == ["gs_config", "gs_config/b.xml"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "/",
        "/etc/passwd",
        "../a.cfg",
        "a/../b.cfg",
        "gs_config/../../a",
        "a//b",
        "./a",
        "a/",
        "a\0b",
    ],
)
def test_a_path_outside_the_root_is_refused(root: Path, path: str) -> None:
    with pytest.raises(OutsideRoot):
        files.replace(root, path, b"x")
    with pytest.raises(OutsideRoot):
        files.remove(root, path)
    with pytest.raises(OutsideRoot):
        files.create(root, path, b"x")
    assert not root.exists()


def test_symbolic_links_lead_nowhere(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.xml").write_text("theirs")
    root.mkdir(parents=True)
    (root / "gs_config").symlink_to(outside)
    (root / ".b.xml.new").symlink_to(outside / "a.xml")
    with pytest.raises(OSError, match="gs_config"):
        files.replace(root, "gs_config/a.xml", b"x")
    with pytest.raises(OSError, match="gs_config"):
        files.remove(root, "gs_config/a.xml")
    with pytest.raises(OSError, match=r"\.b\.xml\.new"):
        files.replace(root, "b.xml", b"x")
    assert (outside / "a.xml").read_text() == "theirs"


def test_a_link_in_place_of_the_file_is_replaced_and_not_followed(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs").write_text("theirs")
    root.mkdir(parents=True)
    (root / "a.cfg").symlink_to(tmp_path / "theirs")
    files.replace(root, "a.cfg", b"ours")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (root / "a.cfg").read_bytes() == b"ours"
    assert not (root / "a.cfg").is_symlink()


@pytest.fixture(params=[None, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hard links can be made, or cannot: CIFS and vfat have none."""
    if request.param is None:
        return

    def refuse(*_: object, **__: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("umask", "links")
def test_a_file_is_made_where_none_is(root: Path) -> None:
    assert files.create(root, "1.0/a.cfg", b"first")
    assert not files.create(root, "1.0/a.cfg", b"second")
    assert (root / "1.0/a.cfg").read_bytes() == b"first"
    assert everything(root) == ["1.0", "1.0/a.cfg"]
    assert mode(root / "1.0/a.cfg") == 0o640
    assert mode(root) == mode(root / "1.0") == 0o2750
    assert (root / "1.0/a.cfg").stat().st_nlink == 1


@pytest.mark.usefixtures("links")
def test_a_file_is_not_made_over_what_has_its_name(root: Path, tmp_path: Path) -> None:
    (root / "folder").mkdir(parents=True)
    (root / "link").symlink_to(tmp_path / "missing")
    assert not files.create(root, "folder", b"x")
    assert not files.create(root, "link", b"x")
    assert not (tmp_path / "missing").exists()
    assert everything(root) == ["folder", "link"]


@pytest.mark.usefixtures("links")
def test_a_file_that_somebody_else_makes_meanwhile_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "lexists", lambda _: False)
    root.mkdir(parents=True)
    (root / "a.cfg").write_text("theirs")
    assert not files.create(root, "a.cfg", b"ours")
    assert (root / "a.cfg").read_text() == "theirs"
    assert everything(root) == ["a.cfg"]


@pytest.mark.usefixtures("links")
def test_only_one_of_many_makes_a_file(root: Path) -> None:
    made: list[int] = []

    def work(number: int) -> None:
        if files.create(root, "1.0/a.cfg", str(number).encode()):
            made.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (root / "1.0/a.cfg").read_text() == str(made[0])
    assert everything(root) == ["1.0", "1.0/a.cfg"]


def test_a_file_that_cannot_be_made_is_an_error_and_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="Input/output"):
        files.create(root, "a.cfg", b"ours")
    assert everything(root) == []


def test_a_root_that_cannot_be_one_is_an_error_of_the_system(root: Path) -> None:
    root.parent.mkdir()
    root.write_text("a file")
    with pytest.raises(OSError, match="profiles"):
        files.replace(root, "a.cfg", b"x")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(root: Path) -> None:
    files.replace(root, "a.cfg", b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            files.replace(root, "a.cfg", b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (root / "a.cfg").read_bytes() == b"old"
    assert everything(root) == ["a.cfg"]


def test_a_file_that_cannot_be_replaced_leaves_nothing(root: Path) -> None:
    (root / "a.cfg").mkdir(parents=True)
    with pytest.raises(OSError, match=r"a\.cfg"):
        files.replace(root, "a.cfg", b"x")
    assert everything(root) == ["a.cfg"]


KILLED = """
import os, pathlib, sys
from sipxconfig_soap.provisioning import files
def killed(*args, **kwargs):
    os.kill(os.getpid(), 9)
os.rename = killed
files.replace(pathlib.Path(sys.argv[1]), "a.cfg", b"half of it")
"""


def test_what_a_killed_worker_left_is_used_up_by_the_next(root: Path) -> None:
    files.replace(root, "a.cfg", b"old")
    subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False)
    assert everything(root) == [".a.cfg.new", "a.cfg"]
    assert (root / "a.cfg").read_bytes() == b"old"
    files.replace(root, "a.cfg", b"new")
    assert everything(root) == ["a.cfg"]
    assert (root / "a.cfg").read_bytes() == b"new"


def test_what_a_killed_worker_left_goes_with_the_file(root: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(root)], check=False)
    assert everything(root) == [".a.cfg.new"]
    assert not files.remove(root, "a.cfg")
    assert everything(root) == []


def test_readers_and_writers_at_the_same_file_see_whole_ones(root: Path) -> None:
    contents = [bytes([65 + i]) * 50_000 for i in range(4)]
    files.replace(root, "a.cfg", contents[0])
    errors: list[BaseException] = []
    stop = time.monotonic() + 0.7

    def work(content: bytes) -> None:
        try:
            while time.monotonic() < stop:
                files.replace(root, "a.cfg", content)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    while time.monotonic() < stop:
        assert (root / "a.cfg").read_bytes() in contents
    for thread in threads:
        thread.join()
    assert errors == []
    assert everything(root) == ["a.cfg"]
