"""The one catalogue of what can be wrong with a request.

Every refusal of the server is a `Problem` with one of the codes of docs/spec/wire.md §6.
The constructors below write its sentences; of an ``invalidValue`` the rule gives the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from sipxconfig_soap.values import trim

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SECRET_FIELDS = frozenset({"pin", "vmpin", "pintoken", "sipPassword", "password"})
"""Fields whose values never leave the server in a fault, a log or a page (wire.md §6, §8)."""

VALUE_LIMIT = 100
"""Characters of a refused value that a fault repeats."""

_SECRET = frozenset(name.casefold() for name in SECRET_FIELDS)
_LAST_NAME = re.compile(r"(\w+)(?:\[\d+\])?$")


def is_secret(name: str) -> bool:
    """Whether what a field or property of this name holds is never shown, however it is spelt."""
    return trim(name).casefold() in _SECRET


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request.

    Attributes:
        code: one of the codes of wire.md §6.
        field: path of the element or name of the property, as wire.md §6 spells it.
        value: the refused text, cut to 100 characters; None where it does not apply.
        entity: the matched entity that refuses, in manage operations only.
        sentence: one English sentence that names field and value.
    """

    code: str
    field: str | None
    value: str | None
    entity: str | None
    sentence: str


class Refused(Exception):
    """The operation is known but its input is refused: nothing has been changed."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(summary(problems))
        self.problems = problems


class Unavailable(Exception):
    """The database cannot serve just now; the same request may succeed later."""


class OutcomeUnknown(Unavailable):
    """The database went away inside COMMIT and stayed away: nobody knows whether it was done."""


class Problems:
    """Collects every problem of one request, so that none has to be sent twice to learn all.

    Args:
        found: what is known already.
    """

    def __init__(self, found: Iterable[Problem] = ()) -> None:
        self._found: dict[tuple[str | None, ...], Problem] = {}
        self._fields: set[str | None] = set()
        for problem in found:
            self.add(problem)

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def found(self) -> list[Problem]:
        """All problems, in the order in which they were found."""
        return list(self._found.values())

    def add(self, problem: Problem) -> None:
        """Note a problem; the same one found twice, in whatever words, counts once.

        What could not be read reads as null, and is not also missing.
        """
        if problem.code == "required" and problem.field in self._fields:
            return
        self._fields.add(problem.field)
        key = (problem.code, problem.field, problem.value, problem.entity)
        self._found.setdefault(key, problem)

    def check(self) -> None:
        """Raise `Refused` with all that has been found, if anything has."""
        if self._found:
            raise Refused(self.found)


def refuse(problem: Problem) -> NoReturn:
    """Raise `Refused` for this one problem."""
    raise Refused([problem])


def summary(problems: list[Problem]) -> str:
    """One sentence for all: the first problem, and how many more there are."""
    more = len(problems) - 1
    if not more:
        return problems[0].sentence
    return f"{problems[0].sentence} ({more} more {'problem' if more == 1 else 'problems'})"


def _problem(
    code: str, field: str, value: str | None, what: str, *, entity: str | None = None
) -> Problem:
    """Build a problem whose sentence is ``field 'value' what``, secrets left out."""
    last = _LAST_NAME.search(field)
    if value is not None and last is not None and is_secret(last.group(1)):
        value = None
    shown = None if value is None else value[:VALUE_LIMIT]
    subject = field if shown is None else f"{field} '{shown}'"
    of = "" if entity is None else f" (of {entity})"
    return Problem(code, field, shown, entity, f"{subject}{of} {what}.")


def required(field: str, *, entity: str | None = None) -> Problem:
    """An element that must have a value has none."""
    return _problem("required", field, None, "is required and must not be blank", entity=entity)


def too_long(field: str, value: str, limit: int) -> Problem:
    """A text has more characters than its column holds."""
    return _problem(
        "tooLong", field, value, f"is too long: {len(value)} characters, at most {limit} are kept"
    )


def invalid_value(
    field: str, value: str | None, reason: str, *, entity: str | None = None
) -> Problem:
    """A value that its type or rule does not allow; ``reason`` continues the sentence."""
    return _problem("invalidValue", field, value, reason, entity=entity)


def unknown_element(field: str, name: str, type_name: str) -> Problem:
    """An element that the type does not have."""
    return _problem("unknownElement", field, None, f"is unknown: {type_name} has no {name}")


def unknown_property(field: str, name: str, type_name: str) -> Problem:
    """An edit of a property that the type does not have."""
    return _problem("unknownProperty", field, name, f"is not a property of {type_name}")


def read_only_property(field: str, value: str | None, *, entity: str | None = None) -> Problem:
    """An edit of a property that never changes."""
    return _problem("readOnlyProperty", field, value, "cannot be changed by an edit", entity=entity)


def name_in_use(field: str, value: str, owner: str, *, entity: str | None = None) -> Problem:
    """A user name, alias or name that something else has; ``owner`` says what."""
    return _problem("nameInUse", field, value, f"is already in use by {owner}", entity=entity)


def extension_in_use(field: str, value: str, owner: str, *, entity: str | None = None) -> Problem:
    """An extension that something else has; ``owner`` says what."""
    return _problem("extensionInUse", field, value, f"is already in use by {owner}", entity=entity)


def reserved_name(field: str, value: str) -> Problem:
    """A name or extension that the system keeps for itself."""
    return _problem("reservedName", field, value, "is reserved")


def duplicate_permission(field: str, value: str, *, entity: str | None = None) -> Problem:
    """A label that another permission has, or the name of a built-in one."""
    return _problem(
        "duplicatePermission", field, value, "is already the label of a permission", entity=entity
    )


def duplicate_serial_number(
    field: str, value: str, owner: str = "a phone", *, entity: str | None = None
) -> Problem:
    """A serial number that is another phone's; ``owner`` says whose."""
    what = f"already belongs to {owner}"
    return _problem("duplicateSerialNumber", field, value, what, entity=entity)


