"""Which user of the system runs the embedded PostgreSQL: its server refuses to run as root."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYSTEM_USER = "sipxconfig-db"

_logger = structlog.stdlib.get_logger(__name__)


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot be used; the text says why and what to do."""


class Identity(TypedDict, total=False):
    """Arguments of `subprocess.run`."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the system other than root."""

    uid: int
    gid: int

    def for_subprocess(self) -> Identity:
        """The arguments that make `subprocess.run` change to this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_for(directory: Path) -> Account | None:
    """Who runs the server on the data in ``directory``; None is whoever runs this program.

    That may be its owner, or who may write in it by its group where it is root's. Root leaves it to
    the owner, and if that is root too, to a system user which is created when it is missing.

    Raises:
        EmbeddedError: the data are somebody else's, or the system user cannot be created.
    """
    owner = directory.stat()
    if os.geteuid() != 0:
        if owner.st_uid != os.geteuid() and not _is_handed_over(owner):
            raise EmbeddedError(
                f"{directory} belongs to {_user_name(owner.st_uid)}: run this as that user or "
                "as root, or choose another directory with SIPXCONFIG_DATA_DIR or --data-dir."
            )
        return None
    if owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    return _system_user()


def _is_handed_over(found: os.stat_result) -> bool:
    """Whether root has made a directory for a group that we are in, as for containers."""
    groups = {os.getegid(), *os.getgroups()}
    return found.st_uid == 0 and bool(found.st_mode & stat.S_IWGRP) and found.st_gid in groups


def open_way(path: Path, account: Account) -> None:
    """Let ``account`` pass through the directories above ``path``, which root may have closed.

    Passing through is all it gets: the directories still cannot be listed.
    """
    for directory in path.parents:
        found = directory.stat()
        if not _may_pass(found, account):
            directory.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)
            _logger.warning(
                "directory opened for passing through, since PostgreSQL cannot run as root",
                directory=directory,
                user=_user_name(account.uid),
            )


def _may_pass(found: os.stat_result, account: Account) -> bool:
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _system_user() -> Account:
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        with _alone():
            entry = _made_system_user()
    return Account(entry.pw_uid, entry.pw_gid)


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time make the system user.

    useradd looks whether there is such a user before it waits for another useradd, and then puts a
    new user, with another number, in the place of the first.
    """
    descriptor = os.open("/etc", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _made_system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)  # by the process that this one has waited for
    except KeyError:
        _create_system_user()
        return pwd.getpwnam(SYSTEM_USER)


def _create_system_user() -> None:
    useradd, adduser = shutil.which("useradd"), shutil.which("adduser")
    shell = "/usr/sbin/nologin"
    if useradd:
        command = [useradd, "--system", "--user-group", "--no-create-home"]
        command += ["--home-dir", "/", "--shell", shell, SYSTEM_USER]
    elif adduser:  # BusyBox
        command = [adduser, "-S", "-D", "-H", "-h", "/", "-s", shell, SYSTEM_USER]
    else:
        command = ["false"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode and done.returncode != 9:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be "
            "created for it: run this as a normal user, or set SIPXCONFIG_DATABASE_URL."
        )
