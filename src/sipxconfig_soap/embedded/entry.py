"""An entry in passwd for a user who has none, as containers like to run programs.

Of PostgreSQL's programs only initdb insists on one. It sees an entry by the library nss_wrapper, or
as the only user of a namespace, in which it has the number of somebody who has one.
"""

from __future__ import annotations

import os
import pwd
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipxconfig_soap.embedded.account import Account

MISSING = "could not look up effective user ID"
"""What initdb says of a user who has no entry."""

WAYS_OUT = (
    "Install the library nss_wrapper (Debian: libnss-wrapper), run this as a user with an entry in "
    "/etc/passwd, or set SIPXCONFIG_DATABASE_URL to an own PostgreSQL."
)

_ENTRIES = {
    "passwd": "sipxconfig:x:{uid}:{gid}::/:/usr/sbin/nologin\n",
    "group": "sipxconfig:x:{gid}:\n",
}


def has_entry(account: Account | None) -> bool:
    """Whether a user (None: of this program) has an entry."""
    try:
        pwd.getpwuid(os.geteuid() if account is None else account.uid)
    except KeyError:
        return False
    return True


@contextmanager
def by_library(account: Account | None, directory: Path) -> Iterator[list[str]]:
    """What to put before a command so that it sees an entry, if nss_wrapper is there.

    Args:
        account: whose entry is missing; None is that of this program.
        directory: for the files in which the entry stands, until the end of the block.
    """
    uid, gid = (os.geteuid(), os.getegid()) if account is None else (account.uid, account.gid)
    before = ["env", "LD_PRELOAD=libnss_wrapper.so"]
    paths = {name: directory / f"postgresql.{name}" for name in _ENTRIES}
    try:
        for name, path in paths.items():
            path.unlink(missing_ok=True)
            # Never through a link: the directory may be another user's, and this one root.
            with path.open("x") as file:
                file.write(_ENTRIES[name].format(uid=uid, gid=gid))
                os.fchmod(file.fileno(), 0o644)
            before.append(f"NSS_WRAPPER_{name.upper()}={path}")
        yield before
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)


def by_namespace() -> list[str]:
    """What to put before a command so that it seems to be run by somebody who has an entry.

    Systems may forbid that. Files that it makes belong to whoever runs it all the same.
    """
    somebody = next((each.pw_uid for each in pwd.getpwall() if each.pw_uid), None)
    unshare = shutil.which("unshare")
    return [unshare, "--user", f"--map-user={somebody}"] if unshare and somebody else []
