"""An answer on its way to the HTTP edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(slots=True)
class Reply:
    """What the edge sends.

    Attributes:
        status: the HTTP status.
        content_type: the value of the Content-Type header.
        chunks: the body; a tuple when all of it is there, an iterator when it is streamed.
        headers: further headers.
        operation: that was called; "" when it was none.
        fault: the code of the fault that it is; None when it is none.
    """

    status: int
    content_type: str
    chunks: Iterable[bytes]
    headers: Sequence[tuple[str, str]] = ()
    operation: str = ""
    fault: str | None = None
