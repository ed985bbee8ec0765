"""Logging: one line per event, ``key=value``, nothing a client sends can break a line.

A line looks like this::

    time=2026-02-03T04:05:06.789Z level=info logger=sipxconfig_soap.web event=call status=200

`event` writes lines with fields of their own; a plain ``logger.info("…")`` works too, its text
is then the event. Both cost nothing but a comparison when their level is not printed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TextIO

from sipxconfig_soap.errors import SECRET_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT = logging.getLogger()
_FIELDS = "sipxconfig_fields"
_BARE = re.compile(r"[A-Za-z0-9_.:/@+,()*-]+\Z")
_HIDDEN = "(secret)"
_SECRET = frozenset(name.lower() for name in SECRET_FIELDS) | {"authorization"}
# Text from outside is cut, so that no client decides how long our lines are.
_LONGEST_VALUE = 2000
_SHORT_VALUE = 100


class Known(NamedTuple):
    """Fields that come again and again together, and how they are written.

    Attributes:
        fields: by their names; no secrets.
        text: all of them.
    """

    fields: Mapping[str, object]
    text: str


_NONE = Known({}, "")


def known(**fields: object) -> Known:
    """Fields for `event`, to be kept until they are needed again."""
    shown = {name: _HIDDEN if _is_secret(name) else value for name, value in fields.items()}
    return Known(shown, _pairs(fields))


def event(
    logger: logging.Logger, level: int, name: str, first: Known = _NONE, /, **fields: object
) -> None:
    """Log ``name`` with its fields; a field that is None is left out.

    Fields called like a secret (wire.md §6, and Authorization) show only that they are there.

    Args:
        logger: whose event it is.
        level: of the event, as `logging` numbers them.
        name: of the event.
        first: those fields that stand first and are known from before.
        fields: the others, by other names.
    """
    if not logger.isEnabledFor(level):
        return
    handlers = _ROOT.handlers
    if len(handlers) == 1 and type(handlers[0]) is _LineHandler:
        # Where nobody else listens, a record would be made only to be taken apart again.
        try:
            pairs = first.text + _pairs(fields)
            handlers[0].put(_line(time.time(), level, logger.name, name, pairs))
        except Exception:  # noqa: BLE001 - as logging has it: a log that is gone stops nobody
            return
    else:
        record = logger.makeRecord(logger.name, level, "", 0, name, (), None)
        record.__dict__[_FIELDS] = {**first.fields, **fields}
        logger.handle(record)


def setup(level: str, stream: TextIO | None = None) -> None:
    """Send everything from ``level`` up to ``stream`` (standard error), and nothing elsewhere."""
    handler = _LineHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(LineFormatter())
    for old in _ROOT.handlers[:]:
        if isinstance(old.formatter, LineFormatter):
            _ROOT.removeHandler(old)
    _ROOT.addHandler(handler)
    _ROOT.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    # What our lines do not show need not be found out.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # Alembic tells at every look at the schema how it works.
    logging.getLogger("alembic").setLevel(logging.WARNING)


class _LineHandler(logging.StreamHandler[TextIO]):
    """Writes every line by one call of the system where it can, and without a lock then.

    Threads would queue up for the lock: who holds it lets others run while it writes.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._descriptor: int | None = None
        with suppress(OSError, AttributeError):
            self._descriptor = stream.fileno()

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record unless it is filtered out."""
        if not self.filter(record):
            return False
        try:
            self.put(self.format(record))
        except Exception:  # noqa: BLE001 - as logging has it: a log that is gone stops nobody
            self.handleError(record)
        return True

    def put(self, line: str) -> None:
        """Write a line."""
        if self._descriptor is None:
            with self.lock or nullcontext():
                self.stream.write(line + "\n")
                self.flush()
            return
        rest = f"{line}\n".encode(errors="backslashreplace")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


class LineFormatter(logging.Formatter):
    """Writes a record as one line of ``key=value`` pairs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; control characters in it are escaped as JSON escapes them."""
        fields: Mapping[str, object] = getattr(record, _FIELDS, {})
        if record.exc_info:
            fields = {**fields, "traceback": self.formatException(record.exc_info)}
        pairs = _pairs(fields)
        return _line(record.created, record.levelno, record.name, record.getMessage(), pairs)


def _line(moment: float, level: int, logger: str, text: str, pairs: str) -> str:
    second, fraction = divmod(moment, 1)
    head = _head(level, logger, text) if len(text) < _SHORT_VALUE else _heading(level, logger, text)
    return f"time={_second(second)}.{int(fraction * 1000):03d}Z{head}{pairs}"


def _pairs(fields: Mapping[str, object]) -> str:
    pieces = []
    for key, value in fields.items():
        if value is None:
            continue
        if _is_secret(key):
            pieces.append(f" {key}={_HIDDEN}")
        elif type(value) is int or type(value) is float:
            pieces.append(f" {key}={value}")
        elif type(value) is str and len(value) < _SHORT_VALUE:
            pieces.append(_short_pair(key, value))
        else:
            pieces.append(f" {key}={_shown(key, value)}")
    return "".join(pieces)


def _heading(level: int, logger: str, text: str) -> str:
    kind = logging.getLevelName(level).lower()
    return f" level={kind} logger={logger} event={_shown('event', text)}"


@lru_cache(maxsize=4)
def _second(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def escape(text: str) -> str:
    """``text`` with everything that is not printable escaped as in JSON, line ends too."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character < "\x7f" else _numbered(character)


def _numbered(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@lru_cache(maxsize=256)
def _is_secret(key: str) -> bool:
    return key.lower() in _SECRET


def _shown(key: str, value: object) -> str:
    if type(value) is bool:
        return "true" if value else "false"
    if isinstance(value, (list, tuple, set, frozenset)):
        text = ",".join(str(each) for each in value)
    else:
        text = str(value)
    if key != "traceback" and len(text) > _LONGEST_VALUE:
        text = text[:_LONGEST_VALUE] + "…"
    return _quoted(text)


def _quoted(text: str) -> str:
    if _BARE.match(text):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escape(quoted)}"'


@lru_cache(maxsize=1024)
def _short_pair(key: str, value: str) -> str:
    """A pair of those that come again and again: names, routes and addresses."""
    return f" {key}={_shown(key, value)}"


# So do events; their texts, and so this memory, are bounded.
_head = lru_cache(maxsize=256)(_heading)
