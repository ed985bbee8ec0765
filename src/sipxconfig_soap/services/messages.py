"""What the services do alike: taking searches and edits out of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipxconfig_soap.domain.properties import Edit
from sipxconfig_soap.domain.searches import EVERYTHING, NOTHING, Criterion

if TYPE_CHECKING:
    from collections.abc import Sequence


def criterion(search: Any) -> Criterion:
    """The criterion of a search that counts: the first one given, in the order of its type.

    An absent search means every entity; one with nothing inside means none, since a mass delete
    must not happen by accident (wire.md §3).
    """
    if search is None:
        return EVERYTHING
    given = (Criterion(name, value) for name, value in vars(search).items() if value is not None)
    return next(given, NOTHING)


def edits(sent: Sequence[Any]) -> list[Edit]:
    """The edits of a message; empty ones, which some clients send, are passed over."""
    return [
        Edit(index, edit.property, edit.value)
        for index, edit in enumerate(sent)
        if edit is not None
    ]


def fields(message: Any) -> dict[str, Any]:
    """The fields of a message by their names in the contract, in the order of its type."""
    return dict(vars(message))


def optional_fields(message: Any) -> dict[str, Any] | None:
    """The fields of a message that may be absent."""
    return None if message is None else fields(message)


def members(sent: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """The fields of each message in a list, by its place as sent; nil ones are left out."""
    return {index: fields(each) for index, each in enumerate(sent) if each is not None}
