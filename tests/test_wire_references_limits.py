"""What results from references is limited, and costs no more (wire.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.soap import Problem, SoapFault, envelope

if TYPE_CHECKING:
    from tests.support.soap import Soap


def adding(aliases: str, targets: str) -> bytes:
    inside = f"<user><userName>2 1</userName>{aliases}</user>"
    return envelope(f"<con:AddUser>{inside}</con:AddUser>{targets}")


def taken(soap: Soap, body: bytes) -> bool:
    """Whether a request is within the limits; then its user is refused."""
    fault = SoapFault(soap.post("UserService", body))
    if fault.code == "soapenv:Server.userException":
        return True
    assert fault.code == "soapenv:Client"
    return False


def test_an_element_may_be_referred_to_as_often_as_it_could_be_written(soap: Soap) -> None:
    # Beside: Envelope, Body, AddUser, user, userName and the target itself.
    assert taken(soap, adding('<aliases href="#a"/>' * 99_994, '<m id="a">x</m>'))
    body = adding('<aliases href="#a"/>' * 49_998, '<m id="a"><b/></m>')
    assert SoapFault(soap.post("UserService", body)).text == (
        "The request has more than 100000 elements."
    )


def test_the_number_of_elements_that_result_is_limited(soap: Soap) -> None:
    for inside, fits in ((990, True), (1010, False)):
        targets = f'<m id="a">{"<b/>" * inside}</m>'
        assert taken(soap, adding('<aliases href="#a"/>' * 100, targets)) is fits


def test_the_depth_that_results_is_limited(soap: Soap) -> None:
    # Envelope, Body, AddUser, user and aliases are five levels.
    for levels, fits in ((29, True), (30, False)):
        deep = "<a>" * levels + '<a href="#b"/>' + "</a>" * levels
        targets = f'<m id="a">{deep}</m><m id="b">{"<b>" * 29}{"</b>" * 29}</m>'
        body = adding('<aliases href="#a"/>', targets)
        assert taken(soap, body) is fits
    assert SoapFault(soap.post("UserService", body)).text == (
        "The request nests elements deeper than 64."
    )


@pytest.mark.parametrize(
    "target",
    [
        f'<m id="a">{"x" * 1_000_000}</m>',
        f'<m id="a"><{"n" * 40_000}/>{"<a/>" * 500}{"x" * 960_000}</m>',
        f'<m id="a"><b>{"ü" * 500_000}</b></m>',
    ],
    ids=["a text", "a name", "characters of two bytes"],
)
def test_the_bytes_that_result_are_limited(soap: Soap, target: str) -> None:
    assert taken(soap, adding('<aliases href="#a"/>' * 16, target))
    body = adding('<aliases href="#a"/>' * 17, target)
    assert SoapFault(soap.post("UserService", body)).text == (
        "The request is larger than 16777216 bytes with its references followed."
    )


def test_references_to_references_cost_what_results(soap: Soap) -> None:
    ten = range(10)
    laughs = "".join(f'<m id="{n}">{f"<a href={chr(34)}#{n + 1}{chr(34)}/>" * 10}</m>' for n in ten)
    assert not taken(soap, adding('<aliases href="#0"/>', f'{laughs}<m id="10">ha</m>'))


@pytest.mark.parametrize("length", [1000, 90_000])
def test_a_long_chain_is_followed(soap: Soap, length: int) -> None:
    chain = "".join(f'<m id="{n}" href="#{n + 1}"/>' for n in range(length))
    targets = f'{chain}<m id="{length}">a b</m>'
    fault = SoapFault(soap.post("UserService", adding('<aliases href="#0"/>' * 9000, targets)))
    assert Problem("invalidValue", "aliases[8999]", "a b") in fault.problems


@pytest.mark.parametrize("length", [60, 64, 1000, 90_000])
def test_a_long_circle_is_refused(soap: Soap, length: int) -> None:
    for form in ('<m id="{}" href="#{}"/>', '<m id="{}"><a href="#{}"/></m>'):
        circle = "".join(form.format(n, (n + 1) % length) for n in range(length))
        if circle.count("<") < 190_000:
            assert not taken(soap, adding('<aliases href="#0"/>', circle))


def test_a_thousand_levels_of_references_are_too_deep(soap: Soap) -> None:
    deep = "".join(f'<m id="{n}"><a href="#{n + 1}"/></m>' for n in range(1000))
    body = adding('<aliases href="#0"/>', f'{deep}<m id="1000">x</m>')
    assert SoapFault(soap.post("UserService", body)).text == (
        "The request nests elements deeper than 64."
    )


def test_long_namespaces_are_not_copied_with_every_reference(soap: Soap) -> None:
    uri = "u" * 1_000_000
    target = f'<m id="a" xmlns:x="{uri}" x:y="1"><x:b x:c="2"/></m>'
    assert taken(soap, adding('<aliases href="#a"/>' * 20_000, target))


@pytest.mark.parametrize("name", ["xsi:type", "xsi:nil", "href", "id"])
def test_a_long_attribute_is_not_read_with_every_reference(soap: Soap, name: str) -> None:
    target = f'<m id="a"><b {name}="{"v" * 4_000_000}">c</b></m>'
    assert taken(soap, adding('<aliases href="#a"/>' * 20_000, target))


def test_types_beside_very_many_namespaces_are_refused(soap: Soap) -> None:
    many = " ".join(f'xmlns:p{n}="u"' for n in range(200_000))
    typed = '<aliases xsi:type="p1:base64Binary"/>' * 50_000
    body = envelope(f"<AddUser {many}><user>{typed}</user></AddUser>")
    assert SoapFault(soap.post("UserService", body)).text == (
        "The request has types beside too many namespaces."
    )
