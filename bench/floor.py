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
from typing import TYPE_CHECKING, Any

import click
import sqlalchemy as sa

from bench.workloads import ADD_USER, ADMINISTRATOR, FIRST_USER, LARGE_GROUP, NS, PIN, WORKLOADS
from sipxconfig_soap import logs, server
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import audit, call_groups, grouping, phones, user_list, users
from sipxconfig_soap.domain.accounts import find_account
from sipxconfig_soap.domain.grants import Resolver
from sipxconfig_soap.domain.permissions import PermissionView, permissions
from sipxconfig_soap.domain.pins import hash_pin
from sipxconfig_soap.domain.rules import Rules
from sipxconfig_soap.domain.work import Work
from sipxconfig_soap.errors import Problems
from sipxconfig_soap.settings import Settings
from sipxconfig_soap.soap.envelope import SOAP11, escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bench.workloads import Workload
    from sipxconfig_soap.sending import Application

    Rows = Sequence[Any]
    Floor = Callable[[sa.Connection, str], str]
    """Gets what is searched or added, and makes the Body of the answer."""

DOMAIN = "example.org"
_WORDS = {True: "true", False: "false"}


def _nil(name: str, value: str | None) -> str:
    return f'<{name} xsi:nil="true"/>' if value is None else f"<{name}>{escape(value)}</{name}>"


def _each(name: str, values: Iterable[str] | None) -> str:
    return "".join([f"<{name}>{escape(value)}</{name}>" for value in values or ()])


def _users(rows: Rows) -> Iterator[str]:
    resolver = Resolver(rows[0][-1])
    known: dict[Any, str] = {}
    for name, last, first, sip, email, pin, aliases, ids, groups, own, branch, _ in rows:
        always = ADMINISTRATOR if name == ADMINISTRATOR else None
        key = (tuple(own or ()), tuple(ids or ()), always)
        if key not in known:
            known[key] = _each("permissions", resolver.names(own, ids, always=always))
        yield (
            f"<item><userName>{escape(name)}</userName><pintoken>{escape(pin)}</pintoken>"
            f"{_nil('lastName', last)}{_nil('firstName', first)}"
            f"<sipPassword>{escape(sip)}</sipPassword>{_each('aliases', aliases)}"
            f"{_nil('emailAddress', email)}{_each('groups', groups)}{known[key]}"
            f"{_nil('branchName', branch)}</item>"
        )


def _permissions(rows: Rows) -> Iterable[str]:
    return [
        f"<item><name>{escape(name)}</name><label>{escape(label)}</label>"
        f"{_each('description', description and [description])}"
        f"<defaultValue>{_WORDS[default]}</defaultValue><type>{kind}</type>"
        f"<builtIn>{_WORDS[built_in]}</builtIn></item>"
        for name, label, description, default, kind, built_in in rows
    ]


def _call_groups(rows: Rows) -> Iterable[str]:
    return [
        f"<item><name>{escape(name)}</name><extension>{escape(extension)}</extension>"
        f"<description>{escape(description)}</description><enabled>{_WORDS[on]}</enabled>"
        f"{''.join([_ring(place, *each) for place, each in enumerate(rings)])}</item>"
        for name, extension, description, on, rings in rows
    ]


def _ring(position: int, expiration: int, kind: str, user: str) -> str:
    return (
        f"<rings><expiration>{expiration}</expiration><type>{kind}</type>"
        f"<position>{position}</position><userName>{escape(user)}</userName></rings>"
    )


def _phones(rows: Rows) -> Iterable[str]:
    return [
        f"<item><serialNumber>{escape(serial)}</serialNumber><modelId>{escape(model)}</modelId>"
        f"<description>{escape(description)}</description>{_each('groups', groups)}"
        f"{''.join([_line(*each) for each in lines])}"
        f"<deviceVersion>{escape(version)}</deviceVersion></item>"
        for serial, model, description, groups, lines, version in rows
    ]


def _line(user: str, first: str, last: str, _server: None) -> str:
    uri = escape(f'"{first} {last}"<sip:{user}@{DOMAIN}>')
    return f"<lines><userId>{escape(user)}</userId><uri>{uri}</uri></lines>"


def _read(
    statement: sa.Select[Any], message: str, member: str, items: Callable[[Rows], Iterable[str]]
) -> Floor:
    """Read a list of this name in this message, with items made of the rows of the statement."""
    prepared = statement.execution_options(prepared=True)
    before, after = f'<{message} xmlns="{NS}"><{member} xmlns="">', f"</{member}></{message}>"

    def answer(connection: sa.Connection, value: str) -> str:
        rows = connection.execute(prepared, {"value": value}).all()
        return before + "".join(items(rows)) + after

    return answer