def duplicate_profile_file(
    field: str, value: str, owner: str, *, entity: str | None = None
) -> Problem:
    """A serial number with the profile file of another phone; ``owner`` is that one's number."""
    what = f"would share its profile file with the phone {owner}"
    return _problem("duplicateSerialNumber", field, value, what, entity=entity)


def invalid_serial_number(
    field: str, value: str, model: str, *, entity: str | None = None
) -> Problem:
    """A serial number that the model does not have."""
    return _problem(
        "invalidSerialNumber",
        field,
        value,
        f"is not a serial number of a {model}",
        entity=entity,
    )


def unknown_model(field: str, value: str, suggestions: Sequence[str] = ()) -> Problem:
    """A modelId that is not in the table of models, and those that it may mean."""
    hint = f"; perhaps {' or '.join(suggestions)} is meant" if suggestions else ""
    return _problem("unknownModel", field, value, f"is not a known phone model{hint}")


def unknown_device_version(field: str, value: str) -> Problem:
    """A deviceVersion that is not in the table of models."""
    return _problem("unknownDeviceVersion", field, value, "is not a known device version")


def too_many_lines(
    field: str, count: int, limit: int, model: str, *, entity: str | None = None
) -> Problem:
    """More lines than the model has."""
    return _problem(
        "tooManyLines",
        field,
        None,
        f"would make {count} lines: a {model} has at most {limit}",
        entity=entity,
    )


def unknown_user(field: str, value: str) -> Problem:
    """A userName that no user has."""
    return _problem("unknownUser", field, value, "is not the userName of a user")


def unknown_permission(field: str, value: str) -> Problem:
    """A permission name that does not exist."""
    return _problem("unknownPermission", field, value, "is not the name of a permission")


def unknown_ring_type(field: str, value: str) -> Problem:
    """A ring type other than delayed and immediate."""
    return _problem("unknownRingType", field, value, "is not a ring type: delayed or immediate")


def protected_user(field: str, entity: str, what: str, value: str | None = None) -> Problem:
    """Something that the built-in administrator does not allow."""
    return _problem("protectedUser", field, value, what, entity=entity)


def outcome_unknown() -> Problem:
    """The database was lost inside COMMIT, and nobody could say in time what became of it."""
    return Problem(
        "outcomeUnknown",
        None,
        None,
        None,
        "The database was lost at the end of the change, and it is not known whether the change "
        "was made. Look before you send it again.",
    )
