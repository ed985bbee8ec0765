"""From the bytes of a request to a tree of lxml, within the limits of wire.md §3."""

from __future__ import annotations

import re
from threading import local
from typing import Any

from lxml import etree

from sipxconfig_soap.soap.characters import MALFORMED, in_utf8
from sipxconfig_soap.soap.faults import Fault, client_fault

MAX_DEPTH, MAX_ELEMENTS = 64, 100_000
DEEP = f"The request nests elements deeper than {MAX_DEPTH}"
MANY = f"The request has more than {MAX_ELEMENTS} elements"
MAX_QUOTES = 10 * MAX_ELEMENTS
QUOTED = f"The request has more than {MAX_QUOTES} quotation marks"
_DOCTYPE = re.compile(rb"(?s)(?:\xef\xbb\xbf)?(?:[ \t\r\n]++|<!--.*?-->|<\?.*?\?>)*+<!DOCTYPE")
_LONG_VALUE = re.compile(rb"""=\s*["'][^"'<>]{2000}""")
_OVER = ("ERR_RESOURCE_LIMIT", "ERR_COMMENT_NOT_FINISHED", "ERR_CDATA_NOT_FINISHED")
_TOO_LONG = {"ERR_NAME_TOO_LONG": 50_000} | dict.fromkeys(_OVER, 10_000_000)
"""What libxml2 says of something too long, and how many bytes that are."""
_UNDECLARED = re.compile(r"Namespace prefix (\S+)(?: for (\S+))? on (\S+) is not defined")
_COUNT: Any = etree.XPath("count(//*)")
_INSTRUCTION: Any = etree.XPath("boolean(//processing-instruction())")
_TOO_DEEP: Any = etree.XPath(f"boolean({'/*' * (MAX_DEPTH + 1)})")
_LOCAL_NAME: Any = etree.XPath("local-name()", smart_strings=False)


def _new_parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="UTF-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        collect_ids=False,
    )


class _Own(local):
    """What each thread has for itself, as lxml's manual asks: a parser for its small requests.

    To make one takes half as long as to parse such a request. It keeps the memory that it once
    needed, so large ones have a parser each.
    """

    def __init__(self) -> None:
        self.parser = _new_parser()


_own = _Own()
_SMALL = 64 * 1024


def parse(body: bytes, charset: str | None = None) -> etree._Element:
    """Read a request into its root element; comments are left out.

    Args:
        body: the bytes, unpacked.
        charset: of the Content-Type header, if it names one.

    Raises:
        Fault: Client, for everything that wire.md §3 does not let through.
    """
    if not body:
        raise client_fault("The request is empty: send a SOAP envelope")
    body = in_utf8(body, charset)
    # Comments and CDATA may hold some that are no tags. The depth of so many shows soon.
    starts = body.count(b"<") - sum(map(body.count, (b"</", b"<!", b"<?")))
    if crowded := starts > 2 * MAX_ELEMENTS:
        body = body[:_SMALL]
    _look_at(body)
    parser = _own.parser if len(body) <= _SMALL else _new_parser()
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        error = parser.error_log.filter_from_errors()[0]
        if error.message.startswith("Excessive depth"):
            raise client_fault(DEEP) from None
        raise (client_fault(MANY) if crowded else _refusal(error, len(body))) from None
    # Each look at the tree lets other threads run, so small requests go without.
    if b"<?" in body.removeprefix(b"<?xml ") and _INSTRUCTION(root):
        raise client_fault("A processing instruction is not allowed in a request")
    if starts > MAX_DEPTH and _TOO_DEEP(root):
        raise client_fault(DEEP)
    if crowded or (starts > MAX_ELEMENTS and _COUNT(root) > MAX_ELEMENTS):
        raise client_fault(MANY)
    # lxml copies a namespace whenever its name is looked at. None counts below Header and Body.
    for element in root.iterfind("*//*") if _LONG_VALUE.search(body) else ():
        element.tag = _LOCAL_NAME(element)
    return root


def _look_at(body: bytes) -> None:
    """Refuse what the parser is never to see."""
    # So it knows of no entities but those of XML itself.
    if _DOCTYPE.match(body):
        raise client_fault("A DOCTYPE is not allowed in a request")
    # An attribute, which takes more memory than an element, has two.
    if body.count(b'"') + body.count(b"'") > MAX_QUOTES:
        raise client_fault(QUOTED)


def _refusal(error: Any, size: int) -> Fault:
    """What to say of an error of the parser, which itself quotes more of a request than names."""
    place = f"(line {error.line}, column {error.column})"
    if size > (longest := _TOO_LONG.get(error.type_name, size)):
        return client_fault(f"The request has a name, text or tag of over {longest} bytes {place}")
    kind = re.sub("NS_ERR_|WAR_NS_", "namespace ", error.type_name.removeprefix("ERR_"))
    reason = kind.replace("_", " ").lower()
    if undeclared := _UNDECLARED.match(error.message):
        prefix, attribute, element = undeclared.groups()
        reason = f"'{f'{prefix}:{attribute or element}'[:100]}' has no prefix that is declared"
    return client_fault(f"{MALFORMED}{reason} {place}")
