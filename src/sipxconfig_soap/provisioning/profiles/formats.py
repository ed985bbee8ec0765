"""How a text is written in each file format, so that it is read back as the same text.

There is one rule per format (phones.md §3). A rule returns the written form, or raises `Unfit`
when the format cannot carry the text; it never changes one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sipxconfig_soap.values import NOT_XML

_LINE_BREAKING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_XML = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        # A parser turns these into spaces or LF unless they are references.
        "\t": "&#9;",
        "\n": "&#10;",
        "\r": "&#13;",
    }
)

_BLANK_AT_ENDS = "has a blank at its ends, which this model's file cannot carry"
_RESERVED = "is a word that means something else in this model's file"

_NOT_PLAIN_JAVA = re.compile(r"\\|[^ -~]|^ | $")


class Unfit(ValueError):
    """A text that a format cannot carry; the message says why, and never repeats the text."""


def xml(text: str) -> str:
    """Content of an element, or of an attribute in double quotes.

    Raises:
        Unfit: XML 1.0 has no such character, not even as a reference.
    """
    if NOT_XML.search(text):
        raise Unfit("holds a character that XML does not have")
    return text.translate(_XML)


def xml_trimmed(text: str) -> str:
    """The same for a reader that trims what it finds, references or not, and joins lines.

    Raises:
        Unfit: as `xml`; or the text has white space at its ends, or a line break.
    """
    if text != text.strip(" \t\r\n"):
        raise Unfit(_BLANK_AT_ENDS)
    if "\n" in text or "\r" in text:
        raise Unfit("holds a line break, which this model's file cannot carry")
    return xml(text)


@dataclass(frozen=True, slots=True)
class JavaProperty:
    r"""Value of a Java property: ASCII, which ISO 8859-1 is read alike, ``\\`` and ``\uXXXX``.

    Attributes:
        reserved: a value that means something else to who reads the file.
    """

    reserved: str | None = None

    def __call__(self, text: str) -> str:
        """The text with its escapes.

        Raises:
            Unfit: the text has another meaning.
        """
        if text == self.reserved:
            raise Unfit(_RESERVED)
        return _NOT_PLAIN_JAVA.sub(_java_escape, text)


def _java_escape(found: re.Match[str]) -> str:
    if found[0] == "\\":
        return "\\\\"
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def quoted(text: str) -> str:
    """A value in double quotes in a format of lines, of which none knows an escape.

    Raises:
        Unfit: the text has a control character, a line break or a quotation mark.
    """
    if '"' in text:
        raise Unfit("holds a quotation mark, which this model's file cannot carry")
    return f'"{_one_line(text)}"'


@dataclass(frozen=True, slots=True)
class Bare:
    """A value without quotes up to the end of its line.

    Attributes:
        reserved: a value that means something else to the phone.
    """

    reserved: str | None = None

    def __call__(self, text: str) -> str:
        """The text itself.

        Raises:
            Unfit: the text has a control character, a line break, a blank at its ends, or another
                meaning.
        """
        if text != text.strip(" "):
            raise Unfit(_BLANK_AT_ENDS)
        if text == self.reserved:
            raise Unfit(_RESERVED)
        return _one_line(text)


def _one_line(text: str) -> str:
    if _LINE_BREAKING.search(text):
        raise Unfit("holds a control character or line break")
    if _SURROGATE.search(text):
        raise Unfit("holds a character that cannot be encoded")
    return text
