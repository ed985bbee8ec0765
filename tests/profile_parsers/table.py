"""What a family's file must hold, in terms of docs/spec/phones.md §3."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Expected:
    """What a line must show."""

    user: str
    auth: str
    password: str
    host: str
    port: str
    name: str
    voice: str
    realm: str
    label: str | None = None

    @property
    def values(self) -> dict[str, str]:
        server = f"{self.host}:{self.port}" if self.port else self.host
        made = {
            "vs": f"{self.voice}@{server}",
            "speed": f"speed {self.voice}",
            "check": f"sip:{self.voice}@{self.host}",
        }
        if not self.voice:
            made = dict.fromkeys(made, "")
        return {
            **self.__dict__,
            **made,
            "server": server,
            # Where the file always has a port.
            "sip_port": self.port or "5060",
        }


NOBODY = Expected("", "", "", "", "", "", "", "")


@dataclass(frozen=True)
class Table:
    """Keys of a family's file.

    A key with ``{port}`` in its value is there when there is a port. ``lines`` counts those that
    the phone has, and ``any`` tells whether it has some. Names and labels longer than these are
    cut.
    """

    parse: Callable[[bytes], dict[str, str]]
    line: Mapping[str, str] = field(default_factory=dict)
    unused: Mapping[str, str] = field(default_factory=dict)
    phone: Mapping[str, str] = field(default_factory=dict)
    first: Mapping[str, str] | None = None
    first_unused: Mapping[str, str] | None = None
    one_server: bool = False
    home_server: bool = False
    apostrophes: bool = False
    instrument: bool = False
    codes: tuple[object, ...] = ()
    longest_name: int | None = None
    longest_label: int | None = None
    in_bytes: bool = False

    def keys(self, model_lines: int, found: list[Expected]) -> dict[str, str]:
        """All that the file must hold."""
        head = found[0] if found else NOBODY
        counts = {"{lines}": str(len(found)), "{any}": str(int(bool(found)))}
        phone = {key: counts.get(value, value) for key, value in self.phone.items()}
        result = self._fill(phone, 1, head)
        for number in range(1, model_lines + 1):
            used = number <= len(found)
            keys = self.line if used else self.unused
            special = self.first if used else self.first_unused
            if number == 1 and special is not None:
                keys = special
            result |= self._fill(keys, number, found[number - 1] if used else NOBODY)
        return result

    def _fill(self, keys: Mapping[str, str], number: int, line: Expected) -> dict[str, str]:
        code = self.codes[number - 1] if self.codes else ""
        names = {"N": number, "Z": number - 1, "NN": f"{number:02d}", "K": code, **line.values}
        names["name"] = self._cut(line.name, self.longest_name)
        label = line.user if line.label is None else line.label
        names["label"] = self._cut(label, self.longest_label)
        # P codes are counted on from the one of line 1.
        for base in (4060, 4090, 4120, 4150):
            names[f"P{base}"] = base + number - 1
        names["PNAME"] = 4180 + number - 1 if number <= 20 else 4252 + number - 21
        return {
            key.format(**names): value.format(**names)
            for key, value in keys.items()
            if line.port or "{port}" not in value
        }

    def _cut(self, text: str, longest: int | None) -> str:
        """What is shown of a name."""
        if longest is None:
            return text
        if self.in_bytes:
            start = text.encode("utf-8", "ignore")[:longest].decode("utf-8", "ignore")
        else:
            start = text[:longest]
        return text if start == text else start.rstrip(" ")


def prefixed(prefix: str, keys: Mapping[str, str]) -> dict[str, str]:
    return {prefix + key: value for key, value in keys.items()}
