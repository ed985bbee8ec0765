"""The page of jobs: what is done for phones, and trying again (wire.md §8, phones.md §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import structlog

from sipxconfig_soap.availability import availability
from sipxconfig_soap.domain import audit
from sipxconfig_soap.domain.jobs import STATES, newest_jobs
from sipxconfig_soap.jobs.upkeep import ALL_FAILED, retry_failed
from sipxconfig_soap.transactions import change
from sipxconfig_soap.web.fields import check_known, token_of
from sipxconfig_soap.web.listing import NUMBER, PIECE, Listing
from sipxconfig_soap.web.request import ROOT
from sipxconfig_soap.web.responses import Refusal, plain, see_other

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from sipxconfig_soap.transactions import Receipt
    from sipxconfig_soap.web.fields import Fields, Visit
    from sipxconfig_soap.web.responses import Response
    from sipxconfig_soap.web.templates import Templates

JOBS = f"{ROOT}/jobs"
"""The path of the page."""

SERVICE, RETRY = "pages", "retryJobs"
"""What the audit log calls a retry from here."""

_EVERY = "all"
_CHOICE = ("state", "serial")
_FIELDS = frozenset({"retry", *_CHOICE})

logger = structlog.stdlib.get_logger(__name__)


class JobsPage:
    """Shows jobs, the newest first."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def show(self, visit: Visit) -> Response:
        """The jobs that the query chooses; how many wait again after a retry."""
        listing = Listing(visit.query())
        chosen: dict[str, Any] = {
            "state": listing.one_of("state", STATES),
            "serial": listing.text("serial"),
            "before": listing.before,
        }
        again = listing.number("again")
        found: Sequence[Any] = ()
        if not listing.problems and not listing.nothing:
            found = jobs_of(visit.connection, **chosen)
        return self._templates.page(
            "jobs.html",
            visit.request,
            listing.status,
            listing=listing,
            again=again,
            rows=found[:PIECE],
            older=listing.older(found),
            states=STATES,
            token=token_of(visit.account),
        )

    def retry(self, visit: Visit, sent: Fields) -> Response:
        """Let failed jobs wait again, one or all, and show the jobs.

        Raises:
            Refusal: with 400; it does not say which, or says what the form does not have.
        """
        check_known(sent, _FIELDS)
        which = sent.get("retry", "")
        if which != _EVERY and not NUMBER.fullmatch(which):
            raise Refusal(plain(400, "retry is neither the number of a job nor all."))
        ids = None if which == _EVERY else [int(which)]
        entities = [ALL_FAILED] if ids is None else [f"job {ids[0]}"]
        who = {"administrator": visit.account.user_name, "address": visit.request.address}
        what = {"service": SERVICE, "operation": RETRY, "outcome": audit.DONE}

        def work(connection: sa.Connection) -> tuple[int, Receipt | None]:
            count = retry_failed(connection, ids)
            if not count:
                return 0, None
            return count, audit.record(connection, audit.Entry(**who, **what, entities=entities))

        count, _ = change(visit.connection, work, receipt=lambda worked: worked[1])
        if count:
            logger.info("change", **who, **what, entities=entities, count=count)
        query = {name: sent[name] for name in _CHOICE if sent.get(name)}
        query["again"] = str(count)
        return see_other(f"{visit.request.path_prefix}{JOBS}?{urlencode(query)}")


def jobs_of(connection: sa.Connection, **chosen: Any) -> Sequence[Any]:
    """The newest jobs of those chosen, one more than are shown at a time.

    Raises:
        Unavailable: the database is away.
    """
    with availability():
        return newest_jobs(connection, **chosen, limit=PIECE + 1)
