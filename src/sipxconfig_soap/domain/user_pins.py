"""How users are given PINs (services.md §3).

In clear text, as the hash that findUser shows, or as a token of sipXecs up to 4.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sipxconfig_soap import errors
from sipxconfig_soap.domain import pins

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipxconfig_soap.domain.properties import Edit
    from sipxconfig_soap.errors import Problems

PIN_PROPERTIES = ("pin", "pintoken")
"""Both set the PIN in an edit; of the two the later one counts."""


NO_HASH = "is not a hash that this server could check"
"""What is said of a text that should be one."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A PIN or the hash of one: as sent, and none only when it is empty."""

    name: str

    def clean(self, value: str | None, problems: Problems) -> str | None:
        """Check the length."""
        if not value:
            return None
        if len(value) > pins.PIN_LIMIT and not (self.name == "pintoken" and pins.is_hash(value)):
            problems.add(errors.too_long(self.name, value, pins.PIN_LIMIT))
        return value

    def parse(self, value: str | None, problems: Problems) -> str | None:
        """An edit's text is checked like any other, unless it may be the stored hash."""
        return value if value and pins.is_hash(value) else self.clean(value, problems)


class NewPins(NamedTuple):
    """The PINs of a user who is added.

    Attributes:
        pin: in clear text, or None.
        pintoken: a hash or a token that counts instead, or None.
        voicemail_pin: in clear text; None for the same as the PIN, also when that changes.
        voicemail_hash: its hash instead, or None.
    """

    pin: str | None
    pintoken: str | None
    voicemail_pin: str | None
    voicemail_hash: str | None

    def hashed(self, user_name: str, realm: str) -> dict[str, str | None]:
        """The columns; hashing takes its time, so it is done when all else is right."""
        own, pin_hash = self.voicemail_pin, self.pintoken
        if self.pin:
            pin_hash = pins.hash_pin(self.pin)
        elif pin_hash and pins.is_token(pin_hash):
            pin_hash = pins.hash_token(pin_hash, user_name, realm)
        return {
            "pin_hash": pin_hash,
            "voicemail_pin_hash": pins.hash_pin(own) if own else self.voicemail_hash,
        }


def pins_of_new(
    pin: str | None,
    pintoken: str | None,
    voicemail_pin: str | None,
    voicemail_hash: str | None,
    problems: Problems,
) -> NewPins:
    """What the PIN, the pintoken and the voicemail PIN of a new user amount to.

    A pintoken counts only without a PIN and only when it is a hash of our kind or a token.
    """
    counting = None
    if not pin and pintoken and (pins.is_token(pintoken) or pins.is_hash(pintoken)):
        counting = pintoken
        check_cost(counting, problems)
    check_voicemail_hash(voicemail_hash, problems)
    cleaned = Pin("vmpin").clean(voicemail_pin, problems)
    return NewPins(pin, counting, cleaned, voicemail_hash)


def check_cost(pin_hash: str, problems: Problems, field: str = "pintoken") -> None:
    """Note a problem for a hash that would be too costly to check; it is not repeated."""
    if pins.is_costlier(pin_hash):
        reason = "is a hash with greater cost parameters than this server's"
        problems.add(errors.invalid_value(field, None, reason))


def check_voicemail_hash(pin_hash: str | None, problems: Problems) -> None:
    """Note a problem for what cannot be the hash of a voicemail PIN; None is right."""
    if pin_hash is None:
        return
    if pins.is_hash_of_pin(pin_hash):
        check_cost(pin_hash, problems, "vmpintoken")
    else:
        problems.add(errors.invalid_value("vmpintoken", None, NO_HASH))


def pin_edits(edits: Iterable[Edit]) -> list[tuple[str, str | None]]:
    """The edits of the PIN, in their order: property and value."""
    return [(edit.name, edit.value or None) for edit in edits if edit.name in PIN_PROPERTIES]


class PinChanges:
    """What edits of the PIN mean for each user.

    A script may write back the hash that it read, so a value that is the user's stored hash is
    dropped wherever it stands, before the last one is picked. The same new PIN is hashed once,
    however many users are given it.
    """

    def __init__(self, edits: list[tuple[str, str | None]], realm: str, problems: Problems) -> None:
        self._edits = edits
        self._realm = realm
        self._problems = problems
        self._hashes: dict[str, str] = {}

    def pick(self, stored: str | None) -> tuple[str, str | None] | None:
        """Property and value of the edit that counts for a user with this hash, if any."""
        counting = [edit for edit in self._edits if edit[1] is None or edit[1] != stored]
        if not counting:
            return None
        name, value = counting[-1]
        if name == "pintoken" and value is not None:
            check_cost(value, self._problems)
        Pin(name).clean(value, self._problems)
        return name, value

    def hash_of(self, name: str, value: str | None, user_name: str) -> str | None:
        """The hash that an edit makes, or the one it brings; None clears.

        Args:
            name: of the property.
            value: of the edit.
            user_name: what the user is called after the edit.
        """
        if value is None:
            return None
        if name == "pintoken" and pins.is_hash(value):
            return value
        if name == "pintoken" and pins.is_token(value):
            return pins.of_token(self._hashed(value.lower()), user_name, self._realm)
        return self._hashed(value)

    def _hashed(self, text: str) -> str:
        if text not in self._hashes:
            self._hashes[text] = pins.hash_pin(text)
        return self._hashes[text]
