"""Log lines: one per event, whatever a client sends."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGGER = logging.getLogger("sipxconfig_soap.test")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged from "info" up; the root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.setup("info", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_an_event_is_one_line_of_pairs(lines: io.StringIO) -> None:
    logs.event(LOGGER, logging.INFO, "call", service="UserService", status=200, ok=True, x=None)
    (line,) = lines.getvalue().splitlines()
    time, rest = line.split(" ", 1)
    assert time.startswith("time=2")
    assert time.endswith("Z")
    assert rest == (
        "level=info logger=sipxconfig_soap.test event=call service=UserService status=200 ok=true"
    )


@pytest.mark.parametrize("others", [0, 1])
def test_fields_that_are_known_from_before_stand_first(lines: io.StringIO, others: int) -> None:
    root = logging.getLogger()
    # Records are made only where somebody else listens, too.
    ours = [each for each in root.handlers if isinstance(each.formatter, logs.LineFormatter)]
    root.handlers[:] = [*ours, *([logging.NullHandler()] * others)]
    assert len(ours) == 1
    known = logs.known(user='a "b"\n', pin="s3cret", x=None)
    for status in (200, 404):
        logs.event(LOGGER, logging.INFO, "call", known, status=status)
        assert lines.getvalue().endswith(
            f' event=call user="a \\"b\\"\\n" pin=(secret) status={status}\n'
        )


def test_who_else_listens_gets_all_fields(
    lines: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    logs.event(LOGGER, logging.INFO, "call", logs.known(user="a"), status=200)
    assert lines.getvalue()
    (record,) = caplog.records
    assert vars(record)["sipxconfig_fields"] == {"user": "a", "status": 200}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a b", '"a b"'),
        ('say "x" \\', '"say \\"x\\" \\\\"'),
        ("a\r\nlevel=info event=forged", '"a\\r\\nlevel=info event=forged"'),
        ("\x1b[2J\x00\x7f\x9b", '"\\u001b[2J\\u0000\\u007f\\u009b"'),
        ("\u2028\u202e", '"\\u2028\\u202e"'),
        ("漢字", '"漢字"'),
        ("\ud800", '"\\ud800"'),
        ("", '""'),
        (["a", "b c"], '"a,b c"'),
    ],
)
def test_values_cannot_break_the_line(lines: io.StringIO, value: object, shown: str) -> None:
    logs.event(LOGGER, logging.INFO, "call", user=value)
    assert lines.getvalue().endswith(f" event=call user={shown}\n")


def test_messages_cannot_break_the_line_either(lines: io.StringIO) -> None:
    LOGGER.warning("user %s", "a\nb")
    assert 'level=warning logger=sipxconfig_soap.test event="user a\\nb"\n' in lines.getvalue()


def test_long_values_are_cut(lines: io.StringIO) -> None:
    logs.event(LOGGER, logging.INFO, "call", user="x" * 100_000)
    assert len(lines.getvalue()) < 3000


def test_a_traceback_stays_in_its_line(lines: io.StringIO) -> None:
    try:
        int("why")
    except ValueError:
        LOGGER.exception("failed")
    (line,) = lines.getvalue().splitlines()
    assert "ValueError: invalid literal" in line


@pytest.mark.parametrize("name", ["pin", "vmpin", "pintoken", "sipPassword", "Authorization"])
def test_fields_with_the_name_of_a_secret_show_nothing(lines: io.StringIO, name: str) -> None:
    logs.event(LOGGER, logging.INFO, "call", **{name: "s3cret"})
    assert "s3cret" not in lines.getvalue()
    assert f"{name}=(secret)" in lines.getvalue()


def test_what_is_not_printed_is_not_formatted(lines: io.StringIO) -> None:
    class Explosive:
        def __str__(self) -> str:
            raise AssertionError("formatted")

    logs.event(LOGGER, logging.DEBUG, "call", user=Explosive())
    assert lines.getvalue() == ""


def test_setting_up_again_replaces_the_first_stream(lines: io.StringIO) -> None:
    second = io.StringIO()
    logs.setup("error", second)
    LOGGER.warning("too low")
    LOGGER.error("shown")
    assert lines.getvalue() == ""
    assert "event=shown" in second.getvalue()
