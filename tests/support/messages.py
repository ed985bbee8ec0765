"""Messages that tests of faults send, and a system in which they can be refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.soap import Soap, SoapFault

SERIAL = "000000000001"


def add_user(inside: str, after: str = "") -> str:
    return f"<addUser><user>{inside}</user>{after}</addUser>"


def manage_user(inside: str) -> str:
    search = "<search><byUserName>201</byUserName></search>"
    return f"<manageUser>{search}{inside}</manageUser>"


def manage_phone(inside: str) -> str:
    return f"<managePhone>{inside}</managePhone>"


def add_phone(inside: str, serial: str = "000000000002", model: str = "polycom321") -> str:
    required = f"<serialNumber>{serial}</serialNumber><modelId>{model}</modelId>"
    return f"<addPhone><phone>{required}{inside}</phone></addPhone>"


def add_group(inside: str) -> str:
    return f"<addCallGroup><callGroup>{inside}</callGroup></addCallGroup>"


def add_orbit(inside: str) -> str:
    return f"<addParkOrbit><parkOrbit>{inside}</parkOrbit></addParkOrbit>"


def edit(name: str, value: str) -> str:
    return f"<edit><property>{name}</property><value>{value}</value></edit>"


def stock(soap: Soap) -> Soap:
    """Give a system one entity of each kind but park orbits."""
    soap.operation("UserService", "addUser", {"user": {"userName": "201", "aliases": ["202"]}})
    group = {"name": "sales", "extension": "300"}
    soap.operation("CallGroupService", "addCallGroup", {"callGroup": group})
    soap.operation("PermissionService", "addPermission", {"permission": {"label": "Fax"}})
    lines = [{"userId": "201"}, {"userId": "201"}]
    phone = {"serialNumber": SERIAL, "modelId": "polycom321", "lines": lines}
    soap.operation("PhoneService", "addPhone", {"phone": phone})
    return soap


def refusal(soap: Soap, service: str, body: str) -> SoapFault:
    """The fault of a call whose operation is known but whose input is refused."""
    fault = soap.fault(service, body)
    assert (fault.status, fault.code) == (500, "soapenv:Server.userException")
    return fault
