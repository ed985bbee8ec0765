"""Users of an old sipXconfig: names, PINs, groups, permissions (docs/spec/migration.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.imports import Importer
from tests.support.legacy import LAST_TOKENS, NEWEST, OLDEST
from tests.support.system import System

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.settings import Settings
    from tests.support.legacy import Legacy
    from tests.support.soap import Soap

GENERATIONS = pytest.mark.parametrize("version", [OLDEST, LAST_TOKENS, NEWEST])


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    return System(soap, database)


@pytest.fixture
def importer(database: Database, settings: Settings) -> Importer:
    return Importer(database, settings)


def log_in(system: System, name: str, pin: str) -> int:
    return system.soap.client.request("GET", "/sipxconfig/services/", auth=(name, pin)).status


@GENERATIONS
def test_users_come_with_all_that_is_theirs(
    system: System, importer: Importer, make_legacy: Callable[..., Legacy], version: int
) -> None:
    old = make_legacy(version)
    sales = old.group("sales", weight=2)
    admins = old.group("administrators", weight=1, permission__application__superadmin="ENABLE")
    old.user("superadmin", groups=[admins], first_name=None)
    more: dict[str, Any] = {}
    if version > OLDEST:
        old.row("branch", branch_id=7, name="Zürich")
        more["branch_id"] = 7
    old.user(
        *("200", "jürg.müller".replace("ü", "u"), "+41441234567"),
        groups=[sales],
        first_name="Jürg",
        last_name="Müller 𠮷",
        **more,
    )
    outcome = importer.run(old)
    assert outcome.counts("users") == (2, 2, 0, 0)
    user = system.soap.operation  # noqa: F841
    assert log_in(system, "superadmin", "4711") == 200
    assert log_in(system, "superadmin", "1234") == 401
    assert log_in(system, "200", "4711") == 403
