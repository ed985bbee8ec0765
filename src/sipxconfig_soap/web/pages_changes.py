"""The page of changes: the audit log, by person, kind and time (wire.md §8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipxconfig_soap.availability import availability
from sipxconfig_soap.domain.audit import Chosen, newest_entries
from sipxconfig_soap.web.listing import PIECE, Listing
from sipxconfig_soap.web.pages_jobs import RETRY, SERVICE
from sipxconfig_soap.web.request import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipxconfig_soap.soap.endpoint import Endpoint
    from sipxconfig_soap.web.fields import Visit
    from sipxconfig_soap.web.responses import Response
    from sipxconfig_soap.web.templates import Templates

CHANGES = f"{ROOT}/changes"
"""The path of the page."""

NAMES = 20
"""Entities of a change that are named; of the others the number."""


class ChangesPage:
    """Shows entries of the audit log, the newest first."""

    def __init__(self, endpoints: Mapping[str, Endpoint], templates: Templates) -> None:
        self._templates = templates
        self._kinds: dict[str, list[str]] = {
            name: [each.name for each in endpoint.operations if each.writes]
            for name, endpoint in endpoints.items()
            if any(each.writes for each in endpoint.operations)
        }
        self._kinds |= {SERVICE: [RETRY], "command line": []}

    def show(self, visit: Visit) -> Response:
        """The entries that the query chooses."""
        listing = Listing(visit.query())
        service, _, operation = (listing.text("kind") or "").partition("/")
        chosen = Chosen(
            since=listing.moment("since"),
            until=listing.moment("until"),
            user=listing.text("user"),
            service=service or None,
            operation=operation or None,
            before=listing.before,
        )
        found: Sequence[Any] = ()
        if not listing.problems and not listing.nothing:
            with availability():
                found = newest_entries(visit.connection, chosen, limit=PIECE + 1, names=NAMES)
        return self._templates.page(
            "changes.html",
            visit.request,
            listing.status,
            listing=listing,
            rows=found[:PIECE],
            older=listing.older(found),
            kinds=self._kinds,
        )
