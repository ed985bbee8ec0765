"""Logging: one line per event, ``key=value``, nothing a client sends can break a line.

A line looks like this::

    time=2026-02-03T04:05:06.789Z level=info logger=sipxconfig_soap.web event=call status=200

`event` writes lines with fields of their own; a plain ``logger.info("…")`` works too, its text
is then the event. Both cost nothing but a comparison when their level is not printed.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipxconfig_soap.errors import SECRET_FIELDS

if TYPE_CHECKING:
    from typing import TextIO

_FIELDS = "sipxconfig_fields"
_BARE = re.compile(r"[A-Za-z0-9_.:/@+,()*-]+\Z")
_SECRET = frozenset(name.lower() for name in SECRET_FIELDS) | {"authorization"}
# Text from outside is cut, so that no client decides how long our lines are.
_LONGEST_VALUE = 2000


def event(logger: logging.Logger, level: int, name: str, /, **fields: object) -> None:
    """Log ``name`` with its fields; a field that is None is left out.

    Fields called like a secret (wire.md §6, and Authorization) show only that they are there.
    """
    if logger.isEnabledFor(level):
        logger.log(level, "%s", name, extra={_FIELDS: fields})


def setup(level: str, stream: TextIO | None = None) -> None:
    """Send everything from ``level`` up to ``stream`` (standard error), and nothing elsewhere."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, LineFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    # Alembic tells at every look at the schema how it works.
    logging.getLogger("alembic").setLevel(logging.WARNING)


class LineFormatter(logging.Formatter):
    """Writes a record as one line of ``key=value`` pairs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; control characters in it are escaped as JSON escapes them."""
        moment = datetime.fromtimestamp(record.created, UTC)
        pairs: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        pairs.update(getattr(record, _FIELDS, {}))
        if record.exc_info:
            pairs["traceback"] = self.formatException(record.exc_info)
        return " ".join(
            f"{key}={_shown(key, value)}" for key, value in pairs.items() if value is not None
        )


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


def _shown(key: str, value: object) -> str:
    if key.lower() in _SECRET:
        return "(secret)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, set, frozenset)):
        value = ",".join(str(each) for each in value)
    text = str(value)
    if key != "traceback" and len(text) > _LONGEST_VALUE:
        text = text[:_LONGEST_VALUE] + "…"
    if _BARE.match(text):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escape(quoted)}"'
