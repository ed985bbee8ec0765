"""The table of phone models, which is data of the program (phones.md §1).

It is loaded once, when this module is imported, and never changes.
"""

from __future__ import annotations

import csv
import difflib
import re
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from sipxconfig_soap.values import WHITE_SPACE, trim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_SERIAL = 64
"""Characters of a serial number that is no MAC address (services.md §6)."""

_MAC_PATTERN = r"^[a-f\d]{12}$"
_SEPARATORS = str.maketrans("", "", "-:." + WHITE_SPACE)

_RENAMED = {
    "ciscoIp7960": "cisco7960",
    "gsPhoneBt": "gsPhoneBt100",
    "gsPhoneGxp": "gsPhoneGxp1200",
    "nortel-1210": "avaya-1210",
    "nortel-1220": "avaya-1220",
    "nortel-1230": "avaya-1230",
    "nortel12x0PhoneStandard": "avaya-1230",
    "unmanagedPhone": "acmePhoneStandard",
    "yealinkPhoneVP49G": "yealinkPhoneSIPT49G",
}
"""What old releases of sipXconfig called models, and their ids since."""

_MOST_SUGGESTED = 3
"""Models that are worth naming when none is certain."""

_VENDORS = ("cisco", "gs", "hitachi", "polycom", "snom")
"""What still older ids lack."""


class RestartTarget(Enum):
    """Which address a restart is sent to (phones.md §4); the values are those of the table."""

    MAC_AOR = "mac-aor"
    FIRST_LINE = "first-line"
    FIRST_LINE_ELSE_MAC_AOR = "first-line, falls back to mac-aor"


SHARED_FILES: Mapping[str, str] = MappingProxyType(
    {"ciscoIp": "syncinfo.xml", "nt1535": "1.0/0.1.90S/sysconf_2890d_sip.cfg"}
)
"""The files, by family, that are the same for all its phones, relative to the profile root."""

_NO_RESTART = {
    "ciscoplusPhone": (
        "it takes a restart only with the Call-ID of its own registration, which only the "
        "registrar knows"
    )
}
"""Why phones of a family cannot be restarted, where more is known than that they cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One row of the table.

    Attributes:
        model_id: the ``modelId`` on the wire, exact.
        label: the name for people.
        vendor: who makes it; empty where the table does not say.
        family: which profile writer serves it.
        max_lines: how many lines it has.
        max_lines_by_version: device versions with another number of lines.
        serial_pattern: what a whole cleaned serial number matches.
        default_version: the ``deviceVersion`` of a phone that is given none.
        versions: the versions that exist for it; any of the whole table is accepted all the same.
        profile_file: the file the phone fetches, with placeholders; see `profile_path`.
        restart_supported: whether it can be told to restart.
        restart_target: where that is sent; None when it cannot.
        external_lines_supported: for information; external lines are never refused for it.
        documented: whether sipXconfig's documentation lists the id.
        same_as: the model that this id is another name of.
    """

    model_id: str
    label: str
    vendor: str
    family: str
    max_lines: int
    max_lines_by_version: Mapping[str, int]
    serial_pattern: re.Pattern[str]
    default_version: str | None
    versions: tuple[str, ...]
    profile_file: str
    restart_supported: bool
    restart_target: RestartTarget | None
    external_lines_supported: bool
    documented: bool
    same_as: str | None

    def __reduce__(self) -> tuple[Callable[[str], Model], tuple[str]]:
        """For the way from one process to another, which has the table too."""
        return _by_id, (self.model_id,)

    @property
    def is_mac(self) -> bool:
        """Whether its serial number is a MAC address: twelve hex digits."""
        return self.serial_pattern.pattern == _MAC_PATTERN

    @property
    def no_restart(self) -> str:
        """Why it cannot be restarted: a clause for the job."""
        why = _NO_RESTART.get(self.family)
        about = f"the model {self.model_id} cannot be restarted from here"
        return about if why is None else f"{about}: {why}"

    def clean_serial(self, text: str) -> str | None:
        """The form in which a serial number is stored; None when it is none of this model's.

        services.md §6: a MAC address is lower case without ``- : .`` and white space; others are
        trimmed, keep their case, and have at most 64 characters.
        """
        cleaned = cleaned_serial(text) if self.is_mac else trim(text)
        if len(cleaned) > MAX_SERIAL or not self.serial_pattern.fullmatch(cleaned):
            return None
        # It is that of no phone (phones.md §3).
        return None if self.profile_path(cleaned) in SHARED_FILES.values() else cleaned

    def max_lines_for(self, version: str | None) -> int:
        """How many lines a phone with this ``deviceVersion`` has."""
        if version is None:
            return self.max_lines
        return self.max_lines_by_version.get(version, self.max_lines)

    def profile_path(self, serial: str) -> str:
        """The file that the phone fetches, relative to the profile root (phones.md §1).

        Args:
            serial: as stored, so as `clean_serial` returns it.
        """
        return self.profile_file.format(
            mac=serial.lower(),
            MAC=serial.upper(),
            mac6=serial[-6:].lower(),
            serial=serial,
            SERIAL=serial.upper(),
        )

    def profile_paths(self, serial: str) -> tuple[str, ...]:
        """All files that are written for a phone, first the one that is shown of them.

        A Polycom phone fetches the second one, which names the first. An Avaya 12xx fetches the
        second one, for the lines of a Nortel, with newer software.

        Args:
            serial: as stored.
        """
        fetched = self.profile_path(serial)
        if self.family == "polycom":
            return f"{serial}-sipx-phone.cfg", fetched
        if self.family == "nortel12x0":
            return fetched, f"SIP{serial.upper()}.cfg"
        return (fetched,)


