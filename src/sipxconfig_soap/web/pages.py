"""The pages of services: their list, one for each, one for each operation (wire.md §8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from lxml import etree

from sipxconfig_soap.errors import Refused, is_secret
from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.services.call import Call
from sipxconfig_soap.soap.faults import CLIENT, USER_EXCEPTION
from sipxconfig_soap.web.examples import curl_command, example_request
from sipxconfig_soap.web.fields import check_known, token_of
from sipxconfig_soap.web.forms import HIDDEN, MORE, Form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sipxconfig_soap.domain.rules import Rules
    from sipxconfig_soap.errors import Problem, Problems
    from sipxconfig_soap.soap.endpoint import Endpoint
    from sipxconfig_soap.soap.service import Operation
    from sipxconfig_soap.web.fields import Fields, Visit
    from sipxconfig_soap.web.request import Request
    from sipxconfig_soap.web.responses import Response
    from sipxconfig_soap.web.templates import Templates

_REFUSED = tuple(f"soapenv:{code}" for code in (CLIENT, USER_EXCEPTION))
"""Faults that are no failure of the server."""

SHOWN_BYTES = 256 * 1024
"""Of an answer, as much as a page shows."""


class _Shown(NamedTuple):
    """An operation as a page shows it."""

    name: str
    documentation: str
    request: str
    command: str
    form: Form


class _Answer(NamedTuple):
    """What a call brought.

    Attributes:
        status: of HTTP, as a script would get it.
        fault: its sentence, None for a result.
        refused: whether the input is at fault, and nothing was changed.
        request: the envelope, without secrets.
        command: the request as a command for the shell.
        text: the answer in lines, without secrets.
        cut: whether there was more of it.
    """

    status: int
    fault: str | None
    refused: bool
    request: str
    command: str
    text: str
    cut: bool


@dataclass(slots=True)
class _Caller:
    """Carries a call out, and keeps what was wrong with it in our own words."""

    call: Call
    problems: list[Problem] = field(default_factory=list)

    def invoke(
        self, service: str, operation: Operation, arguments: tuple[Any, ...], problems: Problems
    ) -> Any:
        """See `Call.invoke`."""
        try:
            return self.call.invoke(service, operation, arguments, problems)
        except Refused as refused:
            self.problems = refused.problems
            raise


class Pages:
    """Makes the pages of these services."""

    def __init__(self, endpoints: Mapping[str, Endpoint], templates: Templates) -> None:
        self._endpoints = endpoints
        self._templates = templates

    def services(self, request: Request) -> Response:
        """The list of the services."""
        return self._templates.page("services.html", request, services=self._endpoints.values())

    def service(self, endpoint: Endpoint, visit: Visit) -> Response:
        """The page of one service, with examples for this user, and forms.

        Raises:
            BadHost: the examples would have to name the host of the request, which is none.
        """
        url = visit.request.service_url(endpoint.name)
        operations = []
        for operation in endpoint.operations:
            example = example_request(operation)
            command = curl_command(url, visit.account.user_name, example)
            shown = (operation.name, operation.documentation, example, command, Form(operation))
            operations.append(_Shown(*shown))
        return self._page("service.html", endpoint, visit, url=url, operations=operations)

    def operation(self, endpoint: Endpoint, operation: Operation, visit: Visit) -> Response:
        """The page of one operation, with a form to be filled in."""
        return self._operation(endpoint, Form(operation), visit)

    def submit(
        self,
        endpoint: Endpoint,
        operation: Operation,
        visit: Visit,
        sent: Fields,
        rules: Rules,
    ) -> Response:
        """Answer a form that was filled in: call the operation, or show more rows.

        Args:
            endpoint: of the service.
            operation: of the form.
            visit: of who sent it.
            sent: the fields of the form.
            rules: for the call.

        Raises:
            BadHost: see `service`.
            Refusal: with 400; a field, or what it says, is none of the form.
        """
        form = Form(operation, sent)
        check_known(sent, form.known, form.fixed)
        if MORE in sent:
            form.forget()
            return self._operation(endpoint, form, visit)
        url = visit.request.service_url(endpoint.name)
        name = visit.account.user_name
        caller = _Caller(Call(visit.connection, name, visit.request.address, rules))
        reply = endpoint.call(form.request().encode(), "utf-8", caller)
        root, cut = _read(reply.chunks)
        form.blame(caller.problems)
        request = form.request(hide=True)
        form.forget()
        fault = root.findtext(".//faultstring")
        command = curl_command(url, name, request)
        refused = root.findtext(".//faultcode") in _REFUSED
        answer = _Answer(reply.status, fault, refused, request, command, _in_lines(root), cut)
        status = 422 if refused else reply.status
        response = self._operation(endpoint, form, visit, answer, status)
        response.headers.extend(reply.headers)
        return response

    def _operation(
        self,
        endpoint: Endpoint,
        form: Form,
        visit: Visit,
        answer: _Answer | None = None,
        status: int = 200,
    ) -> Response:
        return self._page("operation.html", endpoint, visit, status, form=form, answer=answer)

    def _page(
        self, template: str, endpoint: Endpoint, visit: Visit, status: int = 200, **values: Any
    ) -> Response:
        return self._templates.page(
            template,
            visit.request,
            status,
            service=endpoint,
            token=token_of(visit.account),
            models=MODELS.values() if endpoint.name == "PhoneService" else (),
            **values,
        )


def _read(chunks: Iterable[bytes]) -> tuple[etree._Element, bool]:
    """As much of an answer as is shown, and whether there was more."""
    found, size = [], 0
    for chunk in chunks:
        found.append(chunk)
        size += len(chunk)
        if size > SHOWN_BYTES:
            break
    # A part that is cut off ends wherever it may.
    text = b"".join(found)[:SHOWN_BYTES].decode(errors="ignore")
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True)
    return etree.fromstring(text.encode(), parser), size > SHOWN_BYTES


def _in_lines(root: etree._Element) -> str:
    """An answer as people read it, without secrets."""
    for each in root.iter():
        if each.text and is_secret(etree.QName(each).localname):
            each.text = HIDDEN
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")
