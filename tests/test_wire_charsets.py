"""In which charsets requests are read, and which headers do not matter (wire.md §3)."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.soap.xml import parse
from tests.support.soap import NS, SoapFault, envelope

if TYPE_CHECKING:
    from tests.support.soap import Soap

LATIN = "Jérôme Müller"
ALL = "Jérôme Müller Čapek 李 \U0001f4de"
WINDOWS = "Müller – „Žižek“, 5 €"
LATIN9 = "Müller Žižek Œuvre, 5 €"


def add_orbit_body(description: str) -> str:
    orbit = f"<parkOrbit><name>park</name><description>{description}</description></parkOrbit>"
    return f"<con:AddParkOrbit>{orbit}</con:AddParkOrbit>"


def add_orbit(description: str, declaration: str = "") -> str:
    return declaration + envelope(add_orbit_body(description)).decode()


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
    "windows-1252 by the header": (
        "text/xml; charset=Windows-1252",
        add_orbit(WINDOWS).encode("cp1252"),
        WINDOWS,
    ),
    "windows-1252 by the declaration": (
        "text/xml",
        add_orbit(WINDOWS, declared("windows-1252")).encode("cp1252"),
        WINDOWS,
    ),
    "Latin-9 by the header": (
        "text/xml; charset=ISO-8859-15",
        add_orbit(LATIN9).encode("iso8859-15"),
        LATIN9,
    ),
    "Latin-9 by the declaration": (
        "text/xml",
        add_orbit(LATIN9, declared("iso-8859-15")).encode("iso8859-15"),
        LATIN9,
    ),
    "UTF-8 that .NET's StringWriter declares as UTF-16": (
        "text/xml",
        add_orbit(ALL, declared("utf-16")).encode(),
        ALL,
    ),
    "UTF-8 with a mark that is declared as UTF-16LE": (
        "text/xml",
        codecs.BOM_UTF8 + add_orbit(ALL, declared("UTF-16LE")).encode(),
        ALL,
    ),
    "UTF-8 after a line end": ("text/xml", add_orbit(ALL, "\r\n").encode(), ALL),
    "Latin-1 after white space": ("text/xml", latin(" \r\n\t" + declared("ISO-8859-1")), LATIN),
    "Latin-1 after much white space": (
        "text/xml",
        latin("\n" * 5000 + declared("ISO-8859-1")),
        LATIN,
    ),
    "UTF-8 after a mark and a line end": (
        "text/xml",
        codecs.BOM_UTF8 + add_orbit(ALL, "\n" + declared("UTF-8")).encode(),
        ALL,
    ),
    "UTF-16 little end first after a line end without mark": (
        "text/xml",
        utf16(add_orbit(ALL, "\r\n" + declared("UTF-16")), "le", mark=False),
        ALL,
    ),
    "UTF-16 big end first after a line end without mark": (
        "text/xml; charset=utf-16",
        utf16(add_orbit(ALL, "\n" + declared("UTF-16")), "be", mark=False),
        ALL,
    ),
    "UTF-16 after a mark and a line end": (
        "text/xml",
        utf16(add_orbit(ALL, "\n" + declared("UTF-16")), "le", mark=True),
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
        ("text/xml; charset=windows-1251", "", "windows-1251"),
        ("text/xml; charset=iso-8859-2", "", "iso-8859-2"),
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
        f"The charset '{name}' is not supported: use UTF-8, UTF-16, ISO-8859-1, ISO-8859-15, "
        "windows-1252 or US-ASCII."
    )


@pytest.mark.parametrize("charset", ["\x01", "utf-8\x07", "a\x7fb", "\x9f", "\u00e9\u00ffutf-8"])
def test_a_charset_that_xml_cannot_show_is_a_fault_all_the_same(soap: Soap, charset: str) -> None:
    header = {"Content-Type": f'text/xml; charset="{charset}"'}
    fault = SoapFault(soap.post("ParkOrbitService", add_orbit("x").encode(), header))
    assert fault.code == "soapenv:Client"
    assert "is not supported: use UTF-8" in fault.text


@pytest.mark.parametrize(
    ("names", "character"),
    [
        ("windows-1252 WINDOWS-1252 cp1252 CP-1252 x-cp1252 windows1252 csWindows1252", b"\x80"),
        ("ISO-8859-15 iso8859-15 ISO_8859-15 latin9 Latin-9 l9 iso885915 csISO885915", b"\xa4"),
    ],
)
def test_a_charset_has_its_usual_other_names(names: str, character: bytes) -> None:
    for name in names.split():
        assert parse(b"<a>5 " + character + b"</a>", name).text == "5 €"
        document = declared(name).encode() + b"<a>5 " + character + b"</a>"
        assert parse(document).text == "5 €"


PHONE = "\U0001f4de"
PAIRS = {
    "in hexadecimal": "&#xD83D;&#xDCDE;",
    "in small letters": "&#xd83d;&#xdcde;",
    "in decimal": "&#55357;&#56542;",
    "in both": "&#55357;&#xDCDE;",
    "with zeros": "&#x0D83D;&#0056542;",
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_two_references_that_are_a_surrogate_pair_are_one_character(soap: Soap, pair: str) -> None:
    soap.call("ParkOrbitService", add_orbit_body(f"a{pair}b{pair}{pair}&#228;"))
    (orbit,) = soap.operation("ParkOrbitService", "getParkOrbits", {})
    assert orbit["description"] == f"a{PHONE}b{PHONE}{PHONE}ä"


def test_every_surrogate_pair_is_its_character() -> None:
    for form in ("&#{};&#{};", "&#x{:X};&#x{:x};"):
        last = range(0xDC00, 0xE000)
        for high in (*range(0xD800, 0xDC00, 61), 0xDBFF):
            text = "".join(form.format(high, low) for low in last)
            first = 0x10000 + (high - 0xD800) * 0x400
            expected = "".join(map(chr, range(first, first + 0x400)))
            assert (
                parse(f"<a b='{form.format(high, last[0])}'>{text}</a>".encode()).text == expected
            )


def test_a_surrogate_pair_is_none_where_references_do_not_count() -> None:
    pair = "&#xD83D;&#xDCDE;"
    found = parse(f"<a><!-- <![CDATA[ {pair} --><![CDATA[<!--{pair}]]>{pair}</a>".encode()).text
    assert found == f"<!--{pair}{PHONE}"


LONE = ["&#xD83D;", "&#xDCDE;", "&#xDCDE;&#xD83D;", "&#xD83D;&#xD83D;", "&#55357; &#56542;"]


@pytest.mark.parametrize(
    "text", [*LONE, "&#xD83D;&#xD83D;&#xDCDE;", "&#xD83D;x", "&#xD83D;&#xDCDE"]
)
def test_a_lone_surrogate_stays_malformed(soap: Soap, text: str) -> None:
    body = add_orbit(text).encode()
    fault = SoapFault(soap.post("ParkOrbitService", body))
    assert (fault.status, fault.code) == (500, "soapenv:Client")
    assert fault.text.startswith("The request is not well-formed XML: ")


BROKEN = {
    "Latin-1 as UTF-8": ("text/xml", latin()),
    "UTF-8 as ASCII": ("text/xml; charset=us-ascii", add_orbit(LATIN).encode()),
    "Latin-1 declared as UTF-16": ("text/xml", latin(declared("UTF-16"))),
    "a byte that windows-1252 does not define": (
        "text/xml; charset=windows-1252",
        add_orbit("?").encode().replace(b"?", b"\x81"),
    ),
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
