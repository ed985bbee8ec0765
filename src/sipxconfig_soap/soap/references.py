"""Multi-references of SOAP encoding: ``href="#x"`` stands for the element whose id is ``x``.

SOAP 1.1 §5 writes a value that is used in several places once, as a child of the Body (wire.md §3).
SOAP 1.2 (part 2, §3.1.5) calls the two attributes ``ref`` and ``id`` of its own namespace, and has
the value stand where it is used first.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sipxconfig_soap.errors import VALUE_LIMIT
from sipxconfig_soap.soap.faults import client_fault
from sipxconfig_soap.soap.reader import local_name
from sipxconfig_soap.values import is_blank, trim

if TYPE_CHECKING:
    from lxml.etree import _Element

    from sipxconfig_soap.soap.faults import Fault

SOAP12_ENCODING = "http://www.w3.org/2003/05/soap-encoding"
"""The namespace of SOAP 1.2's encoding, and of its attributes."""

_REF, _ID = f"{{{SOAP12_ENCODING}}}ref", f"{{{SOAP12_ENCODING}}}id"
"""How SOAP 1.2 spells a reference and an id."""


def circle(name: str) -> Fault:
    """The fault for an element that would have to hold itself."""
    return client_fault(f"The references lead in a circle: {_shown(name)}")


class References:
    """The references in a Body; each is looked at once, however often it is followed.

    Args:
        body: of the envelope.

    Attributes:
        calls: the children of the Body that nobody refers to.

    Raises:
        Fault: Client, for a reference that has content of its own or leads nowhere or elsewhere,
            for a target of ``href`` that is no child of the Body, and for an id that is not the
            only one.
    """

    def __init__(self, body: _Element) -> None:
        referred: dict[str, bool] = {}
        ids: Counter[str] = Counter()
        found: dict[str, _Element] = {}
        for element in body.iterdescendants():
            if (name := reference_of(element)) is not None:
                # Those of SOAP 1.2 alone may mean an element that stands anywhere.
                referred[name] = referred.get(name, False) or element.get("href") is not None
            for own in _ids_of(element):
                ids[own] += 1
                found[own] = element
        self._targets = {name: child for name, child in found.items() if name in referred}
        for name, by_href in sorted(referred.items()):
            if not ids[name]:
                raise client_fault(f"No element has the id of the {_shown(name)}")
            if ids[name] > 1:
                raise client_fault(f"Several elements have the id of the {_shown(name)}")
            if by_href and found[name].getparent() is not body:
                what = "by href refers to an element that is no child of the Body"
                raise client_fault(f"The {_shown(name)} {what}")
        self.calls = [child for child in body if referred.keys().isdisjoint(_ids_of(child))]
        self._ends: dict[str, str] = {}

    def end_of(self, name: str) -> tuple[str, _Element]:
        """The element that a reference means, with its id: where the chain of references ends.

        Raises:
            Fault: Client, for a chain without end.
        """
        chain = []
        end = name
        while end not in self._ends:
            chain.append(end)
            following = reference_of(self._targets[end])
            if following is None:
                break
            if len(chain) > len(self._targets):
                raise circle(name)
            end = following
        end = self._ends.get(end, end)
        self._ends.update(dict.fromkeys(chain, end))
        return end, self._targets[end]

    def check_all_followed(self) -> None:
        """Nothing that was sent is dropped: elements that only refer to each other are refused.

        Raises:
            Fault: Client.
        """
        for name in self._targets:
            if name not in self._ends:
                raise circle(name)


def reference_of(element: _Element) -> str | None:
    """The id that an element refers to; a reference elsewhere says nothing beside content.

    Raises:
        Fault: Client, when the element has content beside the id, or none at all since that was
            sent elsewhere: read as empty, it would clear a value.
    """
    href = element.get("href")
    if href is None:
        reference = element.get(_REF)
        if reference is None:
            return None
        # It is the id itself; PHP writes a # before it.
        href = f"#{trim(reference).removeprefix('#')}"
    name = local_name(element)[:VALUE_LIMIT]
    is_empty = not len(element) and is_blank(element.text)
    href = trim(href)
    if not href.startswith("#"):
        if is_empty:
            what = "refers to content that was sent elsewhere, and nothing is fetched"
            raise client_fault(f"The element '{name}' {what}")
        return None
    if not is_empty:
        raise client_fault(
            f"The element '{name}' has the {_shown(href[1:])} and content of its own"
        )
    return href[1:]


def _ids_of(element: _Element) -> set[str]:
    """By what an element may be referred to."""
    own = {element.get("id"), element.get(_ID)} if element.attrib else set()
    return {each for each in own if each is not None}


def _shown(name: str) -> str:
    return f"reference '#{name[:VALUE_LIMIT]}'"
