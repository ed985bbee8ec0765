"""The generated WSDLs: a superset of the documented ones that clients can read (wire.md §2)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zeep
from lxml import etree
from zeep.transports import Transport

from sipxconfig_soap.services import build_endpoints
from sipxconfig_soap.settings import Settings
from tests.support.schema import schema_of
from tests.support.soap import XSI_NIL
from tests.support.wsdl import NAMESPACES, Added, Changed, meaning, select

if TYPE_CHECKING:
    from sipxconfig_soap.soap.endpoint import Endpoint

TESTS = Path(__file__).parent
DOCUMENTED = sorted((TESTS / "data" / "wsdl").glob("*.wsdl"))
REQUESTS = sorted((TESTS / "data" / "requests").glob("*.xml"))
WRITTEN = TESTS.parent / "wsdl"
BASE_URL = "http://localhost:8080/sipxconfig/services"
NS = NAMESPACES["impl"]

OPTIONAL = {"minOccurs": "0"}
DIFFERENCES: dict[str, list[Changed | Added]] = {
    "PermissionService": [
        Changed("FindPermission", "search", OPTIONAL),
        Changed("ManagePermission", "edit", OPTIONAL),
    ],
    "CallGroupService": [
        Changed("UserRing", "position", OPTIONAL),
        Added(
            "wsdl:types/xsd:schema",
            """<xsd:complexType name="RemoveCallGroup"><xsd:sequence>
                 <xsd:element name="callGroup" type="xsd:string"/>
               </xsd:sequence></xsd:complexType>
               <xsd:element name="RemoveCallGroup" type="impl:RemoveCallGroup"/>""",
        ),
        Added(
            ".",
            """<wsdl:message name="removeCallGroupRequest">
                 <wsdl:part element="impl:RemoveCallGroup" name="RemoveCallGroup"/>
               </wsdl:message>
               <wsdl:message name="removeCallGroupResponse"/>""",
        ),
        Added(
            "wsdl:portType",
            """<wsdl:operation name="removeCallGroup" parameterOrder="RemoveCallGroup">
                 <wsdl:input message="impl:removeCallGroupRequest" name="removeCallGroupRequest"/>
                 <wsdl:output message="impl:removeCallGroupResponse"
                              name="removeCallGroupResponse"/>
               </wsdl:operation>""",
        ),
        Added(
            "wsdl:binding",
            """<wsdl:operation name="removeCallGroup">
                 <wsdlsoap:operation soapAction=""/>
                 <wsdl:input name="removeCallGroupRequest">
                   <wsdlsoap:body use="literal"/>
                 </wsdl:input>
                 <wsdl:output name="removeCallGroupResponse">
                   <wsdlsoap:body use="literal"/>
                 </wsdl:output>
               </wsdl:operation>""",
        ),
    ],
    "UserService": [
        Changed("FindUser", "search", OPTIONAL),
        Changed("ManageUser", "edit", OPTIONAL),
        Changed("AddUser", "pin", OPTIONAL),
        Added(
            "//xsd:complexType[@name='AddUser']/xsd:sequence",
            '<xsd:element name="vmpin" minOccurs="0" type="xsd:string"/>',
        ),
        Added(
            "//xsd:complexType[@name='ManageUser']/xsd:sequence",
            '<xsd:element name="updateBranch" minOccurs="0" nillable="true" type="xsd:string"/>',
        ),
    ],
    "ParkOrbitService": [],
    "PhoneService": [
        Changed("FindPhone", "search", OPTIONAL),
        Changed("ManagePhone", "edit", OPTIONAL),
        Changed("Line", "uri", OPTIONAL),
    ],
    "TestService": [],
}
"""The closed list of wire.md §2."""

OPERATIONS = {
    "PermissionService": {
        "addPermission": "permission: ns0:Permission ->",
        "findPermission": "search: ns0:PermissionSearch -> permissions: ns0:ArrayOfPermission",
        "managePermission": "search: ns0:PermissionSearch, edit: ns0:Property[],"
        " deletePermission: xsd:boolean ->",
    },
    "CallGroupService": {
        "addCallGroup": "callGroup: ns0:CallGroup ->",
        "getCallGroups": "-> callGroups: ns0:ArrayOfCallGroup",
        "removeCallGroup": "callGroup: xsd:string ->",
    },
    "UserService": {
        "addUser": "user: ns0:User, pin: xsd:string, vmpin: xsd:string ->",
        "findUser": "search: ns0:UserSearch -> users: ns0:ArrayOfUser",
        "manageUser": "search: ns0:UserSearch, edit: ns0:Property[], deleteUser: xsd:boolean,"
        " addGroup: xsd:string, removeGroup: xsd:string, updateGroup: xsd:string,"
        " updateBranch: xsd:string ->",
    },
    "ParkOrbitService": {
        "addParkOrbit": "parkOrbit: ns0:ParkOrbit ->",
        "getParkOrbits": "-> parkOrbits: ns0:ArrayOfParkOrbit",
    },
    "PhoneService": {
        "addPhone": "phone: ns0:Phone ->",
        "findPhone": "search: ns0:PhoneSearch -> phones: ns0:ArrayOfPhone",
        "managePhone": "search: ns0:PhoneSearch, edit: ns0:Property[], deletePhone: xsd:boolean,"
        " addGroup: xsd:string, removeGroup: xsd:string, addLine: ns0:Line,"
        " addExternalLine: ns0:AddExternalLine, removeLineByUserId: xsd:string,"
        " removeLineByUri: xsd:string, generateProfiles: xsd:boolean, restart: xsd:boolean ->",
    },
    "TestService": {
        "resetServices": "callGroup: xsd:boolean, parkOrbit: xsd:boolean, permission: xsd:boolean,"
        " phone: xsd:boolean, user: xsd:boolean, superAdmin: xsd:boolean ->",
    },
    "SystemService": {"systemInfo": "-> domain: ns0:Domain"},
}
"""Input and output of every operation as zeep, a client, understands the WSDLs."""

ENDPOINTS = build_endpoints(Settings.load({}))
LEGACY_ENDPOINTS = build_endpoints(Settings.load({}, wire_array_names="legacy"))

every_service = pytest.mark.parametrize("service", OPERATIONS)


def wsdl_of(service: str, endpoints: dict[str, Endpoint] = ENDPOINTS) -> bytes:
    """The WSDL of a service at its address on the developer's machine."""
    return endpoints[service].wsdl(f"{BASE_URL}/{service}")


