"""The HTML pages: the list of services, and a page for each (wire.md §1)."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.web.examples import curl_command, example_request
from sipxconfig_soap.web.request import SERVICES
from sipxconfig_soap.web.responses import html

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipxconfig_soap.soap.endpoint import Endpoint
    from sipxconfig_soap.web.request import Request
    from sipxconfig_soap.web.responses import Response


class _Shown(NamedTuple):
    """An operation as a page shows it."""

    name: str
    documentation: str
    request: str
    command: str


class Pages:
    """Makes the pages of these services."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints
        self._environment = Environment(
            loader=PackageLoader("sipxconfig_soap.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        folder = resources.files("sipxconfig_soap.web") / "templates"
        self._style = (folder / "style.css").read_text(encoding="utf-8")
        self._headers = [
            ("Content-Security-Policy", _policy(self._style)),
            ("Referrer-Policy", "no-referrer"),
        ]

    def services(self, request: Request) -> Response:
        """The list of the services."""
        return self._page("services.html", request, services=self._endpoints.values())

    def service(self, endpoint: Endpoint, request: Request, user_name: str) -> Response:
        """The page of one service, with examples for this user.

        Raises:
            BadHost: the examples would have to name the host of the request, which is none.
        """
        url = request.service_url(endpoint.name)
        operations = []
        for operation in endpoint.operations:
            example = example_request(operation)
            command = curl_command(url, user_name, example)
            operations.append(_Shown(operation.name, operation.documentation, example, command))
        return self._page(
            "service.html",
            request,
            service=endpoint,
            url=url,
            operations=operations,
            models=MODELS.values() if endpoint.name == "PhoneService" else (),
        )

    def _page(self, template: str, request: Request, **values: Any) -> Response:
        text = self._environment.get_template(template).render(
            # Our own file; its digest in the policy is that of these very characters.
            style=Markup(self._style),  # noqa: S704
            root=request.path_prefix + SERVICES,
            **values,
        )
        return html(text, self._headers)


def _policy(style: str) -> str:
    """What a browser may do with a page: apply its one stylesheet, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
