"""Editing and deleting users that are there (services.md §3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap import errors
from sipxconfig_soap.domain import grants, grouping, pool
from sipxconfig_soap.domain.permissions import SUPERADMIN, ids_by_name
from sipxconfig_soap.domain.phone_tables import queue_profiles_of_users
from sipxconfig_soap.domain.properties import (
    Given,
    clean_name,
    column_values,
    last_values,
    named_edits,
    parse_all,
)
from sipxconfig_soap.domain.searches import Condition, condition
from sipxconfig_soap.domain.tables import among, id_array, text_array
from sipxconfig_soap.domain.user_pins import PinChanges, check_voicemail_hash, pin_edits
from sipxconfig_soap.domain.users import (
    PROPERTIES,
    SEARCHES,
    claims_of,
    folded_person,
    is_superadmin,
    new_sip_password,
    users,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipxconfig_soap.domain.properties import Edit
    from sipxconfig_soap.domain.searches import Criterion
    from sipxconfig_soap.domain.work import Work
    from sipxconfig_soap.errors import Problems

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
        voicemail_hash: of a new voicemail PIN, as no manageUser has it but an import.
    """

    delete: bool = False
    add_group: str | None = None
    remove_group: str | None = None
    update_branch: str | None = None
    update_group: str | None = None
    voicemail_hash: str | None = None


def manage(work: Work, criterion: Criterion, edits: Sequence[Edit], actions: Actions) -> None:
    """Edit, move or delete the users that match.

    Raises:
        Refused: for what is wrong with the request (required, tooLong, invalidValue, reservedName,
            unknownProperty, unknownPermission) and for every user that refuses (nameInUse,
            protectedUser).
    """
    named = named_edits(edits, PROPERTIES, "User", work.problems)
    sent, actions = actions, _with_clean_names(actions, work.problems)
    matched = _lock(work, condition(criterion, SEARCHES, work.problems), delete=actions.delete)
    if actions.delete:
        delete(work, matched)
        return
    branch = _new_branch(actions, sent, work.problems)
    check_voicemail_hash(actions.voicemail_hash, work.problems)
    change = _Change(work, matched, named)
    change.check()
    work.problems.check()
    work.touch(row.user_name for row in matched)
    if not matched:
        return
    change.apply()
    grouping.USER_GROUPS.apply(
        work, change.ids, replace=None, add=actions.add_group, remove=actions.remove_group
    )
    if branch is not None:
        _update(work, change.ids, {"branch_id": grouping.branch_id(work, branch)})
    if actions.voicemail_hash is not None:
        _update(work, change.ids, {"voicemail_pin_hash": actions.voicemail_hash})


def _lock(work: Work, matching: Condition, *, delete: bool) -> Sequence[sa.Row[Any]]:
    """The matched users, locked in the order of their ids.

    Edits leave others free to refer to a user meanwhile, as new rings and lines do.
    """
    columns = (users.c.id, users.c.user_name, users.c.pin_hash)
    return work.execute(
        sa.select(*columns)
        .where(matching.where)
        .order_by(users.c.id)
        .with_for_update(key_share=not delete),
        matching.parameters,
    ).all()


def _with_clean_names(actions: Actions, problems: Problems) -> Actions:
    """The same with trimmed names; blank ones are None and do nothing."""
    return replace(
        actions,
        add_group=clean_name("addGroup", actions.add_group, problems),
        remove_group=clean_name("removeGroup", actions.remove_group, problems),
        update_branch=clean_name("updateBranch", actions.update_branch, problems),
        update_group=clean_name("updateGroup", actions.update_group, problems),
    )


def _new_branch(actions: Actions, sent: Actions, problems: Problems) -> str | None:
    """The branch to go to; its two names in the contract must not contradict each other."""
    branch, same = actions.update_branch, actions.update_group
    if branch and same and branch != same:
        reason = f"differs from updateBranch '{branch}', which means the same"
        problems.add(errors.invalid_value("updateGroup", sent.update_group, reason))
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
    delete(work, _lock(work, Condition(users.c.user_name != SUPERADMIN, {}), delete=True))


