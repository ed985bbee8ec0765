"""Databases of sipXconfig as its releases made them (docs/spec/migration.md), for imports.

The schema is that of the tables which an import reads, and of a few that have no place here.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.support.client import PIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OLDEST, LAST_TOKENS, NEWEST = 10, 12, 13
"""Schema versions of 4.0.2, 4.4.0, and of 4.6 and later."""

GENERATIONS = pytest.mark.parametrize("version", [OLDEST, LAST_TOKENS, NEWEST])
"""Runs a test with each of them."""

DOMAIN, REALM = "pbx.example.com", "old.realm"

# A column that not every release has is marked by the first version that has it.
_TABLES: dict[str, str] = {
    "version_history": "version int4 PRIMARY KEY, applied date",
    "patch": "name varchar(32) PRIMARY KEY",
    "value_storage": "value_storage_id int4 PRIMARY KEY",
    "setting_value": "value_storage_id int4, path varchar(255), value varchar(7500) NOT NULL,"
    " PRIMARY KEY (value_storage_id, path)",
    "group_storage": "group_id int4 PRIMARY KEY, name varchar(255), description varchar(255),"
    " resource varchar(255), weight int4, UNIQUE (name, resource)",
    "branch": "branch_id int4 PRIMARY KEY, name varchar(255) UNIQUE, description varchar(255),"
    " phone_number varchar(255), fax_number varchar(255), address_id int4",
    "address_book_entry": "address_book_entry_id int4 PRIMARY KEY, cell_phone_number varchar(255),"
    " im_id varchar(255), email_address varchar(255)",
    "users": "user_id int4 PRIMARY KEY, user_name varchar(255) NOT NULL UNIQUE,"
    " first_name varchar(255), last_name varchar(255), pintoken varchar(255),"
    " sip_password varchar(255), value_storage_id int4, address_book_entry_id int4,"
    " is_shared bool NOT NULL DEFAULT false, user_type char(1)",
    "user_alias": "user_id int4, alias varchar(255) NOT NULL UNIQUE, PRIMARY KEY (user_id, alias)",
    "user_group": "user_id int4, group_id int4, PRIMARY KEY (user_id, group_id)",
    "special_user": "special_user_id int4 PRIMARY KEY, user_type varchar, sip_password varchar",
    "permission": "permission_id int4 PRIMARY KEY, label varchar(255), description varchar(255),"
    " default_value bool NOT NULL",
    "call_group": "call_group_id int4 PRIMARY KEY, enabled bool, name varchar(255) UNIQUE,"
    " extension varchar(255), description varchar(255), fallback_destination varchar(255)",
    "user_ring": "user_ring_id int4 PRIMARY KEY, position int4, expiration int4,"
    " ring_type varchar(255), call_group_id int4 NOT NULL, user_id int4 NOT NULL",
    "ring": "ring_id int4 PRIMARY KEY, number varchar(255), user_id int4",
    "park_orbit": "park_orbit_id int4 PRIMARY KEY, orbit_type char(1) NOT NULL, music varchar(255),"
    " name varchar(255) UNIQUE, extension varchar(255), description varchar(255), enabled bool",
    "domain": "domain_id int4 PRIMARY KEY, name varchar(255), shared_secret varchar(255),"
    " sip_realm varchar(255)",
    "domain_alias": "domain_id int4, alias varchar(255), PRIMARY KEY (domain_id, alias)",
    "phone": "phone_id int4 PRIMARY KEY, serial_number varchar(255) NOT NULL UNIQUE,"
    " model_id varchar(64) NOT NULL, bean_id varchar(255), device_version_id varchar(32),"
    " description varchar(255), value_storage_id int4",
    "phone_group": "phone_id int4, group_id int4, PRIMARY KEY (phone_id, group_id)",
    "line": "line_id int4 PRIMARY KEY, phone_id int4 NOT NULL, position int4, user_id int4,"
    " value_storage_id int4",
}
_NOT_IN = {OLDEST: {"branch"}}
_LATER = {
    "users": {LAST_TOKENS: "branch_id int4", NEWEST: "voicemail_pintoken varchar(255)"},
    "group_storage": {LAST_TOKENS: "branch_id int4"},
    "call_group": {NEWEST: "use_fwd_timers bool"},
    "branch": {NEWEST: "time_zone varchar(255)"},
}


def token(user_name: str, pin: str, realm: str = REALM) -> str:
    """What sipXecs up to 4.4 kept of a PIN."""
    return hashlib.md5(f"{user_name}:{realm}:{pin}".encode()).hexdigest()


class Legacy:
    """A database of sipXconfig that tests fill.

    Args:
        url: of an empty database.
        version: of the schema.
        new: False for a database that has this schema and nothing more.
    """

    def __init__(self, url: str, version: int = NEWEST, *, new: bool = True) -> None:
        self.url = url
        self.version = version
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)
        self._number = 1000
        if new:
            self._create(version)

    def _create(self, version: int) -> None:
        statements = [
            f"CREATE TABLE {name} ({columns})"
            for name, columns in _TABLES.items()
            if name not in _NOT_IN.get(version, ())
        ]
        for table, columns in _LATER.items():
            statements += [
                f"ALTER TABLE {table} ADD COLUMN {column}"
                for since, column in columns.items()
                if version >= since and table not in _NOT_IN.get(version, ())
            ]
        self.execute(*statements)
        self.rows("version_history", [{"version": each} for each in range(9, version + 1)])
        self.row("domain", domain_id=1, name=DOMAIN, sip_realm=REALM)

    def execute(self, *statements: str) -> None:
        """Run statements."""
        with self._engine.begin() as connection:
            for each in statements:
                connection.exec_driver_sql(each)

    def rows(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert rows, which have the same columns."""
        found = list(rows)
        columns = sa.table(table, *(sa.column(name) for name in found[0]))
        with self._engine.begin() as connection:
            connection.execute(columns.insert(), found)

    def row(self, table: str, **values: Any) -> None:
        """Insert one row."""
        self.rows(table, [values])

    def number(self) -> int:
        """A number that nothing has."""
        self._number += 1
        return self._number

    def storage(self, **settings: str) -> int:
        """Settings of something, by path; ``__`` stands for the slash. Returns their number."""
        number = self.number()
        self.row("value_storage", value_storage_id=number)
        self.settings(number, {path.replace("__", "/"): each for path, each in settings.items()})
        return number

    def settings(self, storage: int, settings: Mapping[str, str]) -> None:
        """Add settings, by path."""
        if settings:
            self.rows(
                "setting_value",
                [
                    {"value_storage_id": storage, "path": path, "value": value}
                    for path, value in settings.items()
                ],
            )

    def group(self, name: str, resource: str = "user", weight: int = 1, **settings: str) -> int:
        """A group with settings."""
        number = self.storage(**settings)
        self.row("group_storage", group_id=number, name=name, resource=resource, weight=weight)
        return number

    def user(
        self,
        name: str,
        *aliases: str,
        groups: Iterable[int] = (),
        settings: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> int:
        """A user; without a ``pin`` with 4711, superadmin with that of all tests."""
        number = self.number()
        storage = self.storage() if settings is not None else None
        if storage is not None:
            self.settings(storage, settings or {})
        pin = str(fields.pop("pin", PIN if name == "superadmin" else "4711"))
        kept = pin if self.version >= NEWEST else token(name, pin)
        values = {"pintoken": kept, "user_type": "C", "sip_password": f"secret{name}"} | fields
        self.row("users", user_id=number, user_name=name, value_storage_id=storage, **values)
        for alias in aliases:
            self.row("user_alias", user_id=number, alias=alias)
        for group in groups:
            self.row("user_group", user_id=number, group_id=group)
        return number

    def phone(
        self,
        serial: str,
        model: str = "polycom331",
        *,
        groups: Iterable[int] = (),
        settings: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> int:
        """A phone."""
        number, storage = self.number(), self.storage()
        self.settings(storage, settings or {})
        values = {"serial_number": serial, "model_id": model} | fields
        self.row("phone", phone_id=number, value_storage_id=storage, **values)
        for group in groups:
            self.row("phone_group", phone_id=number, group_id=group)
        return number

    def line(
        self, phone: int, user: int | None = None, position: int | None = 0, **fields: Any
    ) -> int:
        """A line; without a user an external one, whose settings are in ``settings`` by path."""
        settings: Mapping[str, str] = fields.pop("settings", {})
        number, storage = self.number(), self.storage()
        self.settings(storage, settings)
        self.row(
            "line",
            line_id=number,
            phone_id=phone,
            position=position,
            user_id=user,
            value_storage_id=storage,
        )
        return number

    def call_group(
        self, name: str | None, extension: str | None = None, *rings: Any, **fields: Any
    ) -> int:
        """A call group; each ring is a user and the columns in which it differs."""
        number = self.number()
        values = {"name": name, "extension": extension, "enabled": True} | fields
        self.row("call_group", call_group_id=number, **values)
        for place, (user, more) in enumerate(rings):
            ring = {"position": place, "expiration": 10, "ring_type": "If no response"} | more
            owners = {"call_group_id": number, "user_id": user}
            self.row("user_ring", user_ring_id=self.number(), **owners, **ring)
        return number

    def park_orbit(self, name: str | None, extension: str | None = None, **fields: Any) -> int:
        """A park orbit."""
        number = self.number()
        values = {"orbit_type": "P", "enabled": True, "music": "parkMusic.wav"} | fields
        self.row("park_orbit", park_orbit_id=number, name=name, extension=extension, **values)
        return number

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()
