"""Health and metrics at ``SIPXCONFIG_MANAGEMENT_BIND``, for ``serve`` and for a worker alone."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sipxconfig_soap.management import COUNTERS, Watch, serving
from sipxconfig_soap.setting_values import host_and_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipxconfig_soap.db import Database
    from sipxconfig_soap.settings import Settings


@contextmanager
def watched(
    settings: Settings, database: Database, ready: Callable[[], tuple[int, str]]
) -> Iterator[None]:
    """Serve health and metrics at an address of their own, where one is set.

    Args:
        settings: with the address.
        database: with the jobs. Processes that are forked later leave its connections alone, as
            psycopg2 does with those of another process.
        ready: finds out whether the program can work; see `Watch`.
    """
    if settings.management_bind is None:
        yield
        return
    directory, owner = tempfile.mkdtemp(prefix="sipxconfig-soap-metrics-"), os.getpid()
    os.environ[COUNTERS] = directory
    from sipxconfig_soap.scrape import exposition  # noqa: PLC0415 - see COUNTERS

    try:
        watch = Watch(ready, exposition(directory, database))
        with serving(host_and_port(settings.management_bind), watch) as at:
            click.echo(f"Management: {at}")
            yield
    finally:
        # Forks leave by the same way.
        if os.getpid() == owner:
            shutil.rmtree(directory, ignore_errors=True)
