"""Example requests, made from the types of the operations, that work as they stand."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from sipxconfig_soap.soap.envelope import SOAP11, XSI, escape
from sipxconfig_soap.soap.types import NS, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sipxconfig_soap.soap.service import Operation

_VALUES: Mapping[str, str | tuple[str, ...] | None] = {
    # What a field is in an example: by its name, or by the type and name where types differ.
    # Fields without a value are nil where they must stand; else they are left out, and so is what
    # consists of such fields only.
    "userName": "201",
    "firstName": "Albert",
    "lastName": "Einstein",
    "emailAddress": "albert@example.org",
    "aliases": "albert",
    "branchName": "Berlin",
    "permissions": ("LocalDialing", "LongDistanceDialing"),
    "pin": "4711",
    "User.groups": "Managers",
    "byUserName": "201",
    "ManageUser.addGroup": "Managers",
    "CallGroup.name": "Sales",
    "CallGroup.extension": "301",
    "CallGroup.description": "The sales team",
    "RemoveCallGroup.callGroup": "Sales",
    "enabled": "true",
    # The one user that every system has.
    "UserRing.userName": "superadmin",
    "expiration": "15",
    "UserRing.type": "immediate",
    "position": "0",
    "ParkOrbit.name": "Lobby",
    "ParkOrbit.extension": "701",
    "ParkOrbit.description": "Calls that wait for the reception",
    # Required by the WSDL, though the server makes a name of its own.
    "Permission.name": "record-calls",
    "label": "Record calls",
    "Permission.description": "Calls may be recorded",
    "defaultValue": "false",
    "byLabel": "Record calls",
    "serialNumber": "0004f2000001",
    "modelId": "polycom331",
    "Phone.description": "Reception",
    "Phone.groups": "Lobby",
    "userId": "superadmin",
    "bySerialNumber": "0004f2000001",
    "ManagePhone.addLine": None,
    "ManagePhone.addExternalLine": None,
    "generateProfiles": "true",
    "ManageUser.property": "lastName",
    "ManageUser.value": "Bohr",
    "ManagePermission.property": "description",
    "ManagePermission.value": "Calls of this user may be recorded",
    "ManagePhone.property": "description",
    "ManagePhone.value": "Reception, left desk",
    # Nothing is deleted by whoever tries the example out.
    "ResetServices.callGroup": "false",
    "ResetServices.parkOrbit": "false",
    "ResetServices.permission": "false",
    "ResetServices.phone": "false",
    "ResetServices.user": "false",
    "ResetServices.superAdmin": "false",
}

NIL = ' xsi:nil="true"'
"""The attribute of an element that stands for null, in an envelope made here."""

_INDENT = "  "


def example_request(operation: Operation) -> str:
    """The envelope of a call of this operation, with the values of the table above."""
    name = operation.element or operation.name
    inside = _children(operation.input, (name,)) if operation.input else ()
    return request_around(operation, list(inside))


def request_around(operation: Operation, inside: Sequence[str]) -> str:
    """The envelope of a call of this operation, around the lines of its input's members."""
    tag = f"con:{operation.element or operation.name}"
    xsi = f'\n{" " * 18}xmlns:xsi="{XSI}"' if any(NIL in line for line in inside) else ""
    body = "\n".join(f"{_INDENT * 2}{line}" for line in element(tag, inside))
    return (
        f'<soapenv:Envelope xmlns:soapenv="{SOAP11.namespace}"\n'
        f'{" " * 18}xmlns:con="{NS}"{xsi}>\n'
        f"{_INDENT}<soapenv:Body>\n{body}\n{_INDENT}</soapenv:Body>\n</soapenv:Envelope>"
    )


def curl_command(url: str, user_name: str, request: str) -> str:
    """The shell command that sends a request; curl asks for the PIN."""
    end = "END"
    while end in request.splitlines():  # somebody's text would end it, and go on as a command
        end += "_"
    return (
        f"curl --user {shlex.quote(user_name)} \\\n"
        "     --header 'Content-Type: text/xml; charset=UTF-8' \\\n"
        f"     --data-binary @- {shlex.quote(url)} <<'{end}'\n{request}\n{end}"
    )


def _children(message: type[Any], owners: tuple[str, ...]) -> Iterator[str]:
    """The lines of a complex type's members.

    Args:
        message: the type.
        owners: the names of types by which the table of values may call its fields.
    """
    for name, kind in message.get_flat_type_info(message).items():
        key = _key(name, owners)
        value = _VALUES[key] if key else None
        if value is not None:
            for text in (value,) if isinstance(value, str) else value:
                yield f"<{name}>{escape(text)}</{name}>"
        elif key is None and issubclass(kind, Message):
            lines = list(_children(kind, (kind.get_type_name(), *owners)))
            if lines:
                yield from element(name, lines)
        elif kind.Attributes.min_occurs and kind.Attributes.nillable:
            yield f"<{name}{NIL}/>"


def example_of(name: str, owners: tuple[str, ...]) -> str:
    """What a field is in an example, several values one a line; "" for none.

    Args:
        name: of the field.
        owners: see `_children`.
    """
    key = _key(name, owners)
    value = (_VALUES[key] if key else None) or ""
    return value if isinstance(value, str) else "\n".join(value)


def _key(name: str, owners: tuple[str, ...]) -> str | None:
    """The entry of the table for a field, the most particular one; None when there is none."""
    keys = (*(f"{owner}.{name}" for owner in owners), name)
    return next((key for key in keys if key in _VALUES), None)


def element(tag: str, inside: Iterable[str]) -> Iterator[str]:
    """The lines of an element around the lines of its content."""
    lines = [_INDENT + line for line in inside]
    if not lines:
        yield f"<{tag}/>"
        return
    yield f"<{tag}>"
    yield from lines
    yield f"</{tag}>"
