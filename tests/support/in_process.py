"""A command in the process of the tests: it finds what it would find in one of its own."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import warnings
from contextlib import ExitStack, chdir, contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from click.testing import CliRunner

from sipxconfig_soap.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ATTRIBUTES: tuple[tuple[Any, str], ...] = (
    (logging, "raiseExceptions"),
    (logging, "logThreads"),
    (logging, "logProcesses"),
    (logging, "logMultiprocessing"),
    (logging, "_srcfile"),
    (logging, "_warnings_showwarning"),
    (warnings, "showwarning"),
    (tempfile, "tempdir"),
)
"""What commands set for their whole process, or a library for them."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(
    environ: Mapping[str, str], arguments: Sequence[str], stdin: str = ""
) -> tuple[int, bytes, bytes]:
    """Run the command, and leave no trace of it in this process.

    Args:
        environ: all the environment that it sees.
        arguments: those of the command.
        stdin: what it can read; as from a pipe, not a terminal.

    Returns:
        The exit code, the output and the error output.

    Raises:
        Exception: what a process would have ended with in a traceback.
    """
    with _environment(environ), _state_put_back():
        result = CliRunner().invoke(
            main,
            arguments,
            input=stdin.encode(errors="surrogateescape"),
            catch_exceptions=False,
            prog_name="sipxconfig-soap",
        )
    return result.exit_code, result.stdout_bytes, result.stderr_bytes


@contextmanager
def _environment(environ: Mapping[str, str]) -> Iterator[None]:
    """Have exactly this environment for as long as the context lasts."""
    before = dict(os.environ)
    _become(environ)
    try:
        yield
    finally:
        _become(before)


def _become(environ: Mapping[str, str]) -> None:
    # What stays is not touched: libpq reads it in other threads.
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    for name, value in environ.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


@contextmanager
def _state_put_back() -> Iterator[None]:
    """Put back what a command sets for its whole process: logging, signals and the like."""
    root, found = logging.root, structlog.get_config()
    handlers, levels = root.handlers[:], {each: each.level for each in _loggers()}
    with ExitStack() as stack:
        stack.enter_context(chdir("."))
        for each in _SIGNALS:
            stack.callback(signal.signal, each, signal.getsignal(each))
        for module, name in _ATTRIBUTES:
            stack.callback(setattr, module, name, getattr(module, name))
        try:
            yield
        finally:
            structlog.configure(**found)
            root.handlers[:] = handlers
            for logger, level in levels.items():
                if logger.level != level:
                    logger.setLevel(level)


def _loggers() -> list[logging.Logger]:
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(each for each in known if isinstance(each, logging.Logger))]
