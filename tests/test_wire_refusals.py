"""Every code with which input is refused, by field, value, entity and sentence (wire.md §6)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.messages import (
    SERIAL,
    add_group,
    add_orbit,
    add_phone,
    add_user,
    edit,
    manage_phone,
    manage_user,
    stock,
)
from tests.support.soap import Problem, envelope

if TYPE_CHECKING:
    from tests.support.soap import Soap


@pytest.fixture
def stocked(soap: Soap) -> Soap:
    return stock(soap)


def everything(soap: Soap) -> list[bytes]:
    """All that can be seen of a system."""
    calls = {
        "UserService": "<findUser/>",
        "CallGroupService": "",
        "PermissionService": "<findPermission/>",
        "ParkOrbitService": "",
        "PhoneService": "<findPhone/>",
    }
    return [soap.post(service, envelope(call)).body for service, call in calls.items()]


REFUSALS: dict[str, tuple[str, str, Problem, str]] = {
    "required": (
        "UserService",
        add_user("<lastName>x</lastName>"),
        Problem("required", "userName"),
        "userName is required and must not be blank.",
    ),
    "required in an edit": (
        "UserService",
        manage_user(edit("userName", " ")),
        Problem("required", "userName"),
        "userName is required and must not be blank.",
    ),
    "required parameter": (
        "CallGroupService",
        "<removeCallGroup><callGroup> </callGroup></removeCallGroup>",
        Problem("required", "callGroup"),
        "callGroup is required and must not be blank.",
    ),
    "tooLong": (
        "UserService",
        add_user(f"<userName>203</userName><lastName>{'x' * 256}</lastName>"),
        Problem("tooLong", "lastName", "x" * 100),
        f"lastName '{'x' * 100}' is too long: 256 characters, at most 255 are kept.",
    ),
    "tooLong in a list": (
        "UserService",
        add_user(f"<userName>203</userName><groups/><groups>{'g' * 256}</groups>"),
        Problem("tooLong", "groups[1]", "g" * 100),
        f"groups[1] '{'g' * 100}' is too long: 256 characters, at most 255 are kept.",
    ),
    "tooLong in a search": (
        "UserService",
        f"<findUser><search><byGroup>{'g' * 256}</byGroup></search></findUser>",
        Problem("tooLong", "search.byGroup", "g" * 100),
        f"search.byGroup '{'g' * 100}' is too long: 256 characters, at most 255 are kept.",
    ),
    "tooLong parameter": (
        "UserService",
        manage_user(f"<addGroup>{'g' * 256}</addGroup>"),
        Problem("tooLong", "addGroup", "g" * 100),
        f"addGroup '{'g' * 100}' is too long: 256 characters, at most 255 are kept.",
    ),
    "invalidValue": (
        "UserService",
        add_user("<userName>2 3</userName>"),
        Problem("invalidValue", "userName", "2 3"),
        "userName '2 3' has characters that the user part of a SIP address cannot have.",
    ),
    "invalidValue in a list": (
        "UserService",
        add_user("<userName>203</userName><aliases>a</aliases><aliases>b c</aliases>"),
        Problem("invalidValue", "aliases[1]", "b c"),
        "aliases[1] 'b c' has characters that the user part of a SIP address cannot have.",
    ),
    "invalidValue of a list's member in an edit": (
        "UserService",
        manage_user(edit("aliases", 'a, "b c"')),
        Problem("invalidValue", "aliases", "b c"),
        "aliases 'b c' has characters that the user part of a SIP address cannot have.",
    ),
    "invalidValue of a list in an edit": (
        "UserService",
        manage_user(edit("groups", 'a, "b')),
        Problem("invalidValue", "groups", 'a, "b'),
        "groups 'a, \"b' has a double quote that is not closed.",
    ),
    "invalidValue of a boolean": (
        "UserService",
        manage_user("<deleteUser>perhaps</deleteUser>"),
        Problem("invalidValue", "deleteUser", "perhaps"),
        "deleteUser 'perhaps' is not a boolean: true or false.",
    ),
    "invalidValue in a ring": (
        "CallGroupService",
        add_group(
            "<name>a</name><rings><userName>201</userName><type>delayed</type>"
            "<expiration>-1</expiration></rings>"
        ),
        Problem("invalidValue", "rings[0].expiration", "-1"),
        "rings[0].expiration '-1' is not 0 or more seconds.",
    ),
    "invalidValue in an external line": (
        "PhoneService",
        manage_phone(
            "<removeLineByUserId>201</removeLineByUserId><addExternalLine><userId>9</userId>"
            "<registrationServer>a b</registrationServer></addExternalLine>"
        ),
        Problem("invalidValue", "addExternalLine.registrationServer", "a b"),
        (
            "addExternalLine.registrationServer 'a b' is not a host name or IP address with or "
            "without port."
        ),
    ),
    "unknownElement": (
        "UserService",
        add_user("<userName>203</userName><mail>x</mail>"),
        Problem("unknownElement", "mail"),
        "mail is unknown: User has no mail.",
    ),
    "unknownProperty": (
        "UserService",
        manage_user(edit("lastName", "x") + edit("Lastname", "y")),
        Problem("unknownProperty", "edit[1].property", "Lastname"),
        "edit[1].property 'Lastname' is not a property of User.",
    ),
    "unknownProperty with deletion": (
        "PermissionService",
        (
            f"<managePermission>{edit('colour', 'x')}<deletePermission>1</deletePermission>"
            "</managePermission>"
        ),
        Problem("unknownProperty", "edit[0].property", "colour"),
        "edit[0].property 'colour' is not a property of Permission.",
    ),
    "readOnlyProperty": (
        "PhoneService",
        manage_phone(edit("lines", "201")),
        Problem("readOnlyProperty", "lines", "201"),
        "lines '201' cannot be changed by an edit.",
    ),
    "readOnlyProperty of an entity": (
        "PhoneService",
        manage_phone(edit("modelId", "polycom330")),
        Problem("readOnlyProperty", "modelId", "polycom330", SERIAL),
        f"modelId 'polycom330' (of {SERIAL}) cannot be changed by an edit.",
    ),
    "nameInUse": (
        "UserService",
        add_user("<userName>202</userName>"),
        Problem("nameInUse", "userName", "202"),
        "userName '202' is already in use by an alias of the user 201.",
    ),
    "nameInUse by an extension": (
        "ParkOrbitService",
        add_orbit("<name>300</name>"),
        Problem("nameInUse", "name", "300"),
        "name '300' is already in use by the extension of the call group sales.",
    ),
    "nameInUse in a list": (
        "UserService",
        add_user("<userName>203</userName><aliases/><aliases>sales</aliases>"),
        Problem("nameInUse", "aliases[1]", "sales"),
        "aliases[1] 'sales' is already in use by the name of the call group sales.",
    ),
    "nameInUse in an edit": (
        "UserService",
        manage_user(edit("aliases", "204,sales")),
        Problem("nameInUse", "aliases", "sales", "201"),
        "aliases 'sales' (of 201) is already in use by the name of the call group sales.",
    ),
    "extensionInUse": (
        "CallGroupService",
        add_group("<name>a</name><extension>201</extension>"),
        Problem("extensionInUse", "extension", "201"),
        "extension '201' is already in use by the userName of the user 201.",
    ),
    "reservedName": (
        "CallGroupService",
        add_group("<name>~~a</name>"),
        Problem("reservedName", "name", "~~a"),
        "name '~~a' is reserved.",
    ),
    "duplicatePermission": (
        "PermissionService",
        "<addPermission><permission><label>Fax</label></permission></addPermission>",
        Problem("duplicatePermission", "label", "Fax"),
        "label 'Fax' is already the label of a permission.",
    ),
    "duplicatePermission in an edit": (
        "PermissionService",
        (
            "<managePermission><search><byLabel>Fax</byLabel></search>"
            f"{edit('label', 'Voicemail')}</managePermission>"
        ),
        Problem("duplicatePermission", "label", "Voicemail", "perm_1"),
        "label 'Voicemail' (of perm_1) is already the label of a permission.",
    ),
    "duplicateSerialNumber": (
        "PhoneService",
        add_phone("", serial="00:00:00:00:00:01"),
        Problem("duplicateSerialNumber", "serialNumber", "00:00:00:00:00:01"),
        "serialNumber '00:00:00:00:00:01' already belongs to a phone.",
    ),
    "invalidSerialNumber": (
        "PhoneService",
        add_phone("", serial="00000000000g"),
        Problem("invalidSerialNumber", "serialNumber", "00000000000g"),
        "serialNumber '00000000000g' is not a serial number of a polycom321.",
    ),
    "invalidSerialNumber of an entity": (
        "PhoneService",
        manage_phone(edit("serialNumber", "1")),
        Problem("invalidSerialNumber", "serialNumber", "1", SERIAL),
        f"serialNumber '1' (of {SERIAL}) is not a serial number of a polycom321.",
    ),
    "unknownModel": (
        "PhoneService",
        add_phone("", model="Polycom321"),
        Problem("unknownModel", "modelId", "Polycom321"),
        "modelId 'Polycom321' is not a known phone model; perhaps polycom321 is meant.",
    ),
    "unknownDeviceVersion": (
        "PhoneService",
        add_phone("<deviceVersion>4.0.X</deviceVersion>"),
        Problem("unknownDeviceVersion", "deviceVersion", "4.0.X"),
        "deviceVersion '4.0.X' is not a known device version.",
    ),
    "tooManyLines": (
        "PhoneService",
        add_phone("<lines><userId>201</userId></lines>" * 3),
        Problem("tooManyLines", "lines"),
        "lines would make 3 lines: a polycom321 has at most 2.",
    ),
    "tooManyLines of an entity": (
        "PhoneService",
        manage_phone("<addLine><userId>201</userId></addLine>"),
        Problem("tooManyLines", "addLine", None, SERIAL),
        f"addLine (of {SERIAL}) would make 3 lines: a polycom321 has at most 2.",
    ),
    "tooManyLines by an external one": (
        "PhoneService",
        manage_phone(
            "<addExternalLine><userId>9</userId><registrationServer>b</registrationServer>"
            "</addExternalLine>"
        ),
        Problem("tooManyLines", "addLine", None, SERIAL),
        f"addLine (of {SERIAL}) would make 3 lines: a polycom321 has at most 2.",
    ),
    "unknownUser in a line": (
        "PhoneService",
        add_phone("<lines><userId>201</userId></lines><lines><userId>202</userId></lines>"),
        Problem("unknownUser", "lines[1].userId", "202"),
        "lines[1].userId '202' is not the userName of a user.",
    ),
    "unknownUser in a line to add": (
        "PhoneService",
        manage_phone(
            "<removeLineByUserId>201</removeLineByUserId><addLine><userId>999</userId></addLine>"
        ),
        Problem("unknownUser", "addLine.userId", "999"),
        "addLine.userId '999' is not the userName of a user.",
    ),
    "unknownUser in a ring": (
        "CallGroupService",
        add_group("<name>a</name><rings><userName>202</userName><type>delayed</type></rings>"),
        Problem("unknownUser", "rings[0].userName", "202"),
        "rings[0].userName '202' is not the userName of a user.",
    ),
    "unknownRingType": (
        "CallGroupService",
        add_group("<name>a</name><rings><userName>201</userName><type>Delayed</type></rings>"),
        Problem("unknownRingType", "rings[0].type", "Delayed"),
        "rings[0].type 'Delayed' is not a ring type: delayed or immediate.",
    ),
    "unknownPermission": (
        "UserService",
        add_user("<userName>203</userName><permissions>perm_99</permissions>"),
        Problem("unknownPermission", "permissions[0]", "perm_99"),
        "permissions[0] 'perm_99' is not the name of a permission.",
    ),
    "unknownPermission in an edit": (
        "UserService",
        manage_user(edit("permissions", "Mobile,perm_99")),
        Problem("unknownPermission", "permissions", "perm_99"),
        "permissions 'perm_99' is not the name of a permission.",
    ),
    "protectedUser": (
        "UserService",
        (
            "<manageUser><search><byUserName>superadmin</byUserName></search>"
            "<deleteUser>true</deleteUser></manageUser>"
        ),
        Problem("protectedUser", "deleteUser", None, "superadmin"),
        "deleteUser (of superadmin) cannot be deleted.",
    ),
    "protectedUser renamed": (
        "UserService",
        (
            f"<manageUser>{edit('userName', 'root')}"
            "<search><byGroup>administrators</byGroup></search></manageUser>"
        ),
        Problem("protectedUser", "userName", "root", "superadmin"),
        "userName 'root' (of superadmin) cannot be changed.",
    ),
}


@pytest.mark.parametrize(
    ("service", "body", "problem", "sentence"), REFUSALS.values(), ids=REFUSALS
)
def test_refused_for(
    stocked: Soap, service: str, body: str, problem: Problem, sentence: str
) -> None:
    before = everything(stocked)
    fault = stocked.fault(service, body)
    assert (fault.status, fault.code) == (500, "soapenv:Server.userException")
    assert fault.problems == [problem]
    assert fault.text == sentence
    assert everything(stocked) == before


def test_every_code_of_the_table_has_a_case() -> None:
    page = (Path(__file__).parents[1] / "docs" / "spec" / "wire.md").read_text()
    (row,) = re.findall(r"^\| code \| (.*) \|$", page, re.MULTILINE)
    cases = {problem.code for _, _, problem, _ in REFUSALS.values()}
    assert cases == set(re.findall(r"`(\w+)`", row))
