"""Finds what two servers answer differently, in bounded memory (docs/migration.md)."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from sipxconfig_soap.comparing.records import KINDS, SECRET, Kind, Record, host_of, shown_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.comparing.client import Server

OLD, NEW = "old", "new"

HIDDEN = "(secret)"
"""What is shown of a secret."""

_TABLE = (
    "CREATE TABLE entity (kind TEXT, key TEXT, side TEXT, record TEXT,"
    " PRIMARY KEY (kind, key, side)) WITHOUT ROWID"
)
_PAIRS = (
    "SELECT key, max(CASE side WHEN 'old' THEN record END), max(CASE side WHEN 'new' THEN record"
    " END) FROM entity WHERE kind = ? GROUP BY key ORDER BY key"
)


class Difference(NamedTuple):
    """Something that the servers answer differently.

    Attributes:
        kind: of entity, or ``domain``.
        name: of the entity.
        field: what of it; None for the entity itself, which one of them does not have.
        old: the old server's value; of an entity whether it is there.
        new: the new one's.
    """

    kind: str
    name: str
    field: str | None
    old: Any
    new: Any


class Comparison:
    """What two servers answer, in a temporary file without secrets; to be closed.

    Attributes:
        counts: how many entities of a kind a side has, by both.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        # Without a name SQLite makes a file of its own, which goes with the connection.
        self._store = sqlite3.connect("")
        self._store.execute(_TABLE)

    def close(self) -> None:
        """Remove the file."""
        self._store.close()

    def read(self, side: str, server: Server, advance: Callable[[], None]) -> None:
        """Ask a server for everything; ``advance`` is called for every entity.

        Raises:
            CannotAsk: it cannot be asked.
        """
        for kind in KINDS:
            for element in server.entities(kind.call):
                record = kind.read(element)
                row = (kind.name, record.pop(kind.key) or "", side, json.dumps(record))
                self._store.execute("INSERT OR REPLACE INTO entity VALUES (?, ?, ?, ?)", row)
                self.counts[kind.name, side] += 1
                advance()

    def differences(self) -> Iterator[Difference]:
        """All differences, by kind and name."""
        domains = {side: self._domain(side) for side in (OLD, NEW)}
        if None not in domains.values() and domains[OLD] != domains[NEW]:
            yield Difference("domain", str(domains[OLD]), "name", domains[OLD], domains[NEW])
        foreign: set[str] = set()
        for kind in KINDS:
            for key, old, new in self._pairs(kind):
                if old is None or new is None:
                    if (old or new or {}).get("builtIn") is True:
                        foreign.add(key)
                    else:
                        yield Difference(kind.name, key, None, old is not None, new is not None)
                elif kind.name == "phone":
                    shown = shown_lines(old, domains[OLD]), shown_lines(new, domains[NEW])
                    yield from _fields(kind, key, *shown)
                elif kind.name == "user":
                    kept = _without(old, foreign), _without(new, foreign)
                    yield from _fields(kind, key, *kept)
                else:
                    yield from _fields(kind, key, old, new)

    def _pairs(self, kind: Kind) -> Iterator[tuple[str, Record | None, Record | None]]:
        """The entities of a kind by name, each with its record on both sides."""
        for key, *pair in self._store.execute(_PAIRS, (kind.name,)):
            old, new = (None if each is None else json.loads(each) for each in pair)
            yield key, old, new

    def _domain(self, side: str) -> str | None:
        """The SIP domain of a server, which only newer ones tell: that of its users' lines."""
        hosts: Counter[str] = Counter()
        phones = "SELECT record FROM entity WHERE kind = 'phone' AND side = ?"
        user = "SELECT 1 FROM entity WHERE kind = 'user' AND key = ? AND side = ?"
        for (record,) in self._store.execute(phones, (side,)):
            for user_id, uri in json.loads(record)["lines"]:
                host = host_of(uri)
                if host is not None and self._store.execute(user, (user_id, side)).fetchone():
                    hosts[host] += 1
        return hosts.most_common(1)[0][0] if hosts else None


def _fields(kind: Kind, key: str, old: Record, new: Record) -> Iterator[Difference]:
    for field in dict.fromkeys([*old, *new]):
        values = old.get(field), new.get(field)
        if values[0] != values[1]:
            if field in SECRET:
                values = values[0] and HIDDEN, values[1] and HIDDEN
            yield Difference(kind.name, key, field, *values)


def _without(user: Record, foreign: set[str]) -> Record:
    """A user without permissions that are built in on one server only."""
    kept = [name for name in user["permissions"] if name not in foreign]
    return user | {"permissions": kept}