class _Change:
    """The edits of one manageUser on the users that match."""

    def __init__(self, work: Work, matched: Sequence[sa.Row[Any]], edits: list[Edit]) -> None:
        self._work = work
        self._matched = matched
        self.ids = [row.id for row in matched]
        self._entities = {row.id: row.user_name for row in matched}
        self._sent = last_values(edits)
        self._values = parse_all(PROPERTIES, self._sent, work.problems)
        self._pins = PinChanges(pin_edits(edits), work.rules.realm, work.problems)
        self._picked = {row.id: self._pins.pick(row.pin_hash) for row in matched}
        self._claims: list[pool.Claim] = []
        self._permission_ids: list[int] = []

    def check(self) -> None:
        """Note every problem of the edits, of the request's own and of each user."""
        self._permission_ids = ids_by_name(self._work, self._values.get("permissions", {}))
        self._claims = claims_of(self._values, self._sent)
        pool.check_reserved(self._work, self._claims)
        free = pool.check_free(self._work, self._claims, "user_id", entities=self._entities)
        self._check_distinct()
        for row in self._matched:
            if is_superadmin(row.user_name):
                self._check_protected(row)
        pool.check_single(self._work, free, list(self._entities.values()))

    def _check_distinct(self) -> None:
        """A user's name and its aliases must differ, whichever of them is edited."""
        refuse = self._work.problems.add
        new_name, aliases = self._values.get("userName"), self._values.get("aliases")
        if aliases is not None:
            for name in self._entities.values():
                given: Given | None = aliases.get(new_name or name)
                if given is not None:
                    refuse(errors.name_in_use(*given, "the userName itself", entity=name))
        elif new_name is not None and (holder := self._entities.get(self._alias_of(new_name))):
            sent = self._sent["userName"] or ""
            refuse(errors.name_in_use("userName", sent, "an alias of the user", entity=holder))

    def _alias_of(self, value: str) -> int | None:
        """The id of the user who has this alias."""
        held = pool.names.c
        owner = sa.select(held.user_id).where(held.value == value, held.kind == pool.ALIAS)
        found: int | None = self._work.execute(owner).scalar()
        return found

    def _check_protected(self, row: sa.Row[Any]) -> None:
        """The built-in administrator keeps its name and a PIN."""
        refuse = self._work.problems.add
        new_name = self._values.get("userName")
        if new_name is not None and new_name != row.user_name:
            what = "cannot be changed"
            sent = self._sent["userName"]
            refuse(errors.protected_user("userName", row.user_name, what, sent))
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
        row = column_values(self._values, users)
        if "sip_password" in row and row["sip_password"] is None:
            del row["sip_password"]
            self._apply_each("sip_password", [new_sip_password() for _ in self.ids], self.ids)
        if "branchName" in self._values:
            branch = self._values["branchName"]
            row["branch_id"] = grouping.branch_id(self._work, branch) if branch else None
        _update(self._work, self.ids, row)

    def _apply_pins(self) -> None:
        new_name = self._values.get("userName")
        hashes = {
            user_id: self._pins.hash_of(*picked, new_name or self._entities[user_id])
            for user_id, picked in self._picked.items()
            if picked
        }
        self._apply_each("pin_hash", list(hashes.values()), list(hashes))

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
        """Bring the pool up to date; new names in it are those of a single user.

        In this order a user can swap its name with an alias.
        """
        if "aliases" in self._values:
            pool.give_back(self._work, "user_id", self.ids, [pool.ALIAS])
        row = folded_person(self._values)
        if name := self._values.get("userName"):
            row |= pool.value_columns(name)
        pool.rewrite(self._work, "user_id", self.ids, pool.USER_NAME, row)
        aliases = [claim for claim in self._claims if claim.kind == pool.ALIAS]
        pool.take(self._work, "user_id", self.ids[0], aliases)
