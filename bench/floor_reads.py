"""What the floor reads: one prepared statement and a function that formats its rows for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

NS = "http://www.sipfoundry.org/2007/08/21/ConfigService"
DOMAIN = "example.org"

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})


class Read(NamedTuple):
    """An operation that reads.

    Attributes:
        name: of the prepared statement.
        sql: with ``$1`` for what is searched, or without a parameter.
        answer: makes the content of the Body from the rows.
        pattern: whether what is searched becomes the pattern of a substring.
    """

    name: str
    sql: str
    answer: Callable[[Sequence[Any]], str]
    pattern: bool = False

    def prepare(self, cursor: Any) -> None:
        """Have the statement planned, once for each connection."""
        cursor.execute(f"PREPARE {self.name} AS {self.sql}")

    def __call__(self, cursor: Any, searched: bytes) -> str:
        """The content of the Body."""
        if "$1" in self.sql:
            value = searched.decode()
            if self.pattern:
                value = f"%{value.casefold()}%"
            cursor.execute(f"EXECUTE {self.name} (%s)", (value,))
        else:
            cursor.execute(f"EXECUTE {self.name}")
        return self.answer(cursor.fetchall())


def escape(text: str) -> str:
    """Write a text as character data."""
    return text if text.isalnum() else text.translate(_ENTITIES)


def _wrapped(message: str, member: str, items: Iterable[str]) -> str:
    joined = "".join(items)
    inside = f'<{member} xmlns="">{joined}</{member}>' if joined else f'<{member} xmlns=""/>'
    return f'<{message} xmlns="{NS}">{inside}</{message}>'


def _optional(name: str, value: str | None) -> str:
    return "" if value is None else f"<{name}>{escape(value)}</{name}>"


def _nil(name: str, value: str | None) -> str:
    return f'<{name} xsi:nil="true"/>' if value is None else f"<{name}>{escape(value)}</{name}>"


def _each(name: str, values: Iterable[str]) -> str:
    return "".join([f"<{name}>{escape(value)}</{name}>" for value in values])


_CATALOGUE = """
    (SELECT json_build_array(
        (SELECT json_agg(json_build_array(id, name, default_value) ORDER BY name) FROM permissions),
        (SELECT json_agg(json_build_array(group_id, permission_id, enabled))
         FROM user_group_permissions)))