def parsed(wsdl: bytes) -> etree._Element:
    """The root of a WSDL, comments dropped as every reader does."""
    return etree.fromstring(wsdl, etree.XMLParser(remove_comments=True))


def texts(wsdl: bytes, path: str) -> list[str]:
    """What an XPath finds in a WSDL."""
    return [str(text) for text in select(parsed(wsdl), path)]


# Against the documentation


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.stem)
def test_everything_documented_is_found_unchanged_but_for_the_closed_list(path: Path) -> None:
    expected = parsed(path.read_bytes())
    for difference in DIFFERENCES[path.stem]:
        difference.apply(expected)
    assert meaning(parsed(wsdl_of(path.stem))) == meaning(expected)


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.stem)
def test_the_comparison_overlooks_no_attribute_and_no_element(path: Path) -> None:
    document = parsed(path.read_bytes())
    original = meaning(document)
    for element in document.iter():
        for name, value in element.attrib.items():
            element.set(name, str(value) + "x")
            assert (meaning(document) == original) == (name == "location"), (element.tag, name)
            element.set(name, value)
    for element in list(document.iterdescendants()):
        parent = element.getparent()
        assert parent is not None
        index = parent.index(element)
        parent.remove(element)
        assert meaning(document) != original, element.tag
        parent.insert(index, element)
    assert meaning(document) == original


def test_the_documentation_has_the_six_services_and_the_system_service_is_added() -> None:
    documented = {path.stem for path in DOCUMENTED}
    assert documented == set(DIFFERENCES)
    assert set(ENDPOINTS) == set(OPERATIONS) == documented | {"SystemService"}


