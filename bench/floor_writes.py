"""What the floor changes: the statements of the server in one transaction, and nothing else.

It takes the request apart with one regular expression, and checks nothing: names that are taken
run into the constraints of the tables.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from bench.floor_reads import NS
from sipxconfig_soap.domain import pins

if TYPE_CHECKING:
    from collections.abc import Callable

_FIELD = re.compile(rb"<(\w+)>([^<]*)</\1>")

_AUDIT = """
    INSERT INTO audit_log (administrator, address, service, operation, entities, outcome)
    VALUES ('superadmin', '127.0.0.1', %(service)s, %(operation)s, %(entities)s, 'done')
"""
_GROUP = """
    WITH made AS (INSERT INTO {kind}_groups (name) SELECT %(group)s
                  WHERE NOT EXISTS (SELECT FROM {kind}_groups WHERE name = %(group)s)
                  ON CONFLICT DO NOTHING RETURNING id)
    INSERT INTO {kind}_group_members (entity_id, group_id)
    SELECT %(id)s, id FROM made UNION ALL
    SELECT %(id)s, id FROM {kind}_groups WHERE name = %(group)s
"""
_ADD_USER = """
    WITH made AS (INSERT INTO branches (name) SELECT %(branchName)s
                  WHERE NOT EXISTS (SELECT FROM branches WHERE name = %(branchName)s)
                  ON CONFLICT DO NOTHING RETURNING id)
    INSERT INTO users (user_name, pin_hash, voicemail_pin_hash, last_name, first_name,
                       sip_password, email_address, branch_id)
    VALUES (%(userName)s, %(hash)s, %(hash)s, %(lastName)s, %(firstName)s,
            %(sipPassword)s, %(emailAddress)s,
            coalesce((SELECT id FROM made), (SELECT id FROM branches WHERE name = %(branchName)s)))
    RETURNING id
"""
_ADD_NAME = """
    INSERT INTO names (value, folded, kind, user_id, first_name_folded, last_name_folded)
    VALUES (%(userName)s, %(userName)s, 'userName', %(id)s, %(first)s, %(last)s)
"""
_ADD_VALUES = """
    INSERT INTO user_permissions (user_id, permission_id, enabled)
    SELECT %(id)s, id, true FROM permissions WHERE name = ANY (%(permissions)s)
"""
_ADD_PHONE = """
    INSERT INTO phones (serial_number, model_id, description, device_version, profile_file)
    VALUES (%(serialNumber)s, %(modelId)s, %(description)s, 'polycom4.0.X', %(file)s) RETURNING id
"""
_ADD_LINE = """
    INSERT INTO lines (phone_id, user_id) SELECT %(id)s, id FROM users WHERE user_name = %(userId)s
"""
_EDIT_USERS = """
    UPDATE users SET email_address = %(value)s
    WHERE id IN (SELECT entity_id FROM user_group_members
                 WHERE group_id = (SELECT id FROM user_groups WHERE name = %(byGroup)s))
"""


def _fields(body: bytes) -> dict[str, Any]:
    """The simple elements of a request; of repeated ones all values of ``permissions``."""
    values: dict[str, Any] = {}
    listed = []
    for name, text in _FIELD.findall(body):
        value = html.unescape(text.decode())
        if name == b"permissions":
            listed.append(value)
        values[name.decode()] = value
    values["permissions"] = listed
    return values


def _done(cursor: Any, service: str, operation: str, entity: str) -> str:
    audit = {"service": service, "operation": operation, "entities": [entity]}
    cursor.execute(_AUDIT, audit)
    cursor.execute("COMMIT")
    return f'<{operation}Response xmlns="{NS}"></{operation}Response>'


def _add_user(cursor: Any, body: bytes) -> str:
    values = _fields(body)
    pin = values.get("pin")
    values["hash"] = pins.hash_pin(pin) if pin else values["pintoken"]
    values["last"] = values["lastName"].casefold()
    values["first"] = values["firstName"].casefold()
    cursor.execute("BEGIN")
    cursor.execute(_ADD_USER, values)
    (values["id"],) = cursor.fetchone()
    cursor.execute(_ADD_NAME, values)
    cursor.execute(_GROUP.format(kind="user"), values | {"group": values["groups"]})
    cursor.execute(_ADD_VALUES, values)
    return _done(cursor, "UserService", "addUser", values["userName"])


def _add_phone(cursor: Any, body: bytes) -> str:
    values = _fields(body)
    values["file"] = f"{values['serialNumber']}.cfg"
    cursor.execute("BEGIN")
    cursor.execute(_ADD_PHONE, values)
    (values["id"],) = cursor.fetchone()
    cursor.execute(_ADD_LINE, values)
    cursor.execute(_GROUP.format(kind="phone"), values | {"group": values["groups"]})
    return _done(cursor, "PhoneService", "addPhone", values["serialNumber"])


def _manage_user(cursor: Any, body: bytes) -> str:
    """One UPDATE, whatever the edit: the benchmark edits the email address of a group."""
    cursor.execute(_EDIT_USERS, _fields(body))
    return f'<manageUserResponse xmlns="{NS}"></manageUserResponse>'


WRITES: dict[str, Callable[[Any, bytes], str]] = {
    "addPhone": _add_phone,
    "addUser": _add_user,
    "manageUser": _manage_user,
}
