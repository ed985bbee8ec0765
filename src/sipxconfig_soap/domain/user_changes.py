"""Editing and deleting users that are there (services.md §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain import grants, grouping, pool
from sipxconfig_soap.domain.permissions import SUPERADMIN, ids_by_name
from sipxconfig_soap.domain.phone_tables import queue_profiles_of_users
from sipxconfig_soap.domain.properties import named_edits, parse_edits
from sipxconfig_soap.domain.searches import Condition, condition
from sipxconfig_soap.domain.tables import among, id_array, text_array
from sipxconfig_soap.domain.user_pins import PinChanges, pin_edits
from sipxconfig_soap.domain.users import (
    PROPERTIES,
    SEARCHES,
    branch_id,
    claims_of,
    is_superadmin,
    new_sip_password,
    row_values,
    users,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipxconfig_soap.domain.properties import Edit
    from sipxconfig_soap.domain.searches import Criterion
    from sipxconfig_soap.domain.work import Work

IN_PROFILES = frozenset({"userName", "sipPassword", "firstName", "lastName"})
"""Properties that stand in the profiles of phones with a line of the user (phones.md §2)."""


@dataclass(frozen=True, slots=True)
class Actions:
    """What a manageUser does beside editing.

    Attributes:
        delete: whether the users are deleted; nothing else is done then.
        add_group: a group to enter.
        remove_group: a group to leave.
        update_branch: the branch to go to.
        update_group: what the documented WSDL calls update_branch.
    """

    delete: bool = False
    add_group: str | None = None
    remove_group: str | None = None
    update_branch: str | None = None
    update_group: str | None = None


def manage(work: Work, criterion: Criterion, edits: Sequence[Edit], actions: Actions) -> None:
    """Edit, move or delete the users that match.

    Raises:
        Refused: for what is wrong with the request (required, tooLong, invalidValue, reservedName,
            unknownProperty, unknownPermission) and for every user that refuses (nameInUse,
            protectedUser).
    """
    named = named_edits(edits, PROPERTIES, "User", work.problems)
    add_group = grouping.clean_name(work, "addGroup", actions.add_group)
    remove_group = grouping.clean_name(work, "removeGroup", actions.remove_group)
    branch = _new_branch(work, actions)
    matched = _lock(work, condition(criterion, SEARCHES, work.problems))
    if actions.delete:
        delete(work, matched)
        return
    change = _Change(work, matched, named)
    change.check()
    work.problems.check()
    work.touch(row.user_name for row in matched)
    if not matched:
        return
    change.apply()
    grouping.USER_GROUPS.apply(work, change.ids, replace=None, add=add_group, remove=remove_group)
    if branch is not None:
        _update(work, change.ids, {"branch_id": branch_id(work, branch)})


def _lock(work: Work, matching: Condition) -> Sequence[sa.Row[Any]]:
    """The matched users, locked in the order of their ids."""
    columns = (users.c.id, users.c.user_name, users.c.pin_hash)
    return work.execute(
        sa.select(*columns).where(matching.where).order_by(users.c.id).with_for_update(),
        matching.parameters,
    ).all()


def _new_branch(work: Work, actions: Actions) -> str | None:
    """The branch to go to; its two names in the contract must not contradict each other."""
    branch = grouping.clean_name(work, "updateBranch", actions.update_branch)
    same = grouping.clean_name(work, "updateGroup", actions.update_group)
    if branch and same and branch != same:
        reason = f"differs from updateBranch '{branch}', which means the same"
        work.problems.add(errors.invalid_value("updateGroup", same, reason))
    return branch or same


def _update(work: Work, ids: Sequence[int], values: dict[str, Any]) -> None:
    if values:
        work.execute(users.update().where(among(users.c.id, ids)).values(values))


def delete(work: Work, matched: Sequence[sa.Row[Any]]) -> None:
    """Delete users with all that is theirs; superadmin is passed over among others.

    Raises:
        Refused: protectedUser when superadmin is the only one.
    """
    doomed = [row for row in matched if not is_superadmin(row.user_name)]
    if matched and not doomed:
        what = "cannot be deleted"
        work.problems.add(errors.protected_user("deleteUser", matched[0].user_name, what))
    work.problems.check()
    ids = [row.id for row in doomed]
    work.touch(row.user_name for row in doomed)
    queue_profiles_of_users(work, ids)
    work.execute(users.delete().where(among(users.c.id, ids)))


def delete_all(work: Work) -> None:
    """Delete every user but superadmin."""
    delete(work, _lock(work, Condition(users.c.user_name != SUPERADMIN, {})))


class _Change:
    """The edits of one manageUser on the users that match."""

    def __init__(self, work: Work, matched: Sequence[sa.Row[Any]], edits: list[Edit]) -> None:
        self._work = work
        self._matched = matched
        self.ids = [row.id for row in matched]
        self._entities = {row.id: row.user_name for row in matched}
        self._values = parse_edits(edits, PROPERTIES, work.problems)
        self._pins = PinChanges(pin_edits(edits), work.problems)
        self._picked = {row.id: self._pins.pick(row.pin_hash) for row in matched}
        self._claims: list[pool.Claim] = []
        self._permission_ids: list[int] = []

    def check(self) -> None:
        """Note every problem of the edits, of the request's own and of each user."""
        self._permission_ids = ids_by_name(self._work, self._values.get("permissions", {}))
        self._claims = claims_of(self._values.get("userName"), self._values.get("aliases", {}))
        pool.check_reserved(self._work, self._claims)
        pool.check_free(self._work, self._claims, "user_id", entities=self._entities)
        if len(self._matched) == 1:
            self._check_distinct(self._matched[0])
        for row in self._matched:
            if is_superadmin(row.user_name):
                self._check_protected(row)

    def _check_distinct(self, row: sa.Row[Any]) -> None:
        """A user's name and its aliases must differ, whichever of them is edited."""
        name = self._values.get("userName") or row.user_name
        aliases = self._values.get("aliases")
        if aliases is None:
            if "userName" not in self._values:
                return
            aliases = dict.fromkeys(self._aliases_of(row.id), "aliases")
        if name in aliases:
            field = "aliases" if "aliases" in self._values else "userName"
            words = "the userName itself" if field == "aliases" else "an alias of the user itself"
            self._work.problems.add(errors.name_in_use(field, name, words, entity=row.user_name))

    def _aliases_of(self, user_id: int) -> list[str]:
        held = pool.names.c
        aliases = sa.select(held.value).where(held.user_id == user_id, held.kind == pool.ALIAS)
        return list(self._work.execute(aliases).scalars())

    def _check_protected(self, row: sa.Row[Any]) -> None:
        """The built-in administrator keeps its name and a PIN."""
        refuse = self._work.problems.add
        new_name = self._values.get("userName")
        if new_name is not None and new_name != row.user_name:
            what = "cannot be changed"
            refuse(errors.protected_user("userName", row.user_name, what, new_name))
        picked = self._picked[row.id]
        if picked is not None and picked[1] is None:
            refuse(errors.protected_user(picked[0], row.user_name, "cannot be taken away"))

    def apply(self) -> None:
        """Carry the edits out, each on all users at once."""
        self._apply_columns()
        self._apply_pins()
        self._apply_names()
        if "groups" in self._values:
            grouping.USER_GROUPS.apply(
                self._work, self.ids, replace=list(self._values["groups"]), add=None, remove=None
            )
        if "permissions" in self._values:
            grants.make_exactly(self._work, self.ids, self._permission_ids)
        if IN_PROFILES & self._values.keys():
            queue_profiles_of_users(self._work, self.ids)

    def _apply_columns(self) -> None:
        row = row_values(self._values)
        if "sip_password" in row and row["sip_password"] is None:
            del row["sip_password"]
            self._apply_each("sip_password", [new_sip_password() for _ in self.ids], self.ids)
        if "branchName" in self._values:
            row["branch_id"] = branch_id(self._work, self._values["branchName"])
        _update(self._work, self.ids, row)

    def _apply_pins(self) -> None:
        changed = {user_id: picked for user_id, picked in self._picked.items() if picked}
        hashes = [self._pins.hash_of(*picked) for picked in changed.values()]
        self._apply_each("pin_hash", hashes, list(changed))

    def _apply_each(self, column: str, values: Sequence[str | None], ids: Sequence[int]) -> None:
        """Set a column to a value of its own for each user, in one statement."""
        if not ids:
            return
        new = sa.func.unnest(id_array(ids), text_array(values)).table_valued("id", "value")
        new = new.render_derived(name="new")
        self._work.execute(
            users.update().where(users.c.id == new.c.id).values({column: new.c.value})
        )

    def _apply_names(self) -> None:
        """Give back old names and take new ones, which only a single user can."""
        kinds = [
            kind
            for kind, name in ((pool.USER_NAME, "userName"), (pool.ALIAS, "aliases"))
            if name in self._values
        ]
        if not kinds:
            return
        pool.give_back(self._work, "user_id", self.ids, kinds)
        if self._claims:
            pool.take(self._work, "user_id", self.ids[0], self._claims)
