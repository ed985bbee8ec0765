"""Profile files on disk: put in place atomically under the profile root, and taken away.

phones.md §3: a temporary file in the same folder, then a rename; files 0640, folders 2750, so that
they take the root's group; nothing else lies there afterwards. Every step goes through the open
folder before it and follows no symbolic link, so that nothing outside the root can be reached.

The functions raise OSError for what may pass (a full disk, a missing permission), and
`OutsideRoot` for a path that no phone has.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sipxconfig_soap.naming import give_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_MODE = 0o640
FOLDER_MODE = 0o2750

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class OutsideRoot(ValueError):
    """A path that is not a plain relative one below the profile root."""


def replace(root: Path, path: str, content: bytes) -> None:
    """Put a file in place: a reader sees the old bytes or the new ones, never half of them.

    Args:
        root: the profile root, made when it is missing.
        path: of the file, relative to the root; missing folders are made.
        content: all of it.
    """
    with _written(root, path, content) as (folder, temporary, name):
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def create(root: Path, path: str, content: bytes) -> bool:
    """Put a file in place like `replace`, but only where none is; one that is there stays.

    Whatever has the name counts as there, such as a link or a folder.

    Returns:
        Whether it was made.
    """
    folders, name = _parts(path)
    if os.path.lexists(root.joinpath(*folders, name)):
        return False
    with _written(root, path, content) as (folder, temporary, name):
        made = give_name(temporary, name, folder=folder)
        _unlink(folder, temporary)
    return made


@contextmanager
def _written(root: Path, path: str, content: bytes) -> Iterator[tuple[int, str, str]]:
    """Write a temporary file; who takes it over gets the open folder, its name and the true one."""
    folders, name = _parts(path)
    _make_root(root)
    with _folder(root, folders, make=True) as folder:
        temporary = _temporary(name)
        with _locked(folder, temporary, os.O_CREAT) as descriptor:
            try:
                _write(descriptor, content)
                yield folder, temporary, name
            except BaseException:
                _unlink(folder, temporary)
                raise
        os.fsync(folder)


def remove(root: Path, path: str) -> bool:
    """Take a file away, with what a killed worker may have left of it; a missing one is no error.

    Args:
        root: the profile root.
        path: of the file, relative to the root. Its folders stay.

    Returns:
        Whether the file was there.
    """
    folders, name = _parts(path)
    there = False
    with suppress(FileNotFoundError), _folder(root, folders, make=False) as folder:
        temporary = _temporary(name)
        with suppress(FileNotFoundError), _locked(folder, temporary, 0):
            _unlink(folder, temporary)
        there = _unlink(folder, name)
        os.fsync(folder)
    return there


def _parts(path: str) -> tuple[tuple[str, ...], str]:
    """Folders and name of a path below the root."""
    pure = PurePosixPath(path)
    # What is not written the shortest way (a//b, a/./b, a/) is none of our names either.
    plain = str(pure) == path and not pure.is_absolute() and "\0" not in path
    if not plain or not pure.name or ".." in pure.parts:
        raise OutsideRoot(f"{path!r} is not the path of a profile")
    return pure.parts[:-1], pure.name


def _temporary(name: str) -> str:
    # One name for each file, so that what a killed worker left is used up by the next.
    return f".{name}.new"


def _make_root(root: Path) -> None:
    if not root.is_dir():
        root.parent.mkdir(parents=True, exist_ok=True)
        os.close(_enter(root, None, make=True))


@contextmanager
def _folder(root: Path, folders: tuple[str, ...], *, make: bool) -> Iterator[int]:
    """A descriptor of a folder below the root."""
    descriptor = os.open(root, _FOLDER)
    try:
        for name in folders:
            inner = _enter(name, descriptor, make=make)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _enter(name: str | Path, folder: int | None, *, make: bool) -> int:
    """Open a folder in an open one, made if need be."""
    made = False
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, FOLDER_MODE, dir_fd=folder)
            made = True
    descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    # The mode is seldom as asked for, by the umask. Where it is, from the folder around, it must
    # be left alone: changing it takes the group bit from who is not in the group.
    if made and stat.S_IMODE(os.fstat(descriptor).st_mode) != FOLDER_MODE:
        os.fchmod(descriptor, FOLDER_MODE)
    return descriptor


@contextmanager
def _locked(folder: int, name: str, create: int) -> Iterator[int]:
    """The temporary file of a profile, empty, and nobody else's as long as it is open.

    Two workers may be at the same file when one was taken for dead: the second waits, and then
    finds that the file under that name is no longer the one it waited for.
    """
    while True:
        descriptor = os.open(name, _FILE | create, FILE_MODE, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is(descriptor, folder, name):
                os.ftruncate(descriptor, 0)
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _is(descriptor: int, folder: int, name: str) -> bool:
    """Whether an open file is the one under a name."""
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fchmod(descriptor, FILE_MODE)
    os.fsync(descriptor)


def _unlink(folder: int, name: str) -> bool:
    """Remove a name; whether it was there."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True
