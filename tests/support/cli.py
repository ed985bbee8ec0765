"""The command, as an administrator runs it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import sqlalchemy as sa

from tests.support import in_process

if TYPE_CHECKING:
    from collections.abc import Sequence

WAIT_SECONDS = 60
ALWAYS_PROCESSES = ("serve", "worker")

HEARS_CTRL_C = ("env", "--default-signal=INT")
"""What to put before a command that is interrupted: a shell has its background jobs ignore that."""


class Cli:
    """Runs the command with nothing but the given settings.

    It runs in the process of the tests as a rule: to start Python and load all modules takes far
    more time than most commands do. `process` and `popen` start one, for tests in which it matters:
    of signals, of closed or full streams, terminals and encodings, of other users, and of the
    embedded PostgreSQL, whose lock belongs to a process. ``serve`` and ``worker`` always have one,
    since they would take this process over.

    PINs that are hashed in this process cost little (see ``cheap_pins``).
    """

    def __init__(self, home: Path) -> None:
        # PYTHON…, too: output is buffered for users, whatever it is here.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SIPXCONFIG_", "PYTHON")) or name == "PYTHONPATH"
        }
        self.environ = inherited | {
            "HOME": str(home),
            "COLUMNS": "200",
            "SIPXCONFIG_DATA_DIR": str(home / "data"),
            "SIPXCONFIG_DOMAIN": "pbx.example.com",
        }

    def popen(
        self, *arguments: str, before: Sequence[str] = (), **more: Any
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "sipxconfig_soap", *arguments],
            env=self.environ,
            text=True,
            errors="surrogateescape",
            stdout=subprocess.PIPE,
            **more,
        )

    def process(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """The same as `run`, in a process of its own."""
        pipe = subprocess.PIPE
        with self.popen(*arguments, stdin=pipe, stderr=pipe) as process:
            output, errors = process.communicate(stdin, WAIT_SECONDS)
        assert "Traceback" not in errors
        return process.returncode, output, errors

    def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """The exit code, the output and the error output."""
        if arguments[0] in ALWAYS_PROCESSES:
            return self.process(*arguments, stdin=stdin)
        code, *written = in_process.run(self.environ, arguments, stdin)
        output, errors = map(_text, written)
        assert "Traceback" not in errors
        return code, output, errors

    def ok(self, *arguments: str, stdin: str = "") -> str:
        code, output, errors = self.run(*arguments, stdin=stdin)
        assert (code, errors) == (0, "")
        return output

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """The one sentence of a command that fails."""
        code, _, errors = self.run(*arguments, stdin=stdin)
        assert code == 1
        (line,) = errors.splitlines()
        assert line.startswith("Error: ")
        return line.removeprefix("Error: ")


def _text(written: bytes) -> str:
    """What a pipe in text mode makes of bytes."""
    text = written.decode(errors="surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Processes(Cli):
    """Runs each command in a process of its own."""

    def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        return self.process(*arguments, stdin=stdin)


def execute(url: str, statement: str, **values: object) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(statement), values)


class Server:
    """``serve`` on the embedded database of ``cli``, up to the line that says where it is."""

    def __init__(self, cli: Cli, *options: str) -> None:
        self.log = Path(cli.environ["HOME"]) / "log"
        with self.log.open("w") as log:
            self.process = cli.popen("serve", "--bind", "127.0.0.1:0", *options, stderr=log)
        assert self.process.stdout is not None
        self.printed: list[str] = []
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\n"))
            if line.startswith("Administrator: "):
                break
        self.url = next(
            line.removeprefix("Services: ") for line in self.printed if "Services: " in line
        )

    def status(self, pin: str) -> int:
        """The status of the list of services with this PIN of superadmin."""
        try:
            with self._open(pin) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    def page(self, pin: str) -> str:
        """The list of services as it is shown."""
        with self._open(pin) as answer:
            return str(answer.read().decode())

    def _open(self, pin: str) -> Any:
        login = base64.b64encode(f"superadmin:{pin}".encode()).decode()
        request = urllib.request.Request(self.url, headers={"Authorization": f"Basic {login}"})
        return urllib.request.urlopen(request, timeout=WAIT_SECONDS)

    def end(self, how: int) -> int:
        self.process.send_signal(how)
        assert self.process.stdout is not None
        rest = self.process.stdout.read()
        self.process.stdout.close()
        assert rest == ""
        return self.process.wait(WAIT_SECONDS)
