"""What a test's code has logged, as the server would print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipxconfig_soap.logs import LineFormatter

if TYPE_CHECKING:
    import pytest


def printed(caplog: pytest.LogCaptureFixture) -> str:
    """The lines of all records, their fields included."""
    formatter = LineFormatter()
    return "\n".join(formatter.format(record) for record in caplog.records)
