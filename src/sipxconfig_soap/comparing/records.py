"""What is compared of each kind of entity, in a form in which what does not matter is equal.

Order, blank against absent, white space around names, and how a serial number is written do not
matter (docs/migration.md).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sipxconfig_soap.comparing.client import NS, Call, name_of
from sipxconfig_soap.provisioning.models import MODELS, cleaned_serial, renamed
from sipxconfig_soap.values import is_blank, parse_boolean, trim

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml import etree

Record: TypeAlias = dict[str, Any]
"""Values by field: texts, booleans, numbers, lists of them, or None."""

SECRET = frozenset({"sipPassword"})
"""Fields of which only a digest is kept, and no value is ever shown."""

_KEY = secrets.token_bytes()
_XSI_NIL = re.compile(r"\{[^}]*XMLSchema-instance\}nil\Z")


class Kind(NamedTuple):
    """A kind of entity.

    Attributes:
        name: as it is shown.
        key: the field that tells entities apart.
        call: the operation that lists them.
        read: makes the record of one from its element.
    """

    name: str
    key: str
    call: Call
    read: Callable[[etree._Element], Record]


def _values(element: etree._Element) -> dict[str, list[str]]:
    """The texts of the children by name; nil and blank ones are left out."""
    found: dict[str, list[str]] = {}
    for child in element:
        if not isinstance(child.tag, str) or _is_nil(child) or is_blank(child.text):
            continue
        found.setdefault(name_of(child), []).append(trim(child.text or ""))
    return found


def _is_nil(element: etree._Element) -> bool:
    return any(
        _XSI_NIL.search(str(name)) and str(value) in {"true", "1"}
        for name, value in element.attrib.items()
    )


def _texts(element: etree._Element, *names: str) -> Record:
    values = _values(element)
    return {name: values[name][-1] if name in values else None for name in names}


def _lists(element: etree._Element, *names: str) -> Record:
    values = _values(element)
    return {name: sorted(set(values.get(name, ()))) for name in names}


def _flags(element: etree._Element, *names: str) -> Record:
    return {name: _flag(text) for name, text in _texts(element, *names).items()}


def _flag(text: str | None) -> bool | str:
    try:
        return bool(parse_boolean(text or ""))
    except ValueError:
        return text or ""


def _children(element: etree._Element, name: str) -> list[etree._Element]:
    return [each for each in element if isinstance(each.tag, str) and name_of(each) == name]


def _permission(element: etree._Element) -> Record:
    flags = _flags(element, "defaultValue", "builtIn")
    # Releases call their built-in permissions by different labels.
    labels = {} if flags["builtIn"] is True else _texts(element, "label", "description")
    return {**_texts(element, "name"), **labels, **flags}


def _user(element: etree._Element) -> Record:
    record = _texts(
        element,
        *("userName", "pintoken", "lastName", "firstName", "sipPassword"),
        *("emailAddress", "branchName"),
    )
    # Every server has hashes of its own kind; who has no PIN cannot log in.
    record["pintoken"] = "set" if record["pintoken"] else None
    record["sipPassword"] = _digest(record["sipPassword"])
    return record | _lists(element, "aliases", "groups", "permissions")


def _digest(secret: str | None) -> str | None:
    if secret is None:
        return None
    return hmac.new(_KEY, secret.encode(), hashlib.sha256).hexdigest()


def _call_group(element: etree._Element) -> Record:
    rings = []
    for ring in _children(element, "rings"):
        facts = _texts(ring, "userName", "type", "expiration", "position")
        rings.append([_number(facts.pop("position")), *facts.values()])
    in_order = sorted(rings, key=lambda ring: ring[0])
    return (
        _texts(element, "name", "extension", "description")
        | _flags(element, "enabled")
        | {"rings": [" ".join(each or "-" for each in ring[1:]) for ring in in_order]}
    )


def _number(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0


def _park_orbit(element: etree._Element) -> Record:
    texts = _texts(element, "name", "extension", "description", "music")
    return texts | _flags(element, "enabled")


def _phone(element: etree._Element) -> Record:
    record = _texts(element, "serialNumber", "modelId", "description", "deviceVersion")
    record["serialNumber"] = cleaned_serial(record["serialNumber"] or "")
    names = renamed(record["modelId"] or "")
    if record["modelId"] not in MODELS and len(names) == 1:
        record["modelId"] = names[0]
    if record["deviceVersion"] is None and (model := MODELS.get(record["modelId"])):
        record["deviceVersion"] = model.default_version
    lines = [_texts(line, "userId", "uri") for line in _children(element, "lines")]
    return record | _lists(element, "groups") | {"lines": [list(line.values()) for line in lines]}


def host_of(uri: str | None) -> str | None:
    """The host of a line's address."""
    before, at, host = (uri or "").rpartition("@")
    return host.removesuffix(">") if at and "sip:" in before else None


def shown_lines(record: Record, domain: str | None) -> Record:
    """A phone whose lines of the server's own domain are their users alone.

    Names of users and the domain are compared once, not in every line.
    """
    lines = [
        user if user is not None and host_of(uri) == domain else uri or user
        for user, uri in record["lines"]
    ]
    return record | {"lines": lines}


KINDS = (
    Kind(
        "permission",
        "name",
        Call("PermissionService", f'<con:FindPermission xmlns:con="{NS}"/>', "permissions"),
        _permission,
    ),
    Kind(
        "user", "userName", Call("UserService", f'<con:FindUser xmlns:con="{NS}"/>', "users"), _user
    ),
    # As the documentation has it: operations without input have an empty Body.
    Kind("call group", "name", Call("CallGroupService", "", "callGroups"), _call_group),
    Kind("park orbit", "name", Call("ParkOrbitService", "", "parkOrbits"), _park_orbit),
    Kind(
        "phone",
        "serialNumber",
        Call("PhoneService", f'<con:FindPhone xmlns:con="{NS}"/>', "phones"),
        _phone,
    ),
)
"""Everything that is compared, in the order in which it is shown."""
