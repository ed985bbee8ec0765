"""A system under test: calls in one line, refusals that prove that nothing has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap.domain import metadata
from sipxconfig_soap.domain.audit import audit_log
from sipxconfig_soap.domain.jobs import jobs
from sipxconfig_soap.domain.known_addresses import known_addresses
from tests.support.soap import Problem, SoapFault

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

SERVICES = {
    "Permission": "PermissionService",
    "CallGroup": "CallGroupService",
    "User": "UserService",
    "ParkOrbit": "ParkOrbitService",
    "Phone": "PhoneService",
    "Services": "TestService",
}
"""Services by the last words of their operations."""

LONGEST = 255
"""Characters that a text may have."""

TOO_LONG = "x" * (LONGEST + 1)

MAC = "0004f2aabbcc"
"""A serial number for models whose serial number is a MAC address."""


def edits(*pairs: tuple[str | None, str | None], **named: str | None) -> list[dict[str, Any]]:
    """The ``edit`` elements of a manage operation, in their order."""
    return [{"property": name, "value": value} for name, value in (*pairs, *named.items())]


def refused(code: str, field: str, value: str | None = None, entity: str | None = None) -> Problem:
    """What a fault says of one problem; of one in an edit of a user, say."""
    return Problem(code, field, value, entity)


class System:
    """Calls operations by their names; the service follows from it."""

    def __init__(self, soap: Soap, database: Database) -> None:
        self.soap = soap
        self.database = database

    def do(self, operation: str, /, **values: Any) -> Any:
        """Call an operation."""
        kind = next(kind for kind in SERVICES if operation.rstrip("s").endswith(kind.rstrip("s")))
        return self.soap.operation(SERVICES[kind], operation, values)

    def refusal(self, operation: str, /, **values: Any) -> SoapFault:
        """Call an operation that is refused; whatever it says, nothing may have changed."""
        before = self.dump()
        with pytest.raises(SoapFault) as caught:
            self.do(operation, **values)
        assert caught.value.code == "soapenv:Server.userException"
        assert self.dump() == before
        return caught.value

    def refuses(self, *expected: Problem, operation: str, **values: Any) -> None:
        """An operation is refused for exactly these problems."""
        assert self.refusal(operation, **values).problems == list(expected)

    def log_in(self, name: str, pin: str) -> int:
        """The status that somebody gets with this login; 403 for the right PIN of a user."""
        return self.soap.client.request("GET", "/sipxconfig/services/", auth=(name, pin)).status

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables but those that note attempts and logins."""
        with self.database.engine.connect() as connection:
            return {
                table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
                for table in metadata.sorted_tables
                if table not in (audit_log, known_addresses)
            }

    def scalar(self, sql: str, **parameters: Any) -> Any:
        """One value of the database."""
        with self.database.engine.connect() as connection:
            return connection.execute(sa.text(sql), parameters).scalar()

    def add_users(self, *names: str, **fields: Any) -> None:
        """Add users who have these fields in common."""
        for name in names:
            self.do("addUser", user={"userName": name, **fields})

    def user(self, name: str) -> dict[str, Any]:
        """One user as findUser shows it."""
        (found,) = self.do("findUser", search={"byUserName": name})
        assert found["userName"] == name
        return dict(found)

    def user_names(self, **search: str | None) -> list[str]:
        """The names of the users that match; of all without a search."""
        found = self.do("findUser", **({"search": search} if search else {}))
        return [user["userName"] for user in found]

    def edit_user(self, name: str, *pairs: tuple[str, str | None], **named: str | None) -> None:
        """Edit one user."""
        self.do("manageUser", search={"byUserName": name}, edit=edits(*pairs, **named))

    def permission_of(self, user: str, permission: str) -> bool:
        """Whether a user effectively has a permission."""
        return permission in self.user(user)["permissions"]

    def add_permission(self, label: str, **fields: Any) -> str:
        """Add a custom permission; returns the name that the server made."""
        self.do("addPermission", permission={"label": label, **fields})
        (found,) = self.do("findPermission", search={"byLabel": label})
        return str(found["name"])

    def add_phone(self, serial: str = MAC, model: str = "polycom331", **fields: Any) -> None:
        """Add a phone."""
        self.do("addPhone", phone={"serialNumber": serial, "modelId": model, **fields})

    def phone(self, serial: str = MAC) -> dict[str, Any]:
        """One phone as findPhone shows it."""
        (found,) = self.do("findPhone", search={"bySerialNumber": serial})
        return dict(found)

    def manage_phone(self, serial: str = MAC, **actions: Any) -> None:
        """Manage one phone."""
        self.do("managePhone", search={"bySerialNumber": serial}, **actions)

    def line_users(self, serial: str = MAC) -> list[str]:
        """Who the lines of a phone belong to, in their order."""
        return [line["userId"] for line in self.phone(serial).get("lines", [])]

    def serials(self, **search: str | None) -> list[str]:
        """The serial numbers of the phones that match; of all without a search."""
        found = self.do("findPhone", **({"search": search} if search else {}))
        return [phone["serialNumber"] for phone in found]

    def jobs(self, *, state: str = "waiting") -> list[tuple[str, str]]:
        """Kind and serial number of the jobs in a state, oldest first."""
        chosen = sa.select(jobs.c.kind, jobs.c.serial).where(jobs.c.state == state)
        with self.database.engine.connect() as connection:
            return [(row.kind, row.serial) for row in connection.execute(chosen.order_by("id"))]
