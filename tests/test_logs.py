"""Log lines: one per event, whatever a client sends."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from sipxconfig_soap import logs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start = Callable[..., io.StringIO]

NAME = "sipxconfig_soap.test"
LOGGER = logging.getLogger(NAME)
log = structlog.stdlib.get_logger(NAME)

FORMATS: list[logs.LogFormat] = ["logfmt", "json", "console"]

HOSTILE = {
    "line ends": "a\r\ntime=2026-01-01T00:00:00Z level=info event=forged",
    "terminal codes": "\x1b[2J\x1b]0;title\x07\x00\x7f\x9b31m",
    "rare line ends": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "what is not seen": "\u202egnp.exe \ufeff",
    "quotes": "say \"x\" 'y' \\ \\n =",
    "JSON": '"} {"event": "forged"',
}


@pytest.fixture
def start() -> Iterator[Start]:
    """Logs from "info" up in a format; the root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # Whoever has set it up before; a test has its own way of showing warnings.
    logging.captureWarnings(capture=False)

    def set_up(form: logs.LogFormat = "logfmt", level: str = "info") -> io.StringIO:
        stream = io.StringIO()
        logs.setup(level, form, stream)
        return stream

    yield set_up
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def lines(start: Start) -> io.StringIO:
    """What is logged from "info" up."""
    return start()


def test_an_event_is_one_line_of_pairs(lines: io.StringIO) -> None:
    log.info("call", service="UserService", status=200, ok=True, x=None)
    (line,) = lines.getvalue().splitlines()
    time, rest = line.split(" ", 1)
    assert time.startswith("time=2")
    assert time.endswith("Z")
    assert rest == (
        "level=info logger=sipxconfig_soap.test event=call service=UserService status=200 ok=true"
    )


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
    log.info("call", user=value)
    assert lines.getvalue().endswith(f" event=call user={shown}\n")


class Odd(int):
    """A number that shows itself as something else."""

    def __str__(self) -> str:
        return "1 level=info\nforged=1"


def test_numbers_cannot_break_the_line_either(lines: io.StringIO) -> None:
    log.info("call", status=Odd(1))
    assert lines.getvalue().endswith(' status="1 level=info\\nforged=1"\n')


_ALWAYS = {"event": "call", "level": "info", "logger": "a.b", "time": "2026-02-03T04:05:06Z"}
"""What every event has, in the order in which it comes by it."""

_BEGINNING = "time=2026-02-03T04:05:06Z level=info logger=a.b event=call"

_KEYS = st.sampled_from(
    ["a", "status", "pin", "PIN", "Authorization", "a=b", "a b", "a\nb", "é", ""]
)
_SINGLE = (
    st.text()
    | st.text('aZ0_.:/@+,()*-= \n"')
    | st.sampled_from(["x" * 2000, "x" * 2001])
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
)


@given(st.dictionaries(_KEYS, _SINGLE | st.lists(_SINGLE, max_size=2)))
@example({"pin": "1234"})
@example({"a": "b\nc=d"})
@example({"a": "b c=d"})
def test_a_line_that_needs_no_quotes_is_as_if_each_field_had_been_looked_at(
    fields: dict[str, Any],
) -> None:
    event = {**fields, **_ALWAYS}
    pairs = logs._plain(None, "info", event).items()
    line = " ".join(f"{key}={logs._quoted(value)}" for key, value in pairs)
    assert logs._bare(event) in ("", line)
    assert logs._logfmt(None, "info", event) == line


def test_nearly_all_lines_need_no_quotes() -> None:
    event = {"status": 200, "ms": 3.1, "route": "/sipxconfig/", **_ALWAYS}
    line = f"{_BEGINNING} status=200 ms=3.1 route=/sipxconfig/"
    assert logs._bare(event) == logs._logfmt(None, "info", event) == line


