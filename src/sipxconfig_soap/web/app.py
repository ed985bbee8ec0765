"""The WSGI application: which request goes where, and the net below all of them (wire.md §1)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sipxconfig_soap import incident
from sipxconfig_soap.domain.known_addresses import KnownAddresses
from sipxconfig_soap.domain.rules import Rules
from sipxconfig_soap.domain.untrusted_proxies import UntrustedProxies
from sipxconfig_soap.errors import OutcomeUnknown, Unavailable
from sipxconfig_soap.services import build_endpoints
from sipxconfig_soap.services.call import Call
from sipxconfig_soap.soap import faults
from sipxconfig_soap.web import health
from sipxconfig_soap.web.auth import Gate
from sipxconfig_soap.web.body import framing_of, read_body
from sipxconfig_soap.web.content import SOAP12_TYPE, read_content_type
from sipxconfig_soap.web.credentials import VerifiedLogins
from sipxconfig_soap.web.desk import Desk
from sipxconfig_soap.web.exchange import Exchange
from sipxconfig_soap.web.fields import Visit
from sipxconfig_soap.web.origin import is_cross_site
from sipxconfig_soap.web.request import SERVICES, BadHost, Request
from sipxconfig_soap.web.responses import (
    Refusal,
    Response,
    not_found,
    nothing,
    of_reply,
    plain,
    redirect,
    wrong_method,
    xml,
)
from sipxconfig_soap.web.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    import sqlalchemy as sa

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.domain.accounts import Account
    from sipxconfig_soap.settings import Settings
    from sipxconfig_soap.soap.endpoint import Endpoint
    from sipxconfig_soap.web.desk import Page

_READ = "GET, HEAD, OPTIONS"
_CALL = f"{_READ}, POST"
_IN_THE_OPEN = "Plain HTTP is not allowed from other machines: use https."
_NOT_BELIEVED = (
    "This request was forwarded by a proxy that is not trusted, so nobody knows whether it came by "
    "https: SIPXCONFIG_TRUSTED_PROXIES must name the proxy."
)
_ENTRANCES = frozenset({"/", "/sipxconfig", "/sipxconfig/"})


def create_app(settings: Settings, database: Database, *, worker: bool = False) -> WSGIApplication:
    """The application of one process.

    Args:
        settings: what the administrator decided.
        database: of this process.
        worker: whether a worker for the jobs runs beside the server.
    """
    return _Edge(settings, database, settings.profile_root if worker else None)


class _Edge:
    def __init__(self, settings: Settings, database: Database, profile_root: Path | None) -> None:
        self._settings = settings
        self._database = database
        self._profile_root = profile_root
        self._rules = Rules.from_settings(settings)
        self._endpoints = build_endpoints(settings)
        self._desk = Desk(settings, self._rules, self._endpoints)
        known = KnownAddresses(database)
        self._gate = Gate(settings.realm, Throttle(), VerifiedLogins(), known)
        self._untrusted = UntrustedProxies(database)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        exchange = Exchange(Request(environ, self._settings))
        try:
            return exchange.deliver(self._answer(exchange), start_response)
        except BaseException:
            exchange.close()
            raise

    def _answer(self, exchange: Exchange) -> Response:
        """Whatever happens, an answer; only a client that is gone gets none."""
        try:
            return self._route(exchange)
        except Refusal as refusal:
            return refusal.response
        except BadHost:
            return plain(400, "The Host header names no host.")
        except ConnectionError:
            raise
        except faults.Fault as fault:
            raised = fault
        except OutcomeUnknown:
            raised = faults.unknown()
        except Unavailable:
            raised = faults.unavailable()
        except Exception as error:  # noqa: BLE001 - the net below everything: reported, answered
            raised = faults.internal(incident.report(error))
        exchange.fault = raised.code
        return _fault(exchange, raised)

    def _route(self, exchange: Exchange) -> Response:
        request = exchange.request
        path = request.path
        if path in health.PATHS:
            exchange.route = path
            exchange.log_level = logging.DEBUG
            return _resource(request) or health.answer(path, self._database, self._profile_root)
        disbelieved = request.disbelieved
        if disbelieved:
            self._untrusted.noticed(request.address)
        if self._settings.require_https and (request.in_the_open or disbelieved):
            return plain(403, _NOT_BELIEVED if disbelieved else _IN_THE_OPEN)
        page = self._desk.find(path)
        if page is not None:
            return self._show(page, exchange)
        if path == SERVICES or path.startswith(f"{SERVICES}/"):
            return self._services(exchange, path[len(SERVICES) + 1 :])
        if path not in _ENTRANCES:
            return not_found()
        exchange.route = path
        return _resource(request) or redirect(f"{request.path_prefix}{SERVICES}/")

    def _services(self, exchange: Exchange, name: str) -> Response:
        """All below the list of services; nothing of it is done before the login."""
        request = exchange.request
        endpoint = self._endpoints.get(name.removesuffix("/"))
        if endpoint is not None or not name:
            exchange.service = endpoint.name if endpoint else ""
            exchange.route = f"{SERVICES}/{exchange.service}"
        if endpoint is not None and self._settings.public_wsdl and _reads_wsdl(request):
            return _wsdl(endpoint, exchange)
        visit = self._enter(exchange)
        if not name:
            return _resource(request) or self._desk.pages.services(request)
        if endpoint is None:
            return not_found()
        if request.method == "POST":
            return self._call(endpoint, exchange, visit.account, visit.connection)
        return self._page(endpoint, exchange, visit)

    def _enter(self, exchange: Exchange) -> Visit:
        """Let an administrator in, but nobody whose browser obeys another site.

        Raises:
            Refusal: with 401, 403 or 429.
            Unavailable: the database is away.
        """
        request = exchange.request
        if request.method == "POST" and is_cross_site(request, self._settings):
            raise Refusal(plain(403, "Requests made by pages of other sites are refused."))
        login = self._gate.login_of(request)
        connection = exchange.connection = self._database.connect()
        account = self._gate.authenticate(login, request.address, connection)
        exchange.user = account.user_name
        return Visit(request, account, connection)

    def _show(self, page: Page, exchange: Exchange) -> Response:
        """A page beside those of the services, or what its form does."""
        exchange.route = page.route
        exchange.for_people = True
        visit = self._enter(exchange)
        request = exchange.request
        if page.submit is not None and request.method == "POST":
            return page.submit(visit, visit.form(self._settings.max_request_bytes))
        return _resource(request, _CALL if page.submit else _READ) or page.show(visit)

    def _page(self, endpoint: Endpoint, exchange: Exchange, visit: Visit) -> Response:
        """What one of the services shows to an administrator."""
        request = exchange.request
        refused = _resource(request, _CALL)
        if refused is not None:
            return refused
        if request.wants_wsdl:
            return _wsdl(endpoint, exchange)
        return self._desk.pages.service(endpoint, visit)

    def _call(
        self,
        endpoint: Endpoint,
        exchange: Exchange,
        account: Account,
        connection: sa.Connection,
    ) -> Response:
        """Carry out an operation."""
        request = exchange.request
        environ = request.environ
        limit = self._settings.max_request_bytes
        content_type = read_content_type(environ.get("CONTENT_TYPE", ""))
        body = read_body(environ, framing_of(environ, content_type, limit), limit)
        call = Call(
            connection=connection,
            administrator=account.user_name,
            address=request.address,
            rules=self._rules,
        )
        hint = content_type.media_type == SOAP12_TYPE
        reply = endpoint.call(body, content_type.charset, call, soap12_hint=hint)
        exchange.operation, exchange.fault = reply.operation, reply.fault
        return of_reply(reply)


def _resource(request: Request, allowed: str = _READ) -> Response | None:
    """The answer to methods other than GET and HEAD, which a resource answers itself."""
    if request.method in ("GET", "HEAD"):
        return None
    return nothing(allowed) if request.method == "OPTIONS" else wrong_method(allowed)


def _reads_wsdl(request: Request) -> bool:
    return request.method in ("GET", "HEAD") and request.wants_wsdl


def _wsdl(endpoint: Endpoint, exchange: Exchange) -> Response:
    """A WSDL; made for this request, so that no client gets what another one's Host named."""
    exchange.route = f"{SERVICES}/{endpoint.name}?wsdl"
    exchange.operation = "wsdl"
    return xml(endpoint.wsdl(exchange.request.service_url(endpoint.name)))


def _fault(exchange: Exchange, fault: faults.Fault) -> Response:
    """A fault for who sends SOAP; for others its sentence."""
    request = exchange.request
    content_type = read_content_type(request.environ.get("CONTENT_TYPE", ""))
    reply = faults.fault_reply(fault, soap12=content_type.media_type == SOAP12_TYPE)
    if request.method == "POST" and not exchange.for_people:
        return of_reply(reply)
    return plain(reply.status, fault.text, reply.headers)
