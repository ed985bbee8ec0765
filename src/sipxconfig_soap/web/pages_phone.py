"""The page of a phone: what it is, its lines, its files without secrets, its jobs (wire.md §8)."""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sipxconfig_soap.availability import availability
from sipxconfig_soap.domain import phones
from sipxconfig_soap.domain.searches import Criterion
from sipxconfig_soap.domain.tables import TEXT_LIMIT
from sipxconfig_soap.domain.work import Query
from sipxconfig_soap.errors import Problems
from sipxconfig_soap.jobs import snapshots
from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.phone import ExternalLine, provisioning_settings
from sipxconfig_soap.provisioning.profiles import NotWritten, Renderer
from sipxconfig_soap.values import has_control, trim
from sipxconfig_soap.web.fields import token_of
from sipxconfig_soap.web.listing import PIECE
from sipxconfig_soap.web.pages_jobs import jobs_of
from sipxconfig_soap.web.request import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from sipxconfig_soap.domain.rules import Rules
    from sipxconfig_soap.provisioning.phone import LineSnapshot, PhoneSnapshot
    from sipxconfig_soap.settings import Settings
    from sipxconfig_soap.web.fields import Visit
    from sipxconfig_soap.web.responses import Response
    from sipxconfig_soap.web.templates import Templates

PHONES = f"{ROOT}/phones"
"""The path of the page without a phone; each phone is one segment below it."""

HIDDEN_PASSWORD = "********"  # noqa: S105 - stands for one
"""What a shown file has for a password; every format carries it."""


class _File(NamedTuple):
    """A file as it is shown."""

    path: str
    text: str


class PhonePage:
    """Shows phones."""

    def __init__(self, settings: Settings, rules: Rules, templates: Templates) -> None:
        self._templates = templates
        self._rules = rules
        # One, which remembers for all who look which templates take too much. It is for one
        # thread at a time, and its child ends with it.
        self._renderer = Renderer(provisioning_settings(settings))
        self._rendering = threading.Lock()
        weakref.finalize(self, self._renderer.close)

    def show(self, visit: Visit, serial: str | None) -> Response:
        """A phone; 404 when there is none, though there may be jobs of one that was.

        Args:
            visit: of who looks.
            serial: number in any form that findPhone takes; None asks for one.
        """
        serial = trim(visit.query().get("serial", "") if serial is None else serial)
        possible = bool(serial) and len(serial) <= TEXT_LIMIT and not has_control(serial)
        phone: phones.PhoneView | None = None
        files: Sequence[_File] = ()
        refusal: str | None = None
        jobs: Sequence[Any] = ()
        if possible:
            with availability():
                phone = self._find(visit.connection, serial)
                jobs = jobs_of(visit.connection, serial=phone.serial_number if phone else serial)
            if phone is not None:
                files, refusal = self._files(visit.connection, phone.serial_number)
        return self._templates.page(
            "phone.html",
            visit.request,
            404 if serial and phone is None else 200,
            serial=serial,
            phone=phone,
            model=None if phone is None else MODELS[phone.model_id],
            files=files,
            refusal=refusal,
            rows=jobs[:PIECE],
            more=len(jobs) > PIECE,
            token=token_of(visit.account),
        )

    def _find(self, connection: sa.Connection, serial: str) -> phones.PhoneView | None:
        query = Query(connection, self._rules, Problems())
        return next(iter(phones.find(query, Criterion("bySerialNumber", serial))), None)

    def _files(self, connection: sa.Connection, serial: str) -> tuple[Sequence[_File], str | None]:
        """The files that the phone would get now, and why it would get none."""
        with availability():
            phone = snapshots.by_serial(connection, serial)
        if phone is None:
            return (), None
        try:
            with self._rendering:
                # Whether the passwords fit is known only of the passwords.
                self._renderer.shown(phone)
                files = self._renderer.shown(_without_secrets(phone))
        except NotWritten as error:
            return (), str(error)
        return [_File(each.path, each.content.decode()) for each in files], None


def _without_secrets(phone: PhoneSnapshot) -> PhoneSnapshot:
    return replace(phone, lines=tuple(map(_without_secret, phone.lines)))


def _without_secret(line: LineSnapshot) -> LineSnapshot:
    if isinstance(line, ExternalLine):
        return replace(line, password=line.password and HIDDEN_PASSWORD)
    return replace(line, sip_password=line.sip_password and HIDDEN_PASSWORD)
