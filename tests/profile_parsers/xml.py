"""XML: elements and attributes by their paths."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lxml import etree

from tests.profile_parsers import once

if TYPE_CHECKING:
    from collections.abc import Iterator


def paths(content: bytes) -> dict[str, str]:
    """Every leaf as ``root/child[2]/leaf`` and every attribute as ``root/child@name``.

    The second element of a name and later ones are counted.
    """
    root = _root(content)
    return once(list(_walk(root, str(root.tag))))


def attributes(content: bytes) -> dict[str, str]:
    """All attributes, whatever their element, and the root's name under the empty key."""
    root = _root(content)
    assert not any((element.text or "").strip() for element in root.iter())
    pairs = [(str(name), str(value)) for each in root.iter() for name, value in each.items()]
    return once([("", str(root.tag)), *pairs])


def indexed(content: bytes) -> dict[str, str]:
    """Elements as ``name idx``, ``None`` without one; all attributes are known."""
    root = _root(content)
    (inner,) = root
    assert (root.tag, inner.tag) == ("settings", "phone-settings")
    assert inner.items() == [("e", "2")]
    assert all(each.get("perm") == "R" and {*each.attrib} <= {"idx", "perm"} for each in inner)
    return once([(f"{each.tag} {each.get('idx')}", each.text or "") for each in inner])


def _root(content: bytes) -> etree._Element:
    assert content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<')
    return etree.fromstring(content, etree.XMLParser(resolve_entities=False))


def _walk(element: etree._Element, path: str) -> Iterator[tuple[str, str]]:
    for name, value in element.items():
        yield f"{path}@{name!s}", str(value)
    children = list(element)
    if not children:
        # An element that may hold others and holds none has only white space.
        if element.text is None or element.text.strip(" \n") or "\n" not in element.text:
            yield path, element.text or ""
        return
    assert not (element.text or "").strip()
    seen: Counter[str] = Counter()
    for child in children:
        assert not (child.tail or "").strip()
        tag = child.tag
        assert isinstance(tag, str)
        seen[tag] += 1
        count = f"[{seen[tag]}]" if seen[tag] > 1 else ""
        yield from _walk(child, f"{path}/{tag}{count}")