def test_the_system_service_has_one_operation_without_input() -> None:
    wsdl = wsdl_of("SystemService")
    assert texts(wsdl, "//wsdl:message[not(*)]/@name") == ["systemInfoRequest"]
    assert texts(wsdl, "//wsdl:message/wsdl:part/@element") == ["impl:SystemInfo"]
    assert texts(wsdl, "//@parameterOrder") == []
    assert texts(wsdl, "//xsd:schema/*/@name") == ["Domain", "SystemInfo", "SystemInfo"]
    assert texts(wsdl, "//xsd:complexType[@name='Domain']//xsd:element/@name") == [
        "name",
        "realm",
        "aliases",
    ]


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_the_documented_requests_are_valid(path: Path) -> None:
    (body,) = etree.parse(path).getroot().findall("{*}Body")
    for payload in body:
        service = next(
            name
            for name, endpoint in ENDPOINTS.items()
            if etree.QName(payload).localname in [op.element for op in endpoint.operations]
        )
        if path.stem == "06-AddUser":
            # Against its own WSDL, the documentation leaves out pintoken here, and writes
            # branchName before groups.
            user = payload.find("user")
            assert user is not None
            user.insert(1, etree.Element("pintoken", {XSI_NIL: "true"}))
            user.extend(user.findall("branchName"))
        schema_of(wsdl_of(service)).assertValid(etree.fromstring(etree.tostring(payload)))


# The files in wsdl/


def test_the_written_files_are_not_stale() -> None:
    written = {path.name: path.read_bytes() for path in WRITTEN.iterdir()}
    assert written == {f"{service}.wsdl": wsdl_of(service) for service in ENDPOINTS}, (
        "run: make wsdl"
    )


# Structure


@every_service
def test_the_structure_is_wsdl_1_1(service: str) -> None:
    etree.RelaxNG(etree.parse(TESTS / "data" / "wsdl11.rng")).assertValid(parsed(wsdl_of(service)))


@every_service
def test_every_reference_has_its_target(service: str) -> None:
    wsdl = wsdl_of(service)
    names = texts(wsdl, "//wsdl:message/@name")
    assert len(names) == len(set(names))
    assert sorted(texts(wsdl, "//@message")) == sorted(f"impl:{name}" for name in names)
    elements = {f"impl:{name}" for name in texts(wsdl, "//xsd:schema/xsd:element/@name")}
    assert set(texts(wsdl, "//wsdl:part/@element")) == elements
    for tag in ("operation", "operation/wsdl:input", "operation/wsdl:output"):
        assert texts(wsdl, f"//wsdl:binding/wsdl:{tag}/@name") == texts(
            wsdl, f"//wsdl:portType/wsdl:{tag}/@name"
        )
    assert texts(wsdl, "//wsdl:port/@binding") == [f"impl:{service}SoapBinding"]
    assert texts(wsdl, "//wsdl:binding/@name") == [f"{service}SoapBinding"]
    assert texts(wsdl, "//wsdl:binding/@type") == [f"impl:{service}"]
    assert texts(wsdl, "//wsdl:portType/@name") == [service]


@every_service
def test_the_schema_takes_unqualified_local_elements_only(service: str) -> None:
    schema = schema_of(wsdl_of(service))
    (root, member) = {
        "PermissionService": ("FindPermissionResponse", "permissions"),
        "CallGroupService": ("GetCallGroupsResponse", "callGroups"),
        "UserService": ("FindUserResponse", "users"),
        "ParkOrbitService": ("GetParkOrbitsResponse", "parkOrbits"),
        "PhoneService": ("FindPhoneResponse", "phones"),
        "TestService": ("ResetServices", None),
        "SystemService": ("SystemInfo", None),
    }[service]
    if member is not None:
        unqualified = f'<{root} xmlns="{NS}"><{member} xmlns=""/></{root}>'
        qualified = f'<{root} xmlns="{NS}"><{member}/></{root}>'
        assert schema.validate(etree.fromstring(unqualified))
        assert not schema.validate(etree.fromstring(qualified))
    assert not schema.validate(etree.fromstring(f"<{root}/>"))


