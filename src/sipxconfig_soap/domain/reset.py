"""Emptying the system for tests (services.md §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipxconfig_soap.domain import (
    accounts,
    call_groups,
    park_orbits,
    permissions,
    phone_changes,
    user_changes,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from sipxconfig_soap.domain.work import Work

STEPS = {
    "callGroup": call_groups.delete_all,
    "parkOrbit": park_orbits.delete_all,
    "phone": phone_changes.delete_all,
    "permission": permissions.delete_custom,
    "user": user_changes.delete_all,
    "superAdmin": accounts.reset_superadmin,
}
"""What each flag does, in the order in which the flags act."""


def reset(work: Work, flags: Collection[str]) -> None:
    """Carry out the steps of these flags."""
    work.problems.check()
    for flag, step in STEPS.items():
        if flag in flags:
            step(work)
