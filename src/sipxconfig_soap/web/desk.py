"""Which page is where: the pages that people use beside those of the services (wire.md §8)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sipxconfig_soap.web.pages import Pages
from sipxconfig_soap.web.pages_changes import CHANGES, ChangesPage
from sipxconfig_soap.web.pages_jobs import JOBS, JobsPage
from sipxconfig_soap.web.pages_phone import PHONES, PhonePage
from sipxconfig_soap.web.request import SERVICES
from sipxconfig_soap.web.templates import Templates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipxconfig_soap.domain.rules import Rules
    from sipxconfig_soap.settings import Settings
    from sipxconfig_soap.soap.endpoint import Endpoint
    from sipxconfig_soap.web.fields import Fields, Visit
    from sipxconfig_soap.web.responses import Response


class Page(NamedTuple):
    """A page at a path.

    Attributes:
        route: the path in our words, for the log.
        show: makes it.
        submit: answers its form; None when it has none that changes anything.
    """

    route: str
    show: Callable[[Visit], Response]
    submit: Callable[[Visit, Fields], Response] | None = None


class Desk:
    """Finds pages.

    Attributes:
        pages: those of the services.
    """

    def __init__(self, settings: Settings, rules: Rules, endpoints: Mapping[str, Endpoint]) -> None:
        templates = Templates()
        self.pages = Pages(endpoints, templates)
        jobs = JobsPage(templates)
        self._phone = PhonePage(settings, rules, templates)
        found = [
            Page(JOBS, jobs.show, jobs.retry),
            Page(CHANGES, ChangesPage(endpoints, templates).show),
            Page(PHONES, partial(self._phone.show, serial=None)),
            *(
                Page(
                    f"{SERVICES}/{name}/{operation.name}",
                    partial(self.pages.operation, endpoint, operation),
                    partial(self.pages.submit, endpoint, operation, rules=rules),
                )
                for name, endpoint in endpoints.items()
                for operation in endpoint.operations
            ),
        ]
        self._at = {page.route: page for page in found}

    def find(self, path: str) -> Page | None:
        """The page at a path, decoded as WSGI does it."""
        start = f"{PHONES}/"
        if path.startswith(start) and len(path) > len(start):
            serial = path[len(start) :].encode("latin-1").decode(errors="replace")
            return Page(start, partial(self._phone.show, serial=serial))
        return self._at.get(path)