# The address


def test_the_address_is_that_of_the_request_and_not_of_an_earlier_one() -> None:
    endpoint = ENDPOINTS["UserService"]
    for address in ("https://a.example/sipxconfig/services/UserService", "http://[::1]:8080/b"):
        assert texts(endpoint.wsdl(address), "//wsdlsoap:address/@location") == [address]


@pytest.mark.parametrize(
    ("address", "location"),
    [
        ("http://a/b?c=1&d=2", "http://a/b?c=1&d=2"),
        ("http://a/&amp;'", "http://a/&amp;'"),
        ("http://münchen.example/é", "http://münchen.example/é"),
        ('http://a"/><b c="', "http://a%22/%3E%3Cb%20c=%22"),
        ("http://a\0\t\r\n\x7f", "http://a%00%09%0D%0A%7F"),
        ("http://a\ud800\uffff", "http://a%3F%EF%BF%BF"),
    ],
)
def test_no_address_can_break_the_document(address: str, location: str) -> None:
    wsdl = ENDPOINTS["UserService"].wsdl(address)
    assert texts(wsdl, "//wsdlsoap:address/@location") == [location]
    assert meaning(parsed(wsdl)) == meaning(parsed(wsdl_of("UserService")))


# Clients


class Offline(Transport):
    """A transport that fetches nothing."""

    def load(self, url: str) -> bytes:
        """Refuse: a WSDL must be complete in itself."""
        raise AssertionError(f"the WSDL makes a client fetch {url}")


def signature(operation: Any) -> str:
    """Input and output of an operation, types in zeep's spelling."""
    incoming, outgoing = (
        "" if message.body is None else message.signature()
        for message in (operation.input, operation.output)
    )
    return f"{incoming} -> {outgoing}".strip()


@every_service
def test_zeep_knows_every_operation_and_its_signature(service: str) -> None:
    client: Any = zeep.Client(  # type: ignore[no-untyped-call]  # zeep has no types here
        io.BytesIO(wsdl_of(service)),
        transport=Offline(),  # type: ignore[no-untyped-call]
    )
    (definition,) = client.wsdl.services.values()
    assert definition.name == "ConfigImplService"
    (port,) = definition.ports.values()
    operations = port.binding.all()
    assert port.name == service
    assert port.binding_options == {"address": f"{BASE_URL}/{service}"}
    assert {name: signature(operation) for name, operation in operations.items()} == (
        OPERATIONS[service]
    )


# Names of list items


@pytest.mark.parametrize(
    ("service", "array", "item"),
    [
        ("PermissionService", "ArrayOfPermission", "permission"),
        ("CallGroupService", "ArrayOfCallGroup", "callGroup"),
        ("UserService", "ArrayOfUser", "user"),
        ("ParkOrbitService", "ArrayOfParkOrbit", "parkOrbit"),
        ("PhoneService", "ArrayOfPhone", "user"),
    ],
)
def test_legacy_names_of_list_items(service: str, array: str, item: str) -> None:
    path = f"//xsd:complexType[@name='{array}']/xsd:sequence/xsd:element/@name"
    assert texts(wsdl_of(service), path) == ["item"]
    assert texts(wsdl_of(service, LEGACY_ENDPOINTS), path) == [item]


@every_service
def test_legacy_names_change_nothing_else(service: str) -> None:
    items = {"impl:Permission", "impl:CallGroup", "impl:User", "impl:ParkOrbit", "impl:Phone"}
    legacy = parsed(wsdl_of(service, LEGACY_ENDPOINTS))
    for element in legacy.iterfind(".//xsd:complexType//xsd:element", NAMESPACES):
        if element.get("type") in items and element.get("maxOccurs") == "unbounded":
            element.set("name", "item")
    assert meaning(legacy) == meaning(parsed(wsdl_of(service)))