def test_messages_cannot_break_the_line_either(lines: io.StringIO) -> None:
    LOGGER.warning("user %s", "a\nb")
    assert 'level=warning logger=sipxconfig_soap.test event="user a\\nb"\n' in lines.getvalue()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_clients_text_is_harmless_in_every_format(
    start: Start, form: logs.LogFormat, text: str
) -> None:
    stream = start(form)
    log.info("call", user=text, names=[text], inside={"of": text})
    LOGGER.warning("lib %s", text)
    printed = stream.getvalue()
    assert printed.endswith("\n")
    both = printed[:-1].split("\n")
    assert len(both) == 2
    assert all(line.isprintable() for line in both)


@pytest.mark.parametrize("form", FORMATS)
def test_half_a_character_is_harmless_too(start: Start, form: logs.LogFormat) -> None:
    stream = start(form)
    log.info("call", user="\ud800")
    assert "\\ud800" in stream.getvalue()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_lines_of_json_say_what_was_said(start: Start, text: str) -> None:
    stream = start("json")
    log.info("call", user=text, names=[text, "b"], status=200, ok=True, x=None)
    LOGGER.warning("lib %s", text)
    ours, foreign = map(json.loads, stream.getvalue().splitlines())
    assert re.fullmatch(r"2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", ours.pop("time"))
    assert ours == {
        "level": "info",
        "logger": NAME,
        "event": "call",
        "user": text,
        "names": [text, "b"],
        "status": 200,
        "ok": True,
    }
    assert (foreign["level"], foreign["logger"]) == ("warning", NAME)
    assert foreign["event"] == f"lib {text}"


def test_the_console_is_for_people(start: Start) -> None:
    stream = start("console")
    log.warning("call", user="a b", status=200)
    (line,) = stream.getvalue().splitlines()
    assert re.search(r"^2\S+Z \[warning *\] call +\[sipxconfig_soap.test\] ", line)
    assert line.endswith(" user='a b' status=200")


def test_the_console_has_colours_on_a_terminal(start: Start) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    start("console")
    for form in FORMATS:
        terminal = Terminal()
        logs.setup("info", form, terminal)
        log.info("call", user="\x1b[31m")
        assert ("\x1b" in terminal.getvalue()) == (form == "console")
        assert "\x1b[31m" not in terminal.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_long_values_are_cut(start: Start, form: logs.LogFormat) -> None:
    stream = start(form)
    log.info("call", user="x" * 100_000)
    assert 2000 < len(stream.getvalue()) < 3000
    log.info("call", users=["x" * 1000] * 100, inside={"a": "x" * 100_000})
    assert len(stream.getvalue()) < 110_000


def test_a_long_list_is_cut_as_its_line_shows_it(lines: io.StringIO) -> None:
    log.info("call", users=["x" * 1000] * 100)
    assert len(lines.getvalue()) < 3000


def fail(text: str) -> None:
    raise ValueError(text)


def test_a_traceback_stays_in_its_line(lines: io.StringIO) -> None:
    try:
        fail("y" * 3000)
    except ValueError:
        LOGGER.exception("failed")
        log.exception("failed too")
    for line, text in zip(lines.getvalue().splitlines(), ("failed", "failed too"), strict=True):
        assert "ValueError: yyy" in line
        assert "y" * 3000 in line
        assert text in line


def test_a_traceback_stays_in_its_line_of_json(start: Start) -> None:
    stream = start("json")
    try:
        fail("a\n\x1b")
    except ValueError:
        log.exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "Traceback (most recent call last):\n" in json.loads(line)["exception"]


def test_no_line_of_a_traceback_on_the_console_is_a_clients(start: Start) -> None:
    stream = start("console")
    try:
        fail("a\n2026-01-01T00:00:00Z [info] forged \x1b[2J\u2028b")
    except ValueError:
        log.exception("failed", pin="s3cret")
    first, *others = stream.getvalue().split("\n")[:-1]
    assert "failed" in first
    assert others[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") and line.isprintable() for line in others)
    assert "s3cret" not in stream.getvalue()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["pin", "vmpin", "pintoken", "sipPassword", "Authorization"])
def test_fields_with_the_name_of_a_secret_show_nothing(
    start: Start, form: logs.LogFormat, name: str
) -> None:
    stream = start(form)
    for spelled in (name, name.upper()):
        log.info("call", **{spelled: "s3cret"}, inside={spelled: "s3cret", "of": "shown"})
    assert "s3cret" not in stream.getvalue()
    assert stream.getvalue().count("(secret)") == 4
    assert stream.getvalue().count("shown") == 2