def cleaned_serial(text: str) -> str:
    """The form in which serial numbers of all models are compared (services.md §6).

    Stored ones have letters and digits of ASCII only, so of them it is their lower case.
    """
    return text.translate(_SEPARATORS).lower()


def renamed(model_id: str) -> tuple[str, ...]:
    """Which models were called so by an old release, or are called so but for the case.

    An old id without its vendor may mean phones of two.
    """
    small = model_id.lower()
    names = (small, *(vendor + small for vendor in _VENDORS))
    return tuple(dict.fromkeys(_NAMES[name] for name in names if name in _NAMES))


def suggestions(model_id: str) -> tuple[str, ...]:
    """Which models an unknown ``modelId`` may mean; none rather than many.

    They are those that were called so, else those that begin so, else the nearest. The name of a
    vendor means none of its models, if there are more than a few.
    """
    small, ids = model_id.lower(), [name.lower() for name in MODELS]
    begun = [name for name in ids if small and name.startswith(small)]
    found = renamed(model_id) or tuple(_NAMES[name] for name in begun or _nearest(small, ids))
    return found if len(found) <= _MOST_SUGGESTED else ()


def _nearest(text: str, names: list[str]) -> list[str]:
    """The name that is nearest to a text, or all that are equally near."""
    found = difflib.get_close_matches(text, names, n=_MOST_SUGGESTED + 1)
    near = [difflib.SequenceMatcher(None, name, text).ratio() for name in found]
    return [name for name, ratio in zip(found, near, strict=True) if ratio == near[0]]


def _load() -> Iterator[tuple[str, Model]]:
    table = resources.files(__package__).joinpath("phone_models.csv")
    for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines()):
        model = _model(row)
        yield model.model_id, model


def _model(row: Mapping[str, str]) -> Model:
    target = row["restart_target"]
    return Model(
        model_id=row["model_id"],
        label=row["label"],
        vendor=row["vendor"],
        family=row["family"],
        max_lines=int(row["max_lines"]),
        max_lines_by_version=MappingProxyType(_limits(row["max_lines_by_version"])),
        # ASCII: the digits of other scripts are no serial number, nor a safe file name.
        serial_pattern=re.compile(row["serial_pattern"], re.ASCII),
        default_version=row["default_version"] or None,
        versions=_members(row["versions"]),
        profile_file=row["profile_file"],
        restart_supported=row["restart_supported"] == "true",
        restart_target=RestartTarget(target) if target else None,
        external_lines_supported=row["external_lines_supported"] == "true",
        documented=row["documented"] == "yes",
        same_as=row["same_as"] or None,
    )


def _members(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(";")))


def _limits(text: str) -> dict[str, int]:
    pairs = (member.split("=", 1) for member in _members(text))
    return {version: int(limit) for version, limit in pairs}


MODELS: Mapping[str, Model] = MappingProxyType(dict(_load()))
"""All models by ``modelId``, in the order of the table."""

_NAMES = {name.lower(): name for name in MODELS} | {
    old.lower(): model_id for old, model_id in _RENAMED.items()
}
"""What a model may be called, in lower case, and its id."""


def _by_id(model_id: str) -> Model:
    return MODELS[model_id]


DEVICE_VERSIONS: frozenset[str] = frozenset(
    version for model in MODELS.values() for version in model.versions
)
"""Every ``deviceVersion`` that is accepted, for any model."""