_ADD_USER = sa.text(
    "INSERT INTO users (user_name, pin_hash, branch_id, last_name, first_name, sip_password,"
    " email_address) VALUES (:name, :hash, :branch, 'Einstein', 'Albert', '4567',"
    " 'albertE@yahoo.com') RETURNING id"
)
_ADD_NAME = sa.text(
    "INSERT INTO names (value, folded, kind, user_id, first_name_folded, last_name_folded)"
    " VALUES (:name, :name, 'userName', :user, 'albert', 'einstein')"
)
_GRANT = sa.text(
    "INSERT INTO user_permissions (user_id, permission_id, enabled)"
    " SELECT :user, id, true FROM permissions WHERE name = ANY (:names)"
)
_GRANTED = re.findall("<permissions>([^<]*)", ADD_USER)
_ADD_PHONE = sa.text(
    "INSERT INTO phones (serial_number, profile_file, model_id, description, device_version)"
    " VALUES (:serial, :file, 'polycom321', 'SOAP added phone', 'polycom4.0.X') RETURNING id"
)
_ADD_LINE = sa.text(
    "INSERT INTO lines (phone_id, user_id) SELECT :phone, id FROM users WHERE user_name = :name"
)
_EDIT = users.users.update().where(users.SEARCHES["byGroup"].condition)
_EDIT = _EDIT.values(email_address=sa.bindparam("email"))


def _add_user(work: Work, name: str) -> None:
    row = {"name": name, "hash": hash_pin(PIN), "branch": grouping.branch_id(work, "Berlin")}
    user = work.execute(_ADD_USER, row).scalar_one()
    work.execute(_ADD_NAME, {"name": name, "user": user})
    grouping.USER_GROUPS.join(work, [user], ["Managers"])
    work.execute(_GRANT, {"user": user, "names": _GRANTED})


def _add_phone(work: Work, serial: str) -> None:
    phone = work.execute(_ADD_PHONE, {"serial": serial, "file": f"{serial}.cfg"}).scalar_one()
    work.execute(_ADD_LINE, {"phone": phone, "name": str(FIRST_USER)})
    grouping.PHONE_GROUPS.join(work, [phone], ["FirstPhoneGroup"])


def _add(service: str, operation: str, add: Callable[[Work, str], None]) -> Floor:
    """Add what the documented example adds, by another name, with an entry in the audit log."""

    def answer(connection: sa.Connection, name: str) -> str:
        add(Work(connection, Rules(DOMAIN, DOMAIN, (), frozenset()), Problems()), name)
        entry = audit.Entry(ADMINISTRATOR, "127.0.0.1", service, operation, [name], audit.DONE)
        audit.record(connection, entry)
        return f'<{operation}Response xmlns="{NS}"></{operation}Response>'

    return answer


def _edit(connection: sa.Connection, email: str) -> str:
    """One UPDATE, and nothing else."""
    connection.execute(_EDIT, {"value": LARGE_GROUP, "email": email})
    return f'<manageUserResponse xmlns="{NS}"></manageUserResponse>'


_ALL_USERS = user_list._statement()
_ONE_USER = _ALL_USERS.where(users.SEARCHES["byUserName"].condition)
_ONE_PHONE = phones._statement().where(phones.SEARCHES["bySerialNumber"].condition)
_COLUMNS = (permissions.c[name] for name in PermissionView._fields)
_PERMISSIONS = sa.select(*_COLUMNS).order_by(permissions.c.name)
_ALL_GROUPS = call_groups._statement()

ANSWERS: dict[str, Floor] = {
    "findUser by name": _read(_ONE_USER, "FindUserResponse", "users", _users),
    "findPhone by serial": _read(_ONE_PHONE, "FindPhoneResponse", "phones", _phones),
    "findPermission all": _read(
        _PERMISSIONS, "FindPermissionResponse", "permissions", _permissions
    ),
    "getCallGroups": _read(_ALL_GROUPS, "GetCallGroupsResponse", "callGroups", _call_groups),
    "findUser all": _read(_ALL_USERS, "FindUserResponse", "users", _users),
    "manageUser of 1,000": _edit,
    "addUser": _add("UserService", "addUser", _add_user),
    "addPhone": _add("PhoneService", "addPhone", _add_phone),
}
"""What the floor does, by the name of the workload."""

_BEGINNINGS = [(each.request.envelope.partition("{n}")[0].encode(), each) for each in WORKLOADS]


def found(body: bytes) -> tuple[Workload, str]:
    """The workload of a request, known by what stands before its number, and the number."""
    beginning, workload = next(each for each in _BEGINNINGS if body.startswith(each[0]))
    return workload, body[len(beginning) :].partition(b"<")[0].decode()


def application(database: Database) -> Application:
    """The WSGI application; the database has a connection for each thread."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        workload, value = found(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        login = base64.b64decode(environ["HTTP_AUTHORIZATION"].partition(" ")[2]).decode()
        engine = database.engine
        with engine.begin() if workload.shown_by else database.reads.connect() as connection:
            # Its PIN is not looked at: the server remembers right logins as well.
            find_account(connection, login.partition(":")[0])
            content = ANSWERS[workload.name](connection, value)
        body = b"".join([SOAP11.head, content.encode(), SOAP11.tail])
        length = ("Content-Length", str(len(body)))
        start("200 OK", [("Content-Type", SOAP11.content_type), length])
        return [body]

    return answer


def main() -> None:
    """Serve the floor with the settings of the environment, until a signal ends it."""
    logs.setup("warning")
    settings = Settings.load(os.environ)

    def build() -> Application:
        url, prepare = str(settings.database_url), settings.prepare_statements
        return application(Database(url, pool_size=settings.threads, prepare_statements=prepare))

    server.run(settings, build, lambda address: click.echo(f"Services: {address}/"))


if __name__ == "__main__":
    main()