def test_a_secret_is_a_field_like_others(lines: io.StringIO) -> None:
    log.info("call", pin="s3cret", vmpin=None)
    assert lines.getvalue().endswith(" event=call pin=(secret)\n")


def test_what_is_not_printed_is_not_formatted(lines: io.StringIO) -> None:
    class Explosive:
        def __str__(self) -> str:
            raise AssertionError("formatted")

    log.debug("call", user=Explosive())
    assert lines.getvalue() == ""


def test_what_is_hidden_is_not_looked_at(lines: io.StringIO) -> None:
    class Explosive:
        def __str__(self) -> str:
            raise AssertionError("looked at")

        __repr__ = __str__

    log.info("call", pin=Explosive())
    log.info("call", inside={"pin": Explosive()})
    assert lines.getvalue().count("(secret)") == 2


def test_setting_up_again_changes_the_format_of_loggers_in_use(start: Start) -> None:
    first = start()
    log.info("call")
    second = start("json")
    log.info("call")
    assert first.getvalue().endswith(" event=call\n")
    assert json.loads(second.getvalue())["event"] == "call"


def test_setting_up_again_replaces_the_first_stream(start: Start) -> None:
    first = start()
    second = start("json", "error")
    LOGGER.warning("too low")
    log.warning("too low")
    LOGGER.error("shown")
    log.error("shown")
    assert first.getvalue() == ""
    assert second.getvalue().count('"event": "shown"') == 2
    assert "too low" not in second.getvalue()


def test_warnings_of_python_are_lines_too(lines: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("odd\nline", stacklevel=1)
    (line,) = lines.getvalue().splitlines()
    assert "level=warning logger=py.warnings event=" in line
    assert "odd\\nline" in line


def test_a_value_that_cannot_be_shown_stops_nobody(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Explosive:
        def __str__(self) -> str:
            raise RuntimeError("cannot be shown")

    # Without those of pytest, which raise.
    ours = [each for each in logging.getLogger().handlers if vars(each).get("stream") is lines]
    monkeypatch.setattr(logging.getLogger(), "handlers", ours)
    elsewhere = io.StringIO()
    monkeypatch.setattr(sys, "stderr", elsewhere)
    log.info("call", user=Explosive(), pin="s3cret")
    log.info("next")
    assert lines.getvalue().count("\n") == 1
    assert elsewhere.getvalue() == ""


WRITER = """
import os, sys, threading
import structlog
from sipxconfig_soap import logs
form, processes, threads, lines = sys.argv[1], *map(int, sys.argv[2:])
logs.setup("info", form)
child = False
for _ in range(processes):
    child = child or os.fork() == 0
log = structlog.stdlib.get_logger("writer")
def write(name):
    for number in range(lines):
        log.info("line", writer=f"{os.getpid()}-{name}", number=number, text="x" * 1500)
each = [threading.Thread(target=write, args=(name,)) for name in range(threads)]
for thread in each: thread.start()
for thread in each: thread.join()
if not child:
    for _ in range(processes): os.wait()
sys.stdout.write("done")
"""


def written(stderr: Any, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """What a program of its own says that logs to this standard error."""
    return subprocess.run(
        [sys.executable, "-c", WRITER, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=60,
        check=False,
    )


def test_lines_of_processes_and_threads_are_whole() -> None:
    found = written(subprocess.PIPE, "json", 2, 4, 200).stderr.decode().splitlines()
    said = [json.loads(line) for line in found]
    assert len({(each["writer"], each["number"]) for each in said}) == 3 * 4 * 200
    assert len(said) == 3 * 4 * 200


@pytest.mark.parametrize("form", FORMATS)
def test_a_log_that_cannot_be_written_stops_nobody(form: logs.LogFormat) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert written(writing, form, 0, 2, 20).stdout == b"done"
    finally:
        os.close(writing)
    with Path("/dev/full").open("wb") as full:
        assert written(full, form, 0, 2, 20).stdout == b"done"
