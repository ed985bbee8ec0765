"""``python -m bench``: the command line."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from bench import floor
from bench.load import Wrong
from bench.measure import FEW, Measuring
from bench.stage import Stage
from bench.workloads import WORKLOADS
from sipxconfig_soap import logs
from sipxconfig_soap.embedded import EmbeddedPostgres

USUAL = {"users": 10_000, "longest": 100_000}
SHORT = {"users": FEW, "longest": 2_000, "rounds": 1, "seconds": 1, "connections": [8]}
"""What ``--short`` measures: enough to see that everything works, and orders of magnitude."""

_HEADING = f"{'call':<23} {'conn':>4}  {'figure':<22} {'':<31} {'target':<12}  answers per second"


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, help="How often each is measured.")
@click.option("--seconds", type=click.IntRange(1), default=2, help="Length of every load.")
@click.option("--connections", multiple=True, type=click.IntRange(1), default=(1, 8, 32))
@click.option("--growth", is_flag=True, help="Small calls with a million users, too: minutes more.")
@click.option("--only", multiple=True, metavar="NAME", help="Calls whose name begins so.")
@click.option("--short", is_flag=True, help="A quick look; the figures mean little.")
@click.option("--floor", "as_floor", is_flag=True, hidden=True, help="Serve the floor.")
def main(*, short: bool, as_floor: bool, **chosen: Any) -> None:
    """Measure the server beside the floor, the least that the same libraries can do, in one run.

    A figure is the median of the rounds, and what they lie between; of two sides it is the ratio
    within a round. What a machine shows that does other things as well means little; nothing fails
    by it.
    """
    logs.setup("warning")
    if as_floor:
        floor.serve(WORKLOADS)
    # Everything that was started is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen |= SHORT if short else USUAL
    client = "wrk" if shutil.which("wrk") else "our own client, which takes a part of the time"
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}, load by {client}"
    sizes = "{users:,} users stored, {rounds} rounds of {seconds} s".format(**chosen)
    click.echo(f"{machine}; {sizes}\n\n{_HEADING}")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        # Where this is root, PostgreSQL runs as another user.
        directory.chmod(0o711)
        with EmbeddedPostgres(directory / "data") as postgres:
            try:
                for row in Measuring(Stage(directory, postgres), **chosen).rows():
                    click.echo(str(row))
            except Wrong as error:
                raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
