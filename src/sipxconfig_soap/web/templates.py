"""From templates to pages: what all pages have in common (wire.md §8)."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sipxconfig_soap.web.request import ROOT, SERVICES
from sipxconfig_soap.web.responses import html

if TYPE_CHECKING:
    from sipxconfig_soap.web.request import Request
    from sipxconfig_soap.web.responses import Response


class Templates:
    """Makes pages: HTML with one stylesheet in it, and nothing else that a browser would fetch."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("sipxconfig_soap.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters["moment"] = _moment
        self._environment.filters["segment"] = lambda text: quote(text, safe="")
        folder = resources.files("sipxconfig_soap.web") / "templates"
        self._style = (folder / "style.css").read_text(encoding="utf-8")
        self._headers = [
            ("Content-Security-Policy", _policy(self._style)),
            # With no-referrer browsers would send our own forms with "Origin: null".
            ("Referrer-Policy", "same-origin"),
        ]

    def page(self, name: str, request: Request, status: int = 200, **values: Any) -> Response:
        """A page.

        Args:
            name: of the template.
            request: that asks for it.
            status: of the answer.
            values: what the template shows.
        """
        home = request.path_prefix + ROOT
        text = self._environment.get_template(name).render(
            # Our own file; its digest in the policy is that of these very characters.
            style=Markup(self._style),  # noqa: S704
            home=home,
            root=request.path_prefix + SERVICES,
            path=request.path_prefix + request.path,
            **values,
        )
        return html(text, self._headers, status)


def _policy(style: str) -> str:
    """What a browser may do with a page: apply its one stylesheet, send its forms here."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


def _moment(time: datetime | None) -> str:
    """A time for people, in UTC, to the second; "" for none."""
    return "" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
