"""What has no place here: named and counted, so that nobody misses it later (migration.md §8)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sipxconfig_soap.legacy.external_lines import ALL_PATHS
from sipxconfig_soap.legacy.permissions import PATH
from sipxconfig_soap.legacy.source import NEEDED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipxconfig_soap.legacy.run import Run

_READ = NEEDED.keys() | {"branch", "domain_alias", "address_book_entry"}
_OF_THE_SYSTEM = frozenset(
    {
        *("value_storage", "group_weight", "patch", "setup", "initialization_task", "address"),
        *("version_history", "park_orbit_group", "special_user"),
    }
)
"""Tables that hold no decision of an administrator by themselves."""

_WORDS = {
    "ring": "personal call forwarding",
    "schedule": "schedules",
    "custom_dialing_rule_permission": "permissions of dialling rules",
    "supervisor": "supervisors of groups",
    "speeddial": "speed dials",
    "phonebook": "phone books",
    "meetme_conference": "conferences",
    "auth_code": "authorization codes",
    "location": "servers",
}
"""Tables with names that do not explain themselves."""

_COLUMNS = {
    "users": ("is_shared",),
    "branch": ("phone_number", "fax_number", "address_id", "time_zone", "fallback_branch_id"),
    "call_group": (
        *("fallback_destination", "voicemail_fallback", "sip_password", "did"),
        "use_fwd_timers",
    ),
    "address_book_entry": (
        *("cell_phone_number", "home_phone_number", "assistant_name", "assistant_phone_number"),
        *("fax_number", "location", "company_name", "job_title", "job_dept", "im_id"),
        *("alternate_im_id", "im_display_name", "alternate_email_address", "did_number"),
        *("home_address_id", "office_address_id"),
    ),
}
"""Columns of tables that are read otherwise."""

_OWNERS = {
    "user_alias": {"user_id": ("users", "user_id")},
    "user_group": {"user_id": ("users", "user_id"), "group_id": ("group_storage", "group_id")},
    "phone_group": {"phone_id": ("phone", "phone_id"), "group_id": ("group_storage", "group_id")},
    "user_ring": {"call_group_id": ("call_group", "call_group_id")},
    "line": {"phone_id": ("phone", "phone_id")},
}
"""What rows belong to: their column, the other table and its key. A dump may lack constraints."""

_INDEX = re.compile(r"\[\d+\]")


def count(run: Run) -> None:
    """Count tables, columns and settings that are not taken over."""
    for table in sorted(run.source.tables.keys() - _READ - _OF_THE_SYSTEM):
        name = f"{_WORDS[table]} ({table})" if table in _WORDS else table
        run.staging.no_place[name] += run.source.count(sa.select(run.source.table(table)))
    for table, columns in _COLUMNS.items():
        if table in run.source.tables and not (
            table == "address_book_entry" and run.source.has_clear_pins
        ):
            _count_columns(run, table, columns)
    for table, owners in _OWNERS.items():
        _count_orphans(run, table, owners)
    _count_settings(run)


def _count_orphans(run: Run, name: str, owners: Mapping[str, tuple[str, str]]) -> None:
    """Count rows of which an owner is gone: nothing else reads them."""
    table = run.source.table(name)
    gone = []
    for column, (owner_name, key) in owners.items():
        owner = run.source.table(owner_name)
        gone.append(~sa.exists().where(owner.c[key] == table.c[column]))
    wanted = sa.select(sa.literal(1)).select_from(table).where(sa.or_(*gone))
    run.staging.no_place[f"rows that belong to nothing ({name})"] += run.source.count(wanted)


def _count_columns(run: Run, name: str, columns: tuple[str, ...]) -> None:
    """Count what is neither null, nor false, nor an empty text."""
    table, types = run.source.table(name), run.source.tables[name]
    for column in columns:
        if column in types:
            said: sa.ColumnElement[bool] = table.c[column].is_not(None)
            if types[column] == "boolean":
                said = table.c[column].is_(sa.true())
            elif types[column].startswith("character"):
                said = sa.func.length(table.c[column]) > 0
            wanted = sa.select(table.c[column]).where(said)
            run.staging.no_place[f"{column} of {name}"] += run.source.count(wanted)


def _count_settings(run: Run) -> None:
    """Count settings: those of users and groups by their section, those of phones together."""
    value = run.source.table("setting_value")
    users, storage = run.source.table("users"), run.source.table("group_storage")
    owners = {
        "users": (users, users.c.value_storage_id, sa.true()),
        "user groups": (storage, storage.c.group_id, storage.c.resource == "user"),
        "phone groups": (storage, storage.c.group_id, storage.c.resource == "phone"),
    }
    for kind, (table, storage_id, counts) in owners.items():
        wanted = (
            sa.select(value.c.path, sa.func.count())
            .join_from(table, value, value.c.value_storage_id == storage_id)
            .where(counts, value.c.path.not_like(f"{PATH}%"))
            .group_by(value.c.path)
        )
        for path, number in run.source.rows(wanted):
            section = _INDEX.sub("", path).rpartition("/")[0] or path
            run.staging.no_place[f"settings of {kind}: {section}"] += number
    for kind in ("phone", "line"):
        table = run.source.table(kind)
        wanted = sa.select(value.c.path).join_from(
            table, value, value.c.value_storage_id == table.c.value_storage_id
        )
        if kind == "line":
            wanted = wanted.where(
                sa.or_(table.c.user_id.is_not(None), value.c.path.not_in(ALL_PATHS))
            )
        run.staging.no_place[f"settings of {kind}s"] += run.source.count(wanted)
