"""In which charsets requests are read, and which headers do not matter (wire.md §3)."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import pytest

from tests.support.soap import NS, SoapFault, envelope

if TYPE_CHECKING:
    from tests.support.soap import Soap

LATIN = "Jérôme Müller"
ALL = "Jérôme Müller Čapek 李 \U0001f4de"


def add_orbit(description: str, declaration: str = "") -> str:
    orbit = f"<parkOrbit><name>park</name><description>{description}</description></parkOrbit>"
    return declaration + envelope(f"<con:AddParkOrbit>{orbit}</con:AddParkOrbit>").decode()


def declared(encoding: str) -> str:
    return f'<?xml version="1.0" encoding="{encoding}"?>\n'


def latin(declaration: str = "") -> bytes:
    return add_orbit(LATIN, declaration).encode("latin-1")


def utf16(text: str, order: str, *, mark: bool) -> bytes:
    return (("\ufeff" if mark else "") + text).encode(f"utf-16-{order}")


READ = {
    "UTF-8 by default": ("text/xml", add_orbit(ALL).encode(), ALL),
    "UTF-8 without any header": ("", add_orbit(ALL).encode(), ALL),
    "UTF-8 by its mark": ("text/xml", codecs.BOM_UTF8 + add_orbit(ALL).encode(), ALL),
    "UTF-8 by the header": ("text/xml; charset=UTF-8", add_orbit(ALL).encode(), ALL),
    "UTF-8 by the header, with a mark": (
        "text/xml; charset=utf-8",
        codecs.BOM_UTF8 + add_orbit(ALL).encode(),
        ALL,
    ),
    "UTF-8 by the declaration": ("text/xml", add_orbit(ALL, declared("utf-8")).encode(), ALL),
    "UTF-8 by its short name": ("text/xml; charset=utf8", add_orbit(ALL).encode(), ALL),
    "UTF-8 by curl": ("application/x-www-form-urlencoded", add_orbit(ALL).encode(), ALL),
    "Latin-1 by the header": ("text/xml; charset=ISO-8859-1", latin(), LATIN),
    "Latin-1 by a quoted header": ('text/xml; charset="iso-8859-1"', latin(), LATIN),
    "Latin-1 by another name": ("text/xml; charset=latin1", latin(), LATIN),
    "Latin-1 by the declaration": ("text/xml", latin(declared("ISO-8859-1")), LATIN),
    "Latin-1 in single quotes": (
        "text/xml",
        latin("<?xml version='1.0' encoding='iso-8859-1' standalone='yes'?>"),
        LATIN,
    ),
    "Latin-1 by the header against the declaration": (
        "text/xml; charset=ISO-8859-1",
        latin(declared("UTF-8")),
        LATIN,
    ),
    "UTF-8 by the header against the declaration": (
        "text/xml; charset=UTF-8",
        add_orbit(ALL, declared("utf-16")).encode(),
        ALL,
    ),
    "ASCII by the header": ("text/xml; charset=us-ascii", add_orbit("plain").encode(), "plain"),
    "ASCII by the declaration": (
        "text/xml",
        add_orbit("&#233;", declared("US-ASCII")).encode(),
        "é",
    ),
    "UTF-16 little end first by its mark": (
        "text/xml",
        utf16(add_orbit(ALL, declared("utf-16")), "le", mark=True),
        ALL,
    ),
    "UTF-16 big end first by its mark": ("text/xml", utf16(add_orbit(ALL), "be", mark=True), ALL),
    "UTF-16 little end first without mark": (
        "text/xml",
        utf16(add_orbit(ALL), "le", mark=False),
        ALL,
    ),
    "UTF-16 big end first without mark": ("text/xml", utf16(add_orbit(ALL), "be", mark=False), ALL),
    "UTF-16 by the header": (
        "application/soap+xml; charset=utf-16",
        utf16(add_orbit(ALL), "le", mark=True),
        ALL,
    ),
    "UTF-16 by the header without mark": (
        "text/xml; charset=utf-16",
        utf16(add_orbit(ALL), "be", mark=False),
        ALL,
    ),
    "UTF-16LE by the header": (
        "text/xml; charset=UTF-16LE",
        utf16(add_orbit(ALL), "le", mark=False),
        ALL,
    ),
    "UTF-16BE by the header with a mark": (
        "text/xml; charset=utf-16be",
        utf16(add_orbit(ALL), "be", mark=True),
        ALL,
    ),
}


@pytest.mark.parametrize(("content_type", "body", "text"), READ.values(), ids=READ)
def test_a_request_is_read_in(soap: Soap, content_type: str, body: bytes, text: str) -> None:
    response = soap.post("ParkOrbitService", body, {"Content-Type": content_type})
    assert response.status == 200, response.text
    (orbit,) = soap.operation("ParkOrbitService", "getParkOrbits", {})
    assert orbit["description"] == text


@pytest.mark.parametrize(
    ("content_type", "declaration", "name"),
    [
        ("text/xml; charset=windows-1252", "", "windows-1252"),
        ("text/xml; charset=UTF-7", "", "UTF-7"),
        ("text/xml; charset=utf-32", "", "utf-32"),
        ("text/xml; charset=nonsense", declared("UTF-8"), "nonsense"),
        ("text/xml", declared("EUC-JP"), "EUC-JP"),
        ("text/xml", declared("base64"), "base64"),
        ("text/xml", declared("idna"), "idna"),
        (f"text/xml; charset={'x' * 1000}", "", "x" * 40),
    ],
)
def test_an_unknown_charset_is_a_fault(
    soap: Soap, content_type: str, declaration: str, name: str
) -> None:
    body = add_orbit("x", declaration).encode()
    fault = SoapFault(soap.post("ParkOrbitService", body, {"Content-Type": content_type}))
    assert (fault.status, fault.code, fault.problems) == (500, "soapenv:Client", [])
    assert fault.text == (
        f"The charset '{name}' is not supported: use UTF-8, ISO-8859-1, US-ASCII or UTF-16."
    )


@pytest.mark.parametrize("charset", ["\x01", "utf-8\x07", "a\x7fb", "\x9f", "\u00e9\u00ffutf-8"])
def test_a_charset_that_xml_cannot_show_is_a_fault_all_the_same(soap: Soap, charset: str) -> None:
    header = {"Content-Type": f'text/xml; charset="{charset}"'}
    fault = SoapFault(soap.post("ParkOrbitService", add_orbit("x").encode(), header))
    assert fault.code == "soapenv:Client"
    assert "is not supported: use UTF-8" in fault.text


BROKEN = {
    "Latin-1 as UTF-8": ("text/xml", latin()),
    "UTF-8 as ASCII": ("text/xml; charset=us-ascii", add_orbit(LATIN).encode()),
    "UTF-8 declared as UTF-16": ("text/xml", add_orbit("x", declared("UTF-16")).encode()),
    "UTF-8 as UTF-16": ("text/xml; charset=utf-16", add_orbit("xx").encode()),
    "half a character of UTF-16": ("text/xml", utf16(add_orbit("x"), "le", mark=True)[:-1]),
    "a UTF-8 surrogate": ("text/xml", add_orbit("?").encode().replace(b"?", b"\xed\xa0\xbd")),
    "an overlong sequence": ("text/xml", add_orbit("?").encode().replace(b"?", b"\xc0\xaf")),
    "beyond Unicode": ("text/xml", add_orbit("?").encode().replace(b"?", b"\xf4\x90\x80\x80")),
    "U+FFFE": ("text/xml", add_orbit("?").encode().replace(b"?", b"\xef\xbf\xbe")),
    "a lone surrogate of UTF-16": (
        "text/xml",
        utf16(add_orbit("?"), "le", mark=True).replace(b"?\x00", b"\x00\xdc"),
    ),
    "a NUL": ("text/xml", add_orbit("?").encode().replace(b"?", b"\x00")),
}


@pytest.mark.parametrize(("content_type", "body"), BROKEN.values(), ids=BROKEN)
def test_bytes_that_are_no_text_are_a_fault(soap: Soap, content_type: str, body: bytes) -> None:
    fault = SoapFault(soap.post("ParkOrbitService", body, {"Content-Type": content_type}))
    assert (fault.status, fault.code) == (500, "soapenv:Client")
    assert fault.text.startswith("The request is not well-formed XML: ")


@pytest.mark.parametrize(
    "value", [None, "", '""', "findUser", '"urn:other#deleteEverything"', "\u00e9", "x" * 4000]
)
def test_soap_action_does_not_matter(soap: Soap, value: str | None) -> None:
    headers = {} if value is None else {"SOAPAction": value}
    response = soap.post("ParkOrbitService", envelope("<getParkOrbits/>"), headers)
    assert f'<GetParkOrbitsResponse xmlns="{NS}"><parkOrbits xmlns=""/>' in response.text
