"""The page of a phone whose profile comes from own templates (docs/spec/wire.md §8)."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.provisioning.bounded import Bounded
from tests.support.pages import Visitor
from tests.support.system import MAC, System
from tests.support.templates import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.client import Client
    from tests.support.soap import Soap

PHONES = "/sipxconfig/phones"
OTHER = "0004f2000002"
HUGE = "{% set n = lines|length * 10**9 %}{{ 'a' * n }}"


@pytest.fixture
def visitor(
    make_client: Callable[..., Client], soap: Soap, database: Database, tmp_path: Path
) -> Visitor:
    """Somebody who looks at two phones of a family."""
    system = System(soap, database)
    system.add_users("201")
    for serial in (MAC, OTHER):
        system.add_phone(serial, "aastra53i", lines=[{"userId": "201"}])
    return Visitor(make_client(profile_templates=str(tmp_path / "templates")))


def test_what_takes_too_much_is_not_tried_at_every_look(
    visitor: Visitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    call = Bounded.call

    def counted(self: Bounded, *args: Any, **kwargs: Any) -> Any:
        calls.append(self)
        return call(self, *args, **kwargs)

    monkeypatch.setattr(Bounded, "call", counted)
    write(tmp_path / "templates", "family/aastra.j2", HUGE)
    for serial in (MAC, MAC, OTHER):
        (sentence,) = visitor.get(f"{PHONES}/{serial}").texts("//p[@class='problems']")
        assert sentence.startswith("The profile cannot be written: family/aastra.j2")
    assert len(calls) == 1


def test_who_looks_at_the_same_time_sees_his_own_phone(visitor: Visitor, tmp_path: Path) -> None:
    write(tmp_path / "templates", "family/aastra.j2", "this is {{ serial }}\n")
    serials = [MAC, OTHER] * 10
    with ThreadPoolExecutor(4) as threads:
        pages = list(threads.map(lambda serial: visitor.get(f"{PHONES}/{serial}"), serials))
    assert [page.text("//pre[1]") for page in pages] == [f"this is {each}\n" for each in serials]


def test_a_server_loads_nothing_of_the_worker() -> None:
    names = "m for m in sys.modules if m.endswith(('jobs.worker', 'provisioning.notify'))"
    script = f"import sys, sipxconfig_soap.web.app; print([{names}])"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "[]\n"
