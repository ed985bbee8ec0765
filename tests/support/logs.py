"""What a test's code has logged, as the server would print it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipxconfig_soap import logs

if TYPE_CHECKING:
    import pytest


def printed(caplog: pytest.LogCaptureFixture) -> str:
    """The lines of all records, their fields included."""
    formatter = logs.formatter("logfmt")
    return "\n".join(formatter.format(record) for record in caplog.records)


def events(caplog: pytest.LogCaptureFixture, name: str | None = None) -> list[dict[str, Any]]:
    """Our own events, or those of one name, with all their fields."""
    found = [each.msg.event for each in caplog.records if isinstance(each.msg, logs.Line)]
    return [event for event in found if name in (None, event["event"])]
