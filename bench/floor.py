"""The floor: a bare WSGI application, served as the server is and on the same engine.

Each call takes one connection, reads the account by the server's statement, then the data by the
server's statement, and formats strings. Nothing is checked, and of a request nothing is read but
the name in it. All rows of an answer come at once, by one prepared statement without a cursor on
the server: the cheapest way that SQLAlchemy has, and the one that takes most memory.
"""

from __future__ import annotations

import base64
import os
import re
from html import escape
from typing import TYPE_CHECKING, Any

import click
import sqlalchemy as sa

from bench.data import ADD_USER, ADMINISTRATOR, FIRST_USER, LARGE_GROUP, PIN
from sipxconfig_soap import server
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import (
    accounts,
    audit,
    call_groups,
    grants,
    grouping,
    metadata,
    permissions,
    phones,
    pins,
    user_list,
    users,
)
from sipxconfig_soap.domain.rules import Rules
from sipxconfig_soap.domain.work import Work
from sipxconfig_soap.errors import Problems
from sipxconfig_soap.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bench.workloads import Workload

    Rows = Sequence[Any]
    Floor = Callable[[sa.Connection, str], str]
    """Gets what is searched or added, and makes the Body of the answer."""

NS = "http://www.sipfoundry.org/2007/08/21/ConfigService"
DOMAIN = "example.org"
_ANSWER = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
    "%s</soapenv:Body></soapenv:Envelope>"
)


def _read(statement: sa.Select[Any], content: Callable[[Rows], str], *parameters: str) -> Floor:
    prepared = statement.execution_options(prepared=True)

    def answer(connection: sa.Connection, searched: str) -> str:
        return content(connection.execute(prepared, dict.fromkeys(parameters, searched)).all())

    return answer


def _list(message: str, member: str, items: Iterable[str]) -> str:
    inside = f'<{member} xmlns="">{"".join(items)}</{member}>'
    return f'<{message} xmlns="{NS}">{inside}</{message}>'


def _text(value: str) -> str:
    return value if value.isalnum() else escape(value, quote=False).replace('"', "&quot;")


def _optional(name: str, value: str | None) -> str:
    return "" if value is None else f"<{name}>{_text(value)}</{name}>"


def _nil(name: str, value: str | None) -> str:
    return f'<{name} xsi:nil="true"/>' if value is None else f"<{name}>{_text(value)}</{name}>"


def _each(name: str, values: Iterable[str] | None) -> str:
    return "".join([f"<{name}>{_text(value)}</{name}>" for value in values or ()])


def _users(rows: Rows) -> str:
    resolver = grants.Resolver(rows[0][-1])
    known: dict[Any, str] = {}
    items = []
    for name, last, first, sip, email, pin, aliases, ids, groups, own, branch, _ in rows:
        always = ADMINISTRATOR if name == ADMINISTRATOR else None
        key = (tuple(own or ()), tuple(ids or ()), always)
        if key not in known:
            known[key] = _each("permissions", resolver.names(own, ids, always=always))
        items.append(
            f"<item><userName>{_text(name)}</userName>{_nil('pintoken', pin)}"
            f"{_nil('lastName', last)}{_nil('firstName', first)}"
            f"<sipPassword>{_text(sip)}</sipPassword>{_each('aliases', aliases)}"
            f"{_nil('emailAddress', email)}{_each('groups', groups)}{known[key]}"
            f"{_nil('branchName', branch)}</item>"
        )
    return _list("FindUserResponse", "users", items)


def _permissions(rows: Rows) -> str:
    items = [
        f"<item><name>{_text(name)}</name>{_optional('label', label)}"
        f"{_optional('description', description)}"
        f"<defaultValue>{'true' if default else 'false'}</defaultValue><type>{kind}</type>"
        f"<builtIn>{'true' if built_in else 'false'}</builtIn></item>"
        for name, label, description, default, kind, built_in in rows
    ]
    return _list("FindPermissionResponse", "permissions", items)


def _call_groups(rows: Rows) -> str:
    items = [
        f"<item><name>{_text(name)}</name>{_optional('extension', extension)}"
        f"{_optional('description', description)}<enabled>{'true' if on else 'false'}</enabled>"
        f"{''.join([_ring(place, *each) for place, each in enumerate(rings or ())])}</item>"
        for name, extension, description, on, rings in rows
    ]
    return _list("GetCallGroupsResponse", "callGroups", items)


def _ring(position: int, expiration: int, kind: str, user: str) -> str:
    return (
        f"<rings><expiration>{expiration}</expiration><type>{kind}</type>"
        f"<position>{position}</position><userName>{_text(user)}</userName></rings>"
    )


def _phones(rows: Rows) -> str:
    items = [
        f"<item><serialNumber>{_text(serial)}</serialNumber><modelId>{_text(model)}</modelId>"
        f"{_optional('description', description)}{_each('groups', groups)}"
        f"{''.join([_line(*each) for each in lines or ()])}"
        f"{_optional('deviceVersion', version)}</item>"
        for serial, model, description, groups, lines, version in rows
    ]
    return _list("FindPhoneResponse", "phones", items)


def _line(user: str, first: str, last: str, _server: None) -> str:
    uri = f'"{first} {last}"<sip:{user}@{DOMAIN}>'
    return f"<lines><userId>{_text(user)}</userId><uri>{_text(uri)}</uri></lines>"


