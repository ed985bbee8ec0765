"""Users, aliases, groups and permissions against a plain model of them, through SOAP.

Whatever is asked for in whatever order, the server answers as the model does: the same lists, the
same refusals, and after a refusal the same as before (docs/spec/services.md §1 to §3).
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.soap import SoapFault
from tests.support.system import System, edits
from tests.test_rules_permissions import BUILT_IN

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

NAMES = st.sampled_from(["1", "2", "a", "B", "~"])
"""Few, so that they meet often, as names and as aliases."""

GROUPS = st.sampled_from(["G", "H", "Sales Team", "administrators"])
BUILT_IN_DEFAULTS = {
    name: default == "true"
    for name, _, default in (line.split() for line in BUILT_IN.split("\n") if line)
}
SAMPLE = ("Mobile", "900Dialing", "superadmin", "tui-change-pin")
"""Built-in permissions that are played with."""

LISTS = st.lists(NAMES, max_size=3, unique=True)
SOME_GROUPS = st.lists(GROUPS, max_size=3, unique=True)


@dataclass
class UserModel:
    """A user: what is its own."""

    aliases: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    own: dict[str, bool] = field(default_factory=dict)
    first_name: str | None = None


@dataclass
class Model:
    """The whole system, in plain dictionaries.

    Attributes:
        users: by userName.
        groups: in the order of creation, with their permission values.
        defaults: of all permissions, by name.
        labels: of the custom permissions, by name.
        numbers: how many custom permissions there ever were.
    """

    users: dict[str, UserModel] = field(default_factory=dict)
    groups: dict[str, dict[str, bool]] = field(default_factory=dict)
    defaults: dict[str, bool] = field(default_factory=lambda: dict(BUILT_IN_DEFAULTS))
    labels: dict[str, str] = field(default_factory=dict)
    numbers: int = 0

    def owner(self, value: str) -> str | None:
        """Whose name or alias a value is."""
        for name, user in self.users.items():
            if value == name or value in user.aliases:
                return name
        return None

    def inherited(self, user: UserModel, permission: str) -> bool:
        value = self.defaults[permission]
        for group, values in self.groups.items():
            if group in user.groups:
                value = values.get(permission, value)
        return value

    def permissions(self, name: str) -> list[str]:
        user = self.users[name]
        return sorted(
            permission
            for permission in self.defaults
            if (name, permission) == ("superadmin", "superadmin")
            or user.own.get(permission, self.inherited(user, permission))
        )

    def enter(self, user: UserModel, groups: list[str]) -> None:
        for group in groups:
            self.groups.setdefault(group, {})
            user.groups.add(group)

    def shown(self, name: str) -> dict[str, Any]:
        """A user as findUser shows it; what is empty is not there."""
        user = self.users[name]
        values = {
            "userName": name,
            "aliases": sorted(user.aliases),
            "groups": [group for group in self.groups if group in user.groups],
            "permissions": self.permissions(name),
            "firstName": user.first_name,
        }
        return {key: value for key, value in values.items() if value}


def quoted(members: list[str]) -> str:
    return ",".join(f'"{member}"' for member in members)


class Machine(RuleBasedStateMachine):
    """Does to the server and to the model the same."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self.system = system
        with system.database.engine.begin() as connection:
            for statement in (
                "DELETE FROM users WHERE user_name <> 'superadmin'",
                "DELETE FROM user_groups WHERE name <> 'administrators'",
                "DELETE FROM permissions WHERE NOT built_in",
                "ALTER SEQUENCE permission_numbers RESTART",
                (
                    "DELETE FROM user_group_permissions WHERE permission_id NOT IN (SELECT id"
                    " FROM permissions WHERE name IN ('superadmin', 'tui-change-pin'))"
                ),
                (
                    "UPDATE user_group_permissions SET enabled ="
                    " (permission_id = (SELECT id FROM permissions WHERE name = 'superadmin'))"
                ),
            ):
                connection.exec_driver_sql(statement)
        system.do("resetServices", superAdmin=True)
        self.model = Model()
        self.model.groups["administrators"] = {"superadmin": True, "tui-change-pin": False}
        self.model.users["superadmin"] = UserModel(groups={"administrators"})

    def attempt(self, codes: set[str], operation: str, **values: Any) -> bool:
        """Do something that is refused for these reasons, or done if there are none."""
        if not codes:
            self.system.do(operation, **values)
            return True
        with pytest.raises(SoapFault) as caught:
            self.system.do(operation, **values)
        assert set(caught.value.codes) == codes
        return False

    def one(self, name: str) -> dict[str, Any]:
        return {"search": {"byUserName": name}}

    @rule(name=NAMES, aliases=LISTS, groups=SOME_GROUPS, granted=st.sampled_from([*SAMPLE, None]))
    def add_user(self, name: str, aliases: list[str], groups: list[str], granted: Any) -> None:
        taken = name in aliases or any(map(self.model.owner, [name, *aliases]))
        user = {"userName": name, "aliases": aliases, "groups": groups, "permissions": [granted]}
        if self.attempt({"nameInUse"} if taken else set(), "addUser", user=user):
            new = self.model.users[name] = UserModel(set(aliases))
            self.model.enter(new, groups)
            new.own = {granted: True} if granted else {}

    @rule(name=NAMES, new=NAMES)
    def rename(self, name: str, new: str) -> None:
        user = self.model.users.get(name)
        taken = user is not None and new != name and self.model.owner(new) is not None
        values = self.one(name) | {"edit": edits(userName=new)}
        if self.attempt({"nameInUse"} if taken else set(), "manageUser", **values) and user:
            self.model.users[new] = self.model.users.pop(name)

    @rule(name=NAMES, aliases=LISTS)
    def replace_aliases(self, name: str, aliases: list[str]) -> None:
        user = self.model.users.get(name)
        taken = user is not None and any(
            alias == name or self.model.owner(alias) not in (None, name) for alias in aliases
        )
        values = self.one(name) | {"edit": edits(aliases=" ".join(aliases))}
        if self.attempt({"nameInUse"} if taken else set(), "manageUser", **values) and user:
            user.aliases = set(aliases)

    @rule(group=GROUPS, groups=SOME_GROUPS, add=GROUPS, remove=GROUPS)
    def regroup_the_members(self, group: str, groups: list[str], add: str, remove: str) -> None:
        self.system.do(
            "manageUser",
            search={"byGroup": group},
            edit=edits(groups=quoted(groups)),
            addGroup=add,
            removeGroup=remove,
        )
        for user in [user for user in self.model.users.values() if group in user.groups]:
            user.groups = set()
            self.model.enter(user, [*groups, add])
            user.groups -= {remove}

    @rule(name=st.sampled_from(["1", "2", "superadmin"]), add=GROUPS)
    def enter_group(self, name: str, add: str) -> None:
        self.system.do("manageUser", **self.one(name), addGroup=add)
        if name in self.model.users:
            self.model.enter(self.model.users[name], [add])

    @rule(group=GROUPS, first_name=st.sampled_from(["Ada", "", None]))
    def name_the_members(self, group: str, first_name: str | None) -> None:
        values = {"search": {"byGroup": group}, "edit": edits(firstName=first_name)}
        self.system.do("manageUser", **values)
        for user in self.model.users.values():
            if group in user.groups:
                user.first_name = first_name or None

    @rule(group=GROUPS, permission=st.sampled_from(SAMPLE), enabled=st.booleans())
    def set_a_value_of_a_group(self, group: str, permission: str, *, enabled: bool) -> None:
        """No operation does; the database has it all the same."""
        if group in self.model.groups:
            with self.system.database.engine.begin() as connection:
                connection.execute(
                    sa.text(
                        "INSERT INTO user_group_permissions (group_id, permission_id, enabled)"
                        " SELECT g.id, p.id, :enabled FROM user_groups g, permissions p"
                        " WHERE g.name = :group AND p.name = :permission"
                        " ON CONFLICT (group_id, permission_id)"
                        " DO UPDATE SET enabled = excluded.enabled"
                    ),
                    {"group": group, "permission": permission, "enabled": enabled},
                )
            self.model.groups[group][permission] = enabled

    @rule(data=st.data(), group=GROUPS)
    def make_exactly_some_permissions_effective(self, data: st.DataObject, group: str) -> None:
        names = [*SAMPLE, *self.model.labels]
        listed = data.draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
        values = {"search": {"byGroup": group}, "edit": edits(permissions=" ".join(listed))}
        self.system.do("manageUser", **values)
        for user in self.model.users.values():
            if group in user.groups:
                user.own = {
                    permission: permission in listed
                    for permission in self.model.defaults
                    if permission in listed or self.model.inherited(user, permission)
                }

    @rule(name=st.sampled_from(["1", "2", "a", "superadmin"]))
    def delete_user(self, name: str) -> None:
        codes = {"protectedUser"} if name == "superadmin" else set()
        if self.attempt(codes, "manageUser", **self.one(name), deleteUser=True):
            self.model.users.pop(name, None)

    @precondition(lambda self: len(self.model.users) > 2)
    @rule()
    def delete_all_users(self) -> None:
        self.system.do("manageUser", deleteUser=True)
        self.model.users = {"superadmin": self.model.users["superadmin"]}

    @rule(label=st.sampled_from(["Fax", "Pager", "Mobile"]), default=st.booleans())
    def add_permission(self, label: str, *, default: bool) -> None:
        taken = label == "Mobile" or label in self.model.labels.values()
        values = {"permission": {"label": label, "defaultValue": default}}
        codes = {"duplicatePermission"} if taken else set()
        if self.attempt(codes, "addPermission", **values):
            self.model.numbers += 1
            name = f"perm_{self.model.numbers}"
            self.model.labels[name] = label
            self.model.defaults[name] = default

    @rule(label=st.sampled_from(["Fax", "Pager", "Mobile"]), default=st.booleans())
    def change_a_default(self, label: str, *, default: bool) -> None:
        values = {"search": {"byLabel": label}, "edit": edits(defaultValue=str(default))}
        self.system.do("managePermission", **values)
        for name, known in self.model.labels.items():
            if known == label:
                self.model.defaults[name] = default

    @rule(label=st.sampled_from(["Fax", "Pager", "Mobile"]))
    def delete_permission(self, label: str) -> None:
        values = {"search": {"byLabel": label}, "deletePermission": True}
        self.system.do("managePermission", **values)
        for name in [name for name, known in self.model.labels.items() if known == label]:
            del self.model.labels[name], self.model.defaults[name]
            for holder in (*self.model.groups.values(), *(u.own for u in self.users())):
                holder.pop(name, None)

    def users(self) -> list[UserModel]:
        return list(self.model.users.values())

    @rule(group=GROUPS)
    def members_are_found(self, group: str) -> None:
        expected = sorted(n for n, user in self.model.users.items() if group in user.groups)
        assert self.system.user_names(byGroup=group) == expected

    @rule(text=st.sampled_from(["a", "b", "~", "SUPER", "ad", "1"]))
    def names_are_searched(self, text: str) -> None:
        expected = sorted(
            name
            for name, user in self.model.users.items()
            if any(
                text.lower() in known.lower()
                for known in (name, user.first_name or "", *user.aliases)
            )
        )
        assert self.system.user_names(byFuzzyUserNameOrAlias=text) == expected

    @rule()
    def writing_back_what_was_read_changes_nothing(self) -> None:
        before = deepcopy(self.model)
        for user in self.system.do("findUser"):
            values = {
                name: quoted(value) if isinstance(value, list) else value
                for name, value in user.items()
            }
            self.system.edit_user(user["userName"], **values)
        # What is seen stays; the permissions have become own values.
        for name, user in self.model.users.items():
            effective = before.permissions(name)
            user.own = {
                permission: permission in effective
                for permission in self.model.defaults
                if permission in effective or self.model.inherited(user, permission)
            }

    @invariant()
    def all_users_are_as_in_the_model(self) -> None:
        found = [
            {key: value for key, value in user.items() if key not in ("sipPassword", "pintoken")}
            for user in self.system.do("findUser")
        ]
        assert found == [self.model.shown(name) for name in sorted(self.model.users)]

    @invariant()
    def all_custom_permissions_are_as_in_the_model(self) -> None:
        found = {
            permission["name"]: (permission["label"], permission["defaultValue"])
            for permission in self.system.do("findPermission")
            if permission["builtIn"] == "false"
        }
        assert found == {
            name: (label, str(self.model.defaults[name]).lower())
            for name, label in self.model.labels.items()
        }


def test_the_server_does_what_the_model_does(soap: Soap, database: Database) -> None:
    run_state_machine_as_test(
        lambda: Machine(System(soap, database)),
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
