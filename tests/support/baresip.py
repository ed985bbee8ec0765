"""A phone with a voice: baresip, which sends a tone and shows how much it sends and hears."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import wave
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.kamailio import DOMAIN, SERVER, free_port
from tests.support.worker import LIMIT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BARESIP = shutil.which("baresip")

_CONFIGURATION = """
sip_listen {address}:{port}
audio_source aufile,{directory}/tone.wav
audio_alert aufile,{directory}/tone.wav
audio_player aubridge,{port}
module_path /usr/lib/baresip/modules
module stdio.so
module g711.so
module aufile.so
module aubridge.so
module_app account.so
module_app menu.so
"""


class Baresip:
    """A running baresip; its output is ``printed``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.printed = ""
        self._process = process
        threading.Thread(target=self._read, daemon=True).start()

    def say(self, command: str) -> None:
        """Type a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def wait_for(self, pattern: str) -> None:
        """Wait until it prints something like this."""

        def found() -> bool:
            return re.search(pattern, self.printed) is not None

        wait_for(lambda: found() or self._process.poll() is not None)
        assert found(), self.printed

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.printed += line


@contextmanager
def baresip(directory: Path, port: int, user: str, login: str, password: str) -> Iterator[Baresip]:
    """A baresip that registers through Kamailio at a port, and answers every call."""
    directory.mkdir()
    own = free_port()
    with wave.open(str(directory / "tone.wav"), "wb") as tone:
        tone.setparams((1, 2, 8000, 0, "NONE", "NONE"))
        tone.writeframes(bytes(4 * [0, 0] + 4 * [0, 32]) * 1000 * 20)
    values = {"directory": directory, "address": SERVER, "port": own}
    (directory / "config").write_text(_CONFIGURATION.format(**values))
    (directory / "accounts").write_text(
        f"<sip:{user}@{DOMAIN}>;auth_user={login};auth_pass={password};answermode=auto;"
        f'outbound="sip:{SERVER}:{port}";regint=60\n'
    )
    (directory / "contacts").touch()
    assert BARESIP is not None
    process = subprocess.Popen(
        [BARESIP, "-f", str(directory), "-n", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        yield Baresip(process)
    finally:
        process.terminate()
        process.wait(LIMIT)
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
