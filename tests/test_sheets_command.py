"""The commands for CSV files: how they end, and what they read and write (docs/migration.md)."""

from __future__ import annotations

import os
import pty
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import HEARS_CTRL_C, WAIT_SECONDS, Cli
from tests.support.sheets import USERS_HEAD, Sheets

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.system import System


@pytest.fixture
def command(system: System, tmp_path: Path, database_url: str) -> Sheets:  # noqa: ARG001 - emptied
    cli = Cli(tmp_path)
    cli.environ["SIPXCONFIG_DATABASE_URL"] = database_url
    return Sheets(cli, "users", tmp_path, USERS_HEAD)


def test_ctrl_c_while_pins_are_hashed(command: Sheets, system: System) -> None:
    """It ends soon, says so, and nothing has changed."""
    before = system.dump()
    path = command.write(*(f"{10_000 + number},{number}" for number in range(20_000)))
    main, terminal = pty.openpty()
    with command.cli.popen(
        "users", "import", "--apply", path, before=HEARS_CTRL_C, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = b""
        while b"Hashing PINs" not in shown:
            shown += os.read(main, 4096)
        process.send_signal(signal.SIGINT)
        while True:
            try:
                shown += os.read(main, 4096)
            except OSError:  # nobody has the terminal open any more
                break
        assert process.wait(WAIT_SECONDS) == 1
    os.close(main)
    assert b"Aborted!" in shown
    assert b"Traceback" not in shown
    assert b"Reading rows" not in shown
    assert system.dump() == before


def test_standard_input_and_output(command: Sheets, system: System) -> None:
    text = f"{USERS_HEAD}\n201,1,,,Zo\xeb\n"
    said = command.cli.process("users", "import", "--apply", "-", stdin=text)
    assert said == (0, "Done; added: 1, changed: 0, unchanged: 0.\n", "")
    assert system.user("201")["firstName"] == "Zo\xeb"
    code, written, errors = command.cli.process("users", "export", "-")
    assert (code, errors) == (0, "")
    command.export()
    assert written == command.path.read_text("utf-8")


def test_standard_output_that_is_full_and_input_that_is_closed(command: Sheets) -> None:
    for arguments, redirected, sentence in (
        (["export", "-"], ">/dev/full", "- cannot be written: No space left on device."),
        (["export", "-"], ">&-", "- cannot be written: Bad file descriptor."),
        (["import", "-"], "<&-", "- cannot be read: Bad file descriptor."),
    ):
        shell = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-m"]
        run = subprocess.run(
            [*shell, "sipxconfig_soap", "users", *arguments],
            check=False,
            env=command.cli.environ,
            capture_output=True,
            text=True,
        )
        assert (run.returncode, run.stderr) == (1, f"Error: {sentence}\n")


def test_what_is_no_plain_file(command: Sheets, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said = command.cli.fails("users", "export", "--force", str(pipe))
    assert said == f"{pipe} cannot be written: it is no plain file."
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    for way in ("import", "export"):
        code, _, errors = command.cli.run("users", way, str(tmp_path))
        assert code == 2
        assert errors.endswith(f"File '{tmp_path}' is a directory.\n")
