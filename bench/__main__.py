"""``python -m bench``: the command line."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench import report
from bench.measure import Differs, Options, measure
from bench.profiles import PHONES, measure_profiles
from bench.stage import opened
from bench.workloads import WORKLOADS, Workload

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORT = Options(users=1_000, seconds=0.5, rounds=1, connections=(8,), fresh=False)
"""What ``--short`` measures: enough to see that everything works, and orders of magnitude."""

SHORT_USERS = 10_000
"""The most users that ``--short`` stores."""


def _connections(_context: click.Context, _parameter: click.Parameter, text: str) -> list[int]:
    try:
        counts = [int(each) for each in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise click.BadParameter("numbers separated by commas, such as 1,8,32")
    return counts


@click.command()
@click.option(
    "--users",
    type=click.IntRange(min=1000),
    default=10_000,
    show_default=True,
    help="Users that are stored.",
)
@click.option("--seconds", default=2.0, show_default=True, help="Length of every load.")
@click.option("--rounds", default=5, show_default=True, help="How often both sides are measured.")
@click.option(
    "--connections",
    default="1,8,32",
    show_default=True,
    callback=_connections,
    help="Numbers of connections at once.",
)
@click.option("--only", multiple=True, metavar="NAME", help="Workloads whose name begins so.")
@click.option(
    "--growth/--no-growth",
    default=True,
    show_default=True,
    help="Small calls with 1,000, 100,000 and 1,000,000 users stored, too.",
)
@click.option("--profiles", is_flag=True, help="The profiles of 1,000 phones, and nothing else.")
@click.option("--short", is_flag=True, help="A quick look; the numbers mean little.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, no table.")
def main(
    *,
    only: Sequence[str],
    growth: bool,
    profiles: bool,
    short: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Measure the server beside a bare application, the floor, in one run."""
    # Everything that was started is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if not Path("/proc/self/stat").exists():
        raise click.ClickException("The benchmark reads /proc, so it needs Linux.")
    if profiles:
        _measure_profiles()
        return
    options = SHORT if short else Options(**chosen)
    workloads = _chosen(only, growth=growth, short=short)
    if not as_json:
        click.echo(f"{report.machine(options)}\n{options}\n\n{report.HEADING}")
    results = []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        opened(Path(directory)) as stage,
    ):
        # Users are added and never removed.
        for workload in sorted(workloads, key=lambda each: each.users or options.users):
            try:
                for result in measure(stage, workload, options, _note):
                    results.append(result)
                    if not as_json:
                        click.echo(report.lines(result))
            except Differs as error:
                raise click.ClickException(str(error)) from error
    click.echo(report.as_json(options, results) if as_json else f"\n{report.summary(results)}")
    if wrong := sum(each.server.errors + each.floor.errors for each in results):
        raise click.ClickException(f"{wrong} answers were errors, so the figures mean nothing.")


def _measure_profiles() -> None:
    """Print how fast workers write the profiles of all phones."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        opened(Path(directory)) as stage,
    ):
        stage.store.grow(PHONES)
        for workers in (1, 2):
            found = measure_profiles(
                stage.directory / f"workers-{workers}",
                stage.url,
                stage.postgres_pid,
                workers=workers,
            )
            click.echo(
                f"{found.phones} phones, {workers} workers: {found.seconds:.1f} s; processor "
                f"seconds: workers {found.worker_cpu:.1f}, PostgreSQL {found.postgres_cpu:.1f}; "
                f"{found.rate_per_core:.0f} phones per second and core"
            )


def _chosen(only: Sequence[str], *, growth: bool, short: bool) -> list[Workload]:
    """The workloads to measure."""
    found = [
        each
        for each in WORKLOADS
        if (each.name.startswith(tuple(only)) if only else growth or not each.growth_of)
        and not (short and (each.growth_of or (each.users or 0) > SHORT_USERS))
    ]
    if not found:
        names = ", ".join(each.name for each in WORKLOADS)
        raise click.ClickException(f"There is no such workload: {names}")
    return found


def _note(text: str) -> None:
    """Tell somebody who waits what is going on."""
    if sys.stderr.isatty():
        click.echo(f"  {text}", err=True)


if __name__ == "__main__":
    main()