ALL_USERS = user_list._statement()
_ONE_USER = ALL_USERS.where(users.SEARCHES["byUserName"].condition)
_ONE_PHONE = phones._statement().where(phones.SEARCHES["bySerialNumber"].condition)
_PERMISSION = permissions.permissions.c
_ALL_PERMISSIONS = sa.select(*(_PERMISSION[name] for name in permissions.PermissionView._fields))

find_users = _read(ALL_USERS, _users)
find_user = _read(_ONE_USER, _users, "value")
find_phone = _read(_ONE_PHONE, _phones, "value", "cleaned")
find_permissions = _read(_ALL_PERMISSIONS.order_by(_PERMISSION.name), _permissions)
get_call_groups = _read(call_groups._statement(), _call_groups)

_TABLES = metadata.tables
_ADD_USER = _TABLES["users"].insert().returning(_TABLES["users"].c.id)
_ADD_NAME = _TABLES["names"].insert()
_GRANT = sa.text(
    "INSERT INTO user_permissions (user_id, permission_id, enabled)"
    " SELECT :user, id, true FROM permissions WHERE name = ANY (:names)"
)
_ADD_PHONE = _TABLES["phones"].insert().returning(_TABLES["phones"].c.id)
_ADD_LINE = sa.text(
    "INSERT INTO lines (phone_id, user_id) SELECT :phone, id FROM users WHERE user_name = :name"
)
_IN_GROUP = users.SEARCHES["byGroup"].condition
_EDIT = _TABLES["users"].update().where(_IN_GROUP).values(email_address=sa.bindparam("email"))
_USER: dict[str, Any] = {
    "last_name": "Einstein",
    "first_name": "Albert",
    "sip_password": "4567",
    "email_address": "albertE@yahoo.com",
}
_NAME = {"kind": "userName", "first_name_folded": "albert", "last_name_folded": "einstein"}
_PERMISSIONS = re.findall("<permissions>([^<]*)", ADD_USER)


def add_user(connection: sa.Connection, name: str) -> str:
    """Add the user of the documented example."""
    work = _work(connection)
    row = _USER | {"user_name": name, "pin_hash": pins.hash_pin(PIN)}
    row["branch_id"] = grouping.branch_id(work, "Berlin")
    user = connection.execute(_ADD_USER, row).scalar_one()
    connection.execute(_ADD_NAME, _NAME | {"value": name, "folded": name, "user_id": user})
    grouping.USER_GROUPS.join(work, [user], ["Managers"])
    connection.execute(_GRANT, {"user": user, "names": _PERMISSIONS})
    return _done(connection, "UserService", "addUser", name)


def add_phone(connection: sa.Connection, serial: str) -> str:
    """Add the phone of the documented example, which has one line."""
    row = {"serial_number": serial, "profile_file": f"{serial}.cfg", "model_id": "polycom321"}
    more = {"description": "SOAP added phone", "device_version": "polycom4.0.X"}
    phone = connection.execute(_ADD_PHONE, row | more).scalar_one()
    connection.execute(_ADD_LINE, {"phone": phone, "name": str(FIRST_USER)})
    grouping.PHONE_GROUPS.join(_work(connection), [phone], ["FirstPhoneGroup"])
    return _done(connection, "PhoneService", "addPhone", serial)


def edit_users(connection: sa.Connection, email: str) -> str:
    """One UPDATE, and nothing else."""
    connection.execute(_EDIT, {"value": LARGE_GROUP, "email": email})
    return f'<manageUserResponse xmlns="{NS}"></manageUserResponse>'


def _work(connection: sa.Connection) -> Work:
    return Work(connection, Rules(DOMAIN, DOMAIN, (), frozenset()), Problems())


def _done(connection: sa.Connection, service: str, operation: str, entity: str) -> str:
    entry = audit.Entry(ADMINISTRATOR, "127.0.0.1", service, operation, [entity], audit.DONE)
    audit.record(connection, entry)
    return f'<{operation}Response xmlns="{NS}"></{operation}Response>'


class Application:
    """The WSGI application; the database has a connection for each thread."""

    def __init__(self, database: Database, workloads: Sequence[Workload]) -> None:
        self._database = database
        self._known = [(re.compile(each.known_by), each) for each in workloads]

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        found, call = next((found, each) for by, each in self._known if (found := by.search(body)))
        login = base64.b64decode(environ["HTTP_AUTHORIZATION"].partition(" ")[2]).decode()
        name, _, pin = login.partition(":")
        engine = self._database.engine
        with engine.begin() if call.shown_by else self._database.reads.connect() as connection:
            account = accounts.find_account(connection, name)
            # Nothing is hashed: the server remembers right logins as well.
            if account is None or not account.administrator or pin != PIN:
                start("401 Unauthorized", [("Content-Length", "0")])
                return [b""]
            content = call.answer(connection, found[1].decode())
        answer = (_ANSWER % content).encode()
        length = str(len(answer))
        start("200 OK", [("Content-Type", "text/xml; charset=UTF-8"), ("Content-Length", length)])
        return [answer]


def serve(workloads: Sequence[Workload]) -> None:
    """Serve the floor with the settings of the environment, until a signal ends it."""
    settings = Settings.load(os.environ)
    url, prepare = str(settings.database_url), settings.prepare_statements

    def build() -> Application:
        database = Database(url, pool_size=settings.threads, prepare_statements=prepare)
        return Application(database, workloads)

    server.run(settings, build, lambda address: click.echo(f"Services: {address}/"))
