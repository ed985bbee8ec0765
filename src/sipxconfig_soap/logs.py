"""Logging: structlog over the standard library's logging, each event one line on standard error.

Loggers are those of `structlog.stdlib.get_logger`, and lines of other libraries come out alike. By
default a line looks like this::

    time=2026-02-03T04:05:06.789012Z level=info logger=sipxconfig_soap.web event=call status=200

Nothing a client sends can break a line or move a cursor. Fields that are None are left out, those
called like a secret show only that they are there.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ProcessorFormatter

from sipxconfig_soap.errors import SECRET_FIELDS
from sipxconfig_soap.log_stream import PatientStream

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["logfmt", "json", "console"]

_FIRST = dict.fromkeys(("time", "level", "logger", "event"))
_TRACEBACK = "exception"
_CHARACTERS = "[A-Za-z0-9_.:/@+,()*-]+"
_BARE = re.compile(rf"{_CHARACTERS}\Z")
_BARE_PAIRS = re.compile(rf"(?:\w+={_CHARACTERS}(?:\n|\Z))+", re.ASCII)
_BARE_TYPES = frozenset({str, int, float})
_HIDDEN = "(secret)"
_SECRETS = frozenset(name.casefold() for name in SECRET_FIELDS | {"Authorization"})
# Text from outside is cut, so that no client decides how long our lines are.
_LONGEST_VALUE = 2000

_CONTEXT: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    TimeStamper(fmt="iso", key="time"),
]
# Loggers keep this list, also those that were in use before it was filled anew.
_processors_in_use: list[Processor] = []


def setup(level: str, form: LogFormat = "logfmt", stream: TextIO | None = None) -> None:
    """Send everything from ``level`` up to ``stream`` (standard error), and nothing elsewhere."""
    handler = logging.StreamHandler(_patient(stream or sys.stderr))
    processors = _processors(form, colors=handler.stream.isatty())
    handler.setFormatter(_Formatter(processors))
    _processors_in_use[:] = structlog.stdlib.filter_by_level, *_CONTEXT, _made_by(processors)
    structlog.configure(
        processors=_processors_in_use,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    # A log that cannot be written stops nobody, and what it should have said is shown nowhere else.
    logging.raiseExceptions = False
    # What our lines do not show need not be found out (the optimizations of logging's own manual).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - named so in that manual
    # What fails when a connection is given back has failed before, and been reported.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    # Alembic tells at every look at the schema how it works.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _patient(stream: TextIO) -> Any:
    """The stream, or one in its place that does not wait for ever; not all have a descriptor."""
    try:
        return PatientStream(stream)
    except (OSError, ValueError):
        return stream


class Line(str):
    """The line of an event of structlog.

    Attributes:
        event: its fields as they were given, secrets too; tests look at them.
    """

    __slots__ = ("event",)
    event: EventDict


def _made_by(processors: list[Processor]) -> Processor:
    """Make lines of events; one that cannot be made stops nobody."""

    def line(logger: WrappedLogger, method: str, event: EventDict) -> Line:
        made: Any = event
        try:
            for process in processors:
                made = process(logger, method, made)
        except Exception:  # noqa: BLE001 - whatever values do when they are looked at
            raise structlog.DropEvent from None
        found = Line(made)
        found.event = event
        return found

    return line


class _Formatter(ProcessorFormatter):
    """Makes lines of the records of other libraries; `Line` is one already.

    Of an event of structlog, ``ProcessorFormatter`` would make logging's record a second time.
    """

    def __init__(self, processors: list[Processor]) -> None:
        super().__init__(
            foreign_pre_chain=_CONTEXT,
            processors=[ProcessorFormatter.remove_processors_meta, *processors],
        )

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        return record.msg if isinstance(record.msg, Line) else super().format(record)


def formatter(form: LogFormat) -> logging.Formatter:
    """What makes lines of other libraries' records; those of our own are as `setup` has them."""
    return _Formatter(_processors(form, colors=False))


def _processors(form: LogFormat, *, colors: bool) -> list[Processor]:
    """What makes a line of an event, structlog's and others."""
    renderers: dict[LogFormat, list[Processor]] = {
        "logfmt": [_logfmt],
        # Its ASCII has an escape for everything else.
        "json": [_plain, JSONRenderer()],
        "console": [
            _plain,
            _escape_unquoted,
            ConsoleRenderer(
                colors=colors,
                sort_keys=False,
                timestamp_key="time",
                # As Python's repr, which escapes what is not printable.
                repr_native_str=True,
                # The others show local variables, and so PINs.
                exception_formatter=plain_traceback,
            ),
        ],
    }
    return [format_exc_info, *renderers[form]]


def escape(text: str) -> str:
    """``text`` with everything that is not printable escaped as in JSON, line ends too."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    if character < "\x7f":
        return json.dumps(character)[1:-1]
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _plain(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Time, level, logger and event first, values as JSON has them, secrets hidden, texts cut."""
    ordered = {**_FIRST, **event}
    return {key: _value(key, value) for key, value in ordered.items() if value is not None}


def _value(key: str, value: object) -> Any:
    """A field's value; those called like a secret, also inside another field, show nothing."""
    if key.strip().casefold() in _SECRETS:
        return _HIDDEN
    if isinstance(value, str):
        return value if key == _TRACEBACK else _cut(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _value(str(name), each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(key, each) for each in value]
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _logfmt(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """``key=value`` pairs; structlog's own renderer quotes only what has a blank or a ``=``."""
    if line := _bare(event):
        return line
    pairs = _plain(logger, method, event).items()
    return " ".join([f"{key}={_quoted(value)}" for key, value in pairs])


def _bare(event: EventDict) -> str:
    """The pairs of an event with nothing to hide, to cut or to quote, as most are; else nothing.

    It is the line that looking at every field would make, for a tenth of the code.
    """
    ordered = {**_FIRST, **event}
    if not _BARE_TYPES.issuperset(map(type, ordered.values())):
        return ""
    if not _SECRETS.isdisjoint(map(str.casefold, ordered)):
        return ""
    pairs = "\n".join([f"{key}={value}" for key, value in ordered.items()])
    is_bare = (
        len(pairs) <= _LONGEST_VALUE
        # No value brings a line end, so each stands for one between two pairs.
        and pairs.count("\n") == len(ordered) - 1
        and _BARE_PAIRS.fullmatch(pairs)
    )
    return pairs.replace("\n", " ") if is_bare else ""


def _quoted(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = _cut(",".join(map(str, value))) if isinstance(value, list) else str(value)
    if _BARE.match(text):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escape(quoted)}"'


def _escape_unquoted(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what the console shows as it is; the lines of a traceback stay lines, set in."""
    event["event"] = escape(str(event["event"]))
    if _TRACEBACK in event:
        lines = event[_TRACEBACK].splitlines()
        event[_TRACEBACK] = "\n".join(f"    {escape(line)}" for line in lines)
    return event
