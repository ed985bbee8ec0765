"""User profiles of 4.6 and later, from an export of MongoDB (docs/spec/migration.md §7)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.legacy.source import SourceError
from tests.support.legacy import LAST_TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.imports import Importer
    from tests.support.legacy import Legacy
    from tests.support.system import System

    Make = Callable[..., Legacy]


def profile(number: int, name: str, **fields: Any) -> str:
    return json.dumps({"_id": str(number), "m_userName": name, **fields})


def test_addresses_come_from_the_export_of_mongodb(
    system: System, importer: Importer, make_legacy: Make, tmp_path: Path
) -> None:
    old = make_legacy()
    numbers = {name: old.user(name) for name in ("200", "201", "202", "203", "superadmin")}
    file = tmp_path / "profiles.json"
    lines = [
        profile(numbers["200"], "200", m_emailAddress="a@example.com", m_imId="a"),
        "",
        profile(numbers["201"], "201", m_emailAddress="wrong", m_enabled=False),
        profile(numbers["202"], "someone", m_emailAddress="b@example.com"),
        profile(numbers["superadmin"], "superadmin", m_enabled=False),
        json.dumps({"_id": {"$numberInt": str(numbers["203"])}, "m_emailAddress": "c@example.com"}),
        profile(77, "gone"),
    ]
    file.write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    outcome = importer.run(old, mongo_export=file)
    assert outcome.counts("user profiles") == (6, 4, 1, 2)
    addresses = {name: system.user(name).get("emailAddress") for name in ("200", "202", "203")}
    assert addresses == {"200": "a@example.com", "202": None, "203": "c@example.com"}
    assert outcome.found("users") == [
        ("202", "otherUser", "emailAddress"),
        ("201", "disabled", "pin"),
    ]
    assert outcome.report["no_place"]["m_imId of user profiles"] == 1
    assert not any("MongoDB" in each for each in outcome.report["warnings"])
    assert system.log_in("200", "4711") == 403
    assert system.log_in("201", "4711") == 401
    assert system.log_in("superadmin", "1234") == 200


@pytest.mark.parametrize(
    "content",
    [
        b"[\n",
        b"[" * 100_000,
        b'[{"_id": "1"}]',
        b'{"_id": "1"',
        b'{"name": 1}',
        b'{"_id": "x"}',
        b'"',
        b"\xff",
    ],
)
def test_what_is_no_export_of_mongodb_is_refused(
    system: System, importer: Importer, make_legacy: Make, tmp_path: Path, content: bytes
) -> None:
    old = make_legacy()
    old.user("200")
    file = tmp_path / "profiles.json"
    file.write_bytes(content)
    before = system.dump()
    with pytest.raises(SourceError, match=r"profiles\.json cannot be read: "):
        importer.run(old, mongo_export=file)
    assert system.dump() == before


def test_an_export_of_mongodb_is_of_no_use_before_4_6(
    importer: Importer, make_legacy: Make, tmp_path: Path
) -> None:
    file = tmp_path / "profiles.json"
    file.touch()
    with pytest.raises(SourceError, match="leave out --mongo-export"):
        importer.run(make_legacy(LAST_TOKENS), mongo_export=file)
