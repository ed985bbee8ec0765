"""The table of phone models, which is data of the program (phones.md §1).

It is loaded once, when this module is imported, and never changes.
"""

from __future__ import annotations

import csv
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
_MAC = re.compile("[0-9a-f]{12}")
_NOT_IN_MAC = str.maketrans("", "", "-:." + WHITE_SPACE)


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
        cleaned = _clean_mac(text) if self.is_mac else trim(text)
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


def clean_search(text: str) -> tuple[str, ...]:
    """The stored forms that a searched serial number may mean (services.md §6).

    The number of a phone keeps its case or is a MAC address, which the text alone does not tell:
    first the trimmed text, then the cleaned MAC address if it is another text.
    """
    as_sent, mac = trim(text), _clean_mac(text)
    if _MAC.fullmatch(mac) and mac != as_sent:
        return as_sent, mac
    return (as_sent,)


def _clean_mac(text: str) -> str:
    return (text if text.isalnum() else text.translate(_NOT_IN_MAC)).lower()


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


def _by_id(model_id: str) -> Model:
    return MODELS[model_id]


DEVICE_VERSIONS: frozenset[str] = frozenset(
    version for model in MODELS.values() for version in model.versions
)
"""Every ``deviceVersion`` that is accepted, for any model."""
