"""What the elements of a list are called: as documented, or as sipXecs really sent them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

ArrayNames = Literal["item", "legacy"]
"""The values of the setting ``wire_array_names`` (wire.md §4)."""

_LEGACY: Mapping[str, str] = {
    "ArrayOfPermission": "permission",
    "ArrayOfCallGroup": "callGroup",
    "ArrayOfUser": "user",
    "ArrayOfParkOrbit": "parkOrbit",
    # Not a slip of ours: sipXecs sends phones as "user", and its clients look for that.
    "ArrayOfPhone": "user",
}


def is_array(kind: type[Any]) -> bool:
    """Whether a Spyne class is one of the array wrappers, which hold nothing but their items."""
    return kind.get_type_name() in _LEGACY


def item_name(array: type[Any], names: ArrayNames) -> str:
    """The name of the repeated element inside an array wrapper (wire.md §4).

    Args:
        array: the Spyne class of the wrapper (``ArrayOfUser``).
        names: which of the two vocabularies is spoken.
    """
    return "item" if names == "item" else _LEGACY[array.get_type_name()]
