"""What an import does: numbers for each kind, and every row that is changed or refused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sipxconfig_soap.domain.pool import ALIAS
from sipxconfig_soap.legacy import pins, staging
from sipxconfig_soap.legacy.staging import CHANGED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from sipxconfig_soap.legacy.run import Run

KINDS: dict[str, tuple[sa.Table, *tuple[sa.ColumnElement[bool], ...]]] = {
    "branches": (staging.branches,),
    "user groups": (staging.groups, staging.groups.c.kind == "user"),
    "phone groups": (staging.groups, staging.groups.c.kind == "phone"),
    "custom permissions": (staging.permissions,),
    "users": (staging.users,),
    "aliases": (staging.names, staging.names.c.kind == ALIAS),
    "user profiles": (staging.profiles,),
    "memberships": (staging.members,),
    "permission values": (staging.values,),
    "call groups": (staging.call_groups,),
    "rings": (staging.rings,),
    "park orbits": (staging.park_orbits,),
    "phones": (staging.phones,),
    "lines": (staging.lines,),
}
"""The kinds of data, and where the rows are that are taken over."""

_COLUMNS = ("kind", "verdict", "id", "name", "code", "field", "sentence")


@dataclass(slots=True)
class Counts:
    """Numbers of one kind: rows of the source, taken over, of these changed, and the rest."""

    read: int
    taken: int
    changed: int
    refused: int


@dataclass(slots=True)
class Report:
    """What became, or would become, of everything.

    Attributes:
        source: what the source is: release, schema version, domain, realm.
        warnings: sentences on what should be seen to first.
        kinds: numbers by kind.
        no_place: how many there are of what cannot be kept, by its name.
        pins: how many users have a PIN of which form in the source.
        applied: whether it has been done.
    """

    source: dict[str, Any]
    warnings: list[str]
    kinds: dict[str, Counts]
    no_place: dict[str, int]
    pins: dict[str, int]
    applied: bool = False


def made(run: Run, warnings: list[str]) -> Report:
    """The report of an import whose conflicts are settled."""
    found, kept = staging.findings, run.staging
    kept.flush()
    kinds = {}
    for kind, (table, *where) in KINDS.items():
        taken, read = kept.count(table, *where), kept.read[kind]
        wanted = sa.select(sa.func.count(found.c.id.distinct())).where(
            found.c.kind == kind, found.c.verdict == CHANGED
        )
        changed = kept.connection.execute(wanted).scalar_one()
        kinds[kind] = Counts(read, taken, changed, read - taken)
    source = {
        "release": run.source.release,
        "schema": run.source.version,
        "domain": run.domain.name,
        "realm": run.domain.realm,
        "aliases": list(run.domain.aliases),
    }
    no_place = {name: number for name, number in sorted(kept.no_place.items()) if number}
    return Report(source, warnings, kinds, no_place, pins.count(run))


@dataclass(frozen=True, slots=True)
class Summary:
    """Rows to which the same thing happened: how many, and the first of them."""

    kind: str
    verdict: str
    code: str
    number: int
    rows: list[sa.Row[Any]]


def summaries(run: Run, limit: int) -> Iterator[Summary]:
    """What happened to rows, refusals first, with so many rows of each at most."""
    found, connection = staging.findings, run.staging.connection
    grouped = (found.c.kind, found.c.verdict, found.c.code)
    first = sa.func.min(found.c.number)
    wanted = sa.select(*grouped, sa.func.count()).group_by(*grouped)
    for kind, verdict, code, number in connection.execute(
        wanted.order_by(found.c.verdict.desc(), first)
    ).all():
        same = (found.c.kind == kind, found.c.verdict == verdict, found.c.code == code)
        rows = sa.select(found).where(*same).order_by(found.c.number).limit(limit)
        yield Summary(kind, verdict, code, number, list(connection.execute(rows)))


def write_json(report: Report, run: Run, file: IO[str]) -> None:
    """Write everything as one JSON object; ``findings`` has each row on a line of its own."""
    file.write(json.dumps(asdict(report))[:-1] + ', "findings": [')
    found = staging.findings
    wanted = sa.select(*(found.c[name] for name in _COLUMNS)).order_by(found.c.number)
    separator = "\n"
    for piece in run.staging.rows(wanted):
        for row in piece:
            file.write(separator + json.dumps(row._asdict()))
            separator = ",\n"
    file.write("\n]}\n")