"""
_FIRST_ONLY = f"CASE WHEN row_number() OVER (ORDER BY u.user_name) = 1 THEN {_CATALOGUE} END"


def _users_sql(condition: str, catalogue: str = _FIRST_ONLY) -> str:
    return f"""
        SELECT u.user_name, u.pin_hash, u.last_name, u.first_name, u.sip_password,
               ARRAY(SELECT value FROM names WHERE user_id = u.id AND kind = 'alias'
                     ORDER BY value),
               u.email_address, g.names, g.ids,
               ARRAY(SELECT CASE WHEN enabled THEN permission_id ELSE -permission_id END
                     FROM user_permissions WHERE user_id = u.id),
               (SELECT name FROM branches WHERE id = u.branch_id),
               {catalogue}
        FROM users u,
        LATERAL (SELECT array_agg(g.name ORDER BY g.id) AS names, array_agg(g.id ORDER BY g.id)
                     AS ids
                 FROM user_group_members m JOIN user_groups g ON g.id = m.group_id
                 WHERE m.entity_id = u.id) g
        {condition} ORDER BY u.user_name
    """


def _users(rows: Sequence[Any]) -> str:
    if not rows:
        return _wrapped("FindUserResponse", "users", ())
    permissions, of_groups = rows[0][-1]
    by_group: dict[int, dict[int, bool]] = {}
    for group, permission, enabled in of_groups or ():
        by_group.setdefault(group, {})[permission] = enabled
    known: dict[tuple[object, ...], str] = {}
    items = []
    for name, pin, last, first, sip, aliases, email, groups, ids, own, branch, _ in rows:
        deciding = tuple([group for group in ids or () if group in by_group])
        key = (tuple(own), deciding, name == "superadmin")
        effective = known.get(key)
        if effective is None:
            values: dict[int, bool] = {}
            for group in deciding:
                values |= by_group[group]
            values |= {abs(each): each > 0 for each in own}
            effective = known[key] = _each(
                "permissions",
                [
                    permission
                    for number, permission, default in permissions
                    if values.get(number, default) or permission == name == "superadmin"
                ],
            )
        items.append(
            f"<item><userName>{escape(name)}</userName>{_nil('pintoken', pin)}"
            f"{_nil('lastName', last)}{_nil('firstName', first)}"
            f"<sipPassword>{escape(sip)}</sipPassword>{_each('aliases', aliases)}"
            f"{_nil('emailAddress', email)}{_each('groups', groups or ())}{effective}"
            f"{_nil('branchName', branch)}</item>"
        )
    return _wrapped("FindUserResponse", "users", items)


def _permissions(rows: Sequence[Any]) -> str:
    return _wrapped(
        "FindPermissionResponse",
        "permissions",
        [
            f"<item><name>{escape(name)}</name>{_optional('label', label)}"
            f"{_optional('description', description)}"
            f"<defaultValue>{'true' if default else 'false'}</defaultValue><type>{kind}</type>"
            f"<builtIn>{'true' if built_in else 'false'}</builtIn></item>"
            for name, label, description, default, kind, built_in in rows
        ],
    )


def _call_groups(rows: Sequence[Any]) -> str:
    return _wrapped(
        "GetCallGroupsResponse",
        "callGroups",
        [
            f"<item><name>{escape(name)}</name>{_optional('extension', extension)}"
            f"{_optional('description', description)}"
            f"<enabled>{'true' if enabled else 'false'}</enabled>{_rings(rings or ())}</item>"
            for name, extension, description, enabled, rings in rows
        ],
    )


def _rings(rings: Sequence[Any]) -> str:
    return "".join(
        [
            f"<rings><expiration>{expiration}</expiration><type>{kind}</type>"
            f"<position>{position}</position><userName>{escape(user)}</userName></rings>"
            for position, (expiration, kind, user) in enumerate(rings)
        ]
    )


def _phones(rows: Sequence[Any]) -> str:
    return _wrapped(
        "FindPhoneResponse",
        "phones",
        [
            f"<item><serialNumber>{escape(serial)}</serialNumber><modelId>{escape(model)}</modelId>"
            f"{_optional('description', description)}{_each('groups', groups)}"
            f"{_lines(lines or ())}{_optional('deviceVersion', version)}</item>"
            for serial, model, description, groups, lines, version in rows
        ],
    )


def _lines(lines: Sequence[Any]) -> str:
    parts = []
    for user, first, last in lines:
        address = f"sip:{user}@{DOMAIN}"
        name = " ".join([part for part in (first, last) if part])
        if name:
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            address = f'"{quoted}"<{address}>'
        parts.append(f"<lines><userId>{escape(user)}</userId><uri>{escape(address)}</uri></lines>")
    return "".join(parts)


# Needles of the benchmark have three characters at least, and no wildcard.
_FUZZY = """
    WHERE u.id = ANY (ARRAY(
        SELECT user_id FROM names WHERE user_id IS NOT NULL
        AND name_grams(folded, first_name_folded, last_name_folded)
            @> name_grams(trim('%' FROM $1), NULL, NULL)
        AND (folded LIKE $1 OR first_name_folded LIKE $1 OR last_name_folded LIKE $1)))
"""
_GROUP = """
    WHERE u.id IN (SELECT entity_id FROM user_group_members
                   WHERE group_id = (SELECT id FROM user_groups WHERE name = $1))
"""
_PHONES = """
    SELECT p.serial_number, p.model_id, p.description,
           ARRAY(SELECT g.name FROM phone_group_members m JOIN phone_groups g ON g.id = m.group_id
                 WHERE m.entity_id = p.id ORDER BY g.id),
           (SELECT json_agg(json_build_array(u.user_name, u.first_name, u.last_name) ORDER BY l.id)
            FROM lines l JOIN users u ON u.id = l.user_id WHERE l.phone_id = p.id),
           p.device_version
    FROM phones p
"""

READS = {
    "findUser": Read("find_user", _users_sql("WHERE u.user_name = $1", _CATALOGUE), _users),
    "findFuzzy": Read("find_fuzzy", _users_sql(_FUZZY), _users, pattern=True),
    "findGroup": Read("find_group", _users_sql(_GROUP), _users),
    "findUsers": Read("find_users", _users_sql(""), _users),
    "PermissionService": Read(
        "find_permissions",
        "SELECT name, label, description, default_value, type, built_in FROM permissions"
        " ORDER BY name",
        _permissions,
    ),
    "CallGroupService": Read(
        "get_call_groups",
        """
        SELECT c.name, c.extension, c.description, c.enabled,
               (SELECT json_agg(json_build_array(r.expiration, r.type, u.user_name)
                                ORDER BY r.position, r.id)
                FROM rings r JOIN users u ON u.id = r.user_id WHERE r.call_group_id = c.id)
        FROM call_groups c ORDER BY c.id
        """,
        _call_groups,
    ),
    "findPhone": Read("find_phone", f"{_PHONES} WHERE p.serial_number = $1", _phones),
    "findPhones": Read("find_phones", f"{_PHONES} ORDER BY p.id", _phones),
}
