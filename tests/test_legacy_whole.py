"""Whole systems of three generations, with every oddity at once (docs/spec/migration.md)."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap.domain.phone_tables import phones
from sipxconfig_soap.jobs import snapshots
from sipxconfig_soap.jobs.worker import provisioning_settings
from sipxconfig_soap.legacy import source, staging
from sipxconfig_soap.legacy.importer import Options, prepare
from sipxconfig_soap.legacy.report import write_json
from sipxconfig_soap.legacy.source import open_source
from sipxconfig_soap.provisioning.profiles import render
from tests.support.legacy import LAST_TOKENS, NEWEST, OLDEST, token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.settings import Settings
    from tests.support.imports import Importer
    from tests.support.legacy import Legacy
    from tests.support.system import System

    Make = Callable[..., Legacy]

MANY = 300
GROWTH = 400_000
"""Bytes that 1200 users more may take; their names and aliases alone are more."""


def pin(old: Legacy, number: int) -> str:
    """A PIN as the release keeps it: every tenth empty, and some tokens beside clear ones."""
    if number % 10 == 0:
        return ""
    if old.version == NEWEST and number % 7:
        return f"pin{number}"
    return token(str(number), f"pin{number}")


def fill(old: Legacy, many: int) -> None:
    """Users 10000, 10001, … with a phone each, all in the same order."""
    numbers = range(10_000, 10_000 + many)
    groups = [old.group(f"group {n}", weight=100 - n) for n in range(20)]
    phone_groups = [old.group(f"phones {n}", "phone", weight=n) for n in range(5)]
    old.rows("value_storage", [{"value_storage_id": n} for n in numbers])
    old.rows(
        "users",
        [
            {
                "user_id": n,
                "user_name": str(n),
                "first_name": f"Jürg {n}",
                "last_name": None if n % 9 == 0 else "Δοκιμή",
                "pintoken": pin(old, n),
                "sip_password": None if n % 50 == 0 else f"secret{n}",
                "user_type": None if n % 2 else "C",
                "value_storage_id": n,
            }
            for n in numbers
        ],
    )
    old.rows(
        "user_alias",
        [{"user_id": n, "alias": f"hunt{n}" if n % 20 == 0 else f"a.{n}"} for n in numbers],
    )
    old.rows("user_group", [{"user_id": n, "group_id": groups[n % 20]} for n in numbers])
    value = "permission/call-handling/"
    names = ("LocalDialing", "perm_5", "perm_99999", "Mobile")
    settings = [
        {"value_storage_id": n, "path": f"{value}{names[n % 4]}", "value": "DISABLE"}
        for n in numbers
    ]
    old.rows("setting_value", settings)
    old.rows(
        "permission",
        [
            {"permission_id": n, "label": f"label {n % 40}", "default_value": bool(n % 2)}
            for n in range(1, 51)
        ],
    )
    old.rows(
        "call_group",
        [
            {"call_group_id": n, "name": f"hunt {n}", "extension": f"hunt{n}", "enabled": True}
            for n in numbers
        ],
    )
    types = ("If no response", "At the same time", None)
    old.rows(
        "user_ring",
        [
            {
                "user_ring_id": n,
                "position": n % 3,
                "expiration": n % 5 * 10,
                "ring_type": types[n % 3],
                "call_group_id": n,
                "user_id": n,
            }
            for n in numbers
        ],
    )
    old.park_orbit(None, orbit_type="H")
    for n in range(50):
        old.park_orbit(f"orbit {n}", f"70{n}")
    models = ("polycom331", "snom300", "7960", "polycom650", "unheardOf")
    old.rows(
        "phone",
        [
            {
                "phone_id": n,
                "serial_number": f"0004f2{n:06x}",
                "model_id": models[n % 5],
                "value_storage_id": None,
            }
            for n in numbers
        ],
    )
    old.rows("phone_group", [{"phone_id": n, "group_id": phone_groups[n % 5]} for n in numbers])
    lines = [
        {"line_id": n * 10 + k, "phone_id": n, "position": 5 - k * 2, "user_id": user}
        for n in numbers
        for k, user in enumerate((n, 10_000))
    ]
    old.rows("line", lines)
    external = [
        {"line_id": n * 10 + 5, "phone_id": n, "position": None, "value_storage_id": n}
        for n in numbers
    ]
    old.rows("line", external)
    paths = {"line/user_name": "300", "line/user_host": "sip.example.net"}
    of_snom = [n for n in numbers if n % 5 == 1]
    for path, text in paths.items():
        rows = [{"value_storage_id": n, "path": path, "value": text} for n in of_snom]
        old.rows("setting_value", rows)


@pytest.mark.parametrize("version", [OLDEST, LAST_TOKENS, NEWEST])
def test_a_whole_system_moves(
    system: System, importer: Importer, make_legacy: Make, version: int
) -> None:
    old = make_legacy(version)
    fill(old, MANY)
    outcome = importer.run(old)
    assert {kind: outcome.counts(kind) for kind in outcome.report["kinds"]} == {
        "branches": (0, 0, 0, 0),
        "user groups": (20, 20, 0, 0),
        "phone groups": (5, 5, 0, 0),
        "custom permissions": (50, 50, 10, 0),
        "users": (MANY, MANY, 30, 0),
        "aliases": (MANY, 285, 0, 15),
        "user profiles": (0, 0, 0, 0),
        "memberships": (2 * MANY, 540, 0, 60),
        "permission values": (225, 225, 0, 0),
        "call groups": (MANY, MANY, 0, 0),
        "rings": (MANY, 200, 0, 100),
        "park orbits": (50, 50, 0, 0),
        "phones": (MANY, 240, 180, 60),
        "lines": (3 * MANY, 540, 0, 360),
    }
    assert len(system.user_names()) == MANY + 1
    assert len(system.serials()) == 240
    assert len(system.do("getCallGroups")) == MANY
    assert len(system.do("getParkOrbits")) == 50
    assert system.jobs() == [("profiles", serial) for serial in system.serials()]
    user = system.user("10003")
    assert user["groups"] == ["group 3"]
    assert user["aliases"] == ["a.10003"]
    assert "Mobile" not in user["permissions"]
    assert "LocalDialing" not in system.user("10004")["permissions"]
    for number in (10_001, 10_003, 10_007, 10_010):
        status = system.log_in(str(number), f"pin{number}")
        assert status == (401 if number % 10 == 0 else 403)


def contents(system: System, settings: Settings) -> Iterator[tuple[str, str]]:
    """The serial number and the profile of every phone."""
    with system.database.engine.connect() as connection:
        for serial in connection.execute(sa.select(phones.c.serial_number)).scalars().all():
            snapshot = snapshots.by_serial(connection, serial)
            assert snapshot is not None
            for file in render(snapshot, provisioning_settings(settings)):
                yield serial, file.content.decode()


def test_phones_get_the_profiles_that_their_lines_say(
    system: System, importer: Importer, make_legacy: Make, settings: Settings
) -> None:
    old = make_legacy()
    fill(old, 10)
    importer.run(old)
    written: dict[str, str] = {}
    for serial, content in contents(system, settings):
        written[serial] = written.get(serial, "") + content
    assert len(written) == 8
    # A Polycom 331 has two lines; that of user 10000 is the first by its position.
    one = written[f"0004f2{10_005:06x}"]
    assert one.index('="10000"') < one.index('="10005"')
    assert 'reg.1.auth.password="secret10005"' not in one
    assert "secret10005" in one
    # A Snom with an external line beside the two.
    snom = written[f"0004f2{10_001:06x}"]
    assert "sip.example.net" in snom
    assert snom.index(">10000<") < snom.index(">10001<") < snom.index(">300<")


def test_memory_does_not_grow_with_the_system(
    importer: Importer, make_legacy: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is read at once; so some hundred users are many.
    monkeypatch.setattr(source, "PIECE", 100)
    monkeypatch.setattr(staging, "PIECE", 100)
    old = make_legacy()
    fill(old, 10)
    peaks: list[int] = []
    for first, many in {20_000: 300, 30_000: 1200}.items():
        add_users(old, first, many)
        tracemalloc.start()
        with (
            open_source(old.url) as opened,
            importer.database.engine.connect() as connection,
            Path(os.devnull).open("w") as nowhere,
        ):
            found = prepare(opened, connection, importer.settings, Options(), importer.quiet)
            write_json(found.report, found.run, nowhere)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < GROWTH, peaks


def add_users(old: Legacy, first: int, many: int) -> None:
    """Many users more, with something to be told of each."""
    numbers = range(first, first + many)
    row: dict[str, Any] = {"first_name": "x" * 200, "pintoken": "", "sip_password": None}
    old.rows("users", [row | {"user_id": n, "user_name": str(n)} for n in numbers])
    old.rows("user_alias", [{"user_id": n, "alias": f"{'y' * 200}{n}"} for n in numbers])
