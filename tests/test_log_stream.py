"""A log that nobody reads stops nobody for ever."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from typing import TYPE_CHECKING, TextIO
from urllib.parse import urlsplit

import pytest
import structlog

from sipxconfig_soap import log_stream, logs
from sipxconfig_soap.log_stream import PatientStream
from tests.support.client import PIN, basic
from tests.support.server import _PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe: the end to read from, and a stream to write to."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        yield reading, stream
    os.close(reading)


def read(reading: int) -> str:
    os.set_blocking(reading, False)
    pieces = []
    try:
        while piece := os.read(reading, 65536):
            pieces.append(piece)
    except BlockingIOError:
        pass
    return b"".join(pieces).decode()


@contextmanager
def logging_to(stream: TextIO) -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.setup("info", stream=stream)
    try:
        yield
    finally:
        root.handlers[:] = before[0]
        logs.setup("warning", stream=io.StringIO())


def test_lines_without_a_reader_are_lost_and_counted(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, stream = pipe
    monkeypatch.setattr(log_stream, "PATIENCE_SECONDS", 0.2)
    logger = structlog.stdlib.get_logger("tests")
    with logging_to(stream):
        for number in range(1000):
            logger.info("line", number=number, text="ö" * 100)
        first = read(reading)
        logger.info("heard again")
        rest = read(reading)
    numbers = [int(line.split("number=")[1].split()[0]) for line in first.splitlines()[:-1]]
    assert numbers == list(range(len(numbers)))
    assert 5 < len(numbers) < 500
    heard, lost = rest.splitlines()[-2:]
    assert 'event="heard again"' in heard
    assert 'event="log lines were lost"' in lost
    assert int(lost.split("count=")[1]) >= 500


def test_a_reader_who_is_slow_loses_nothing(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    patient = PatientStream(stream)
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_READER], stdin=reading, stdout=subprocess.PIPE
    ) as reader:
        for number in range(200):
            patient.write(f"{number} {'x' * 500}\n")
        patient.write("end\n")
        stdout, _ = reader.communicate(timeout=60)
    assert [int(each) for each in stdout.split()] == list(range(200))


SLOW_READER = """
import sys, time
for line in sys.stdin:
    if line == "end\\n":
        break
    print(line.split()[0])
    time.sleep(0.005)
"""


def test_a_line_longer_than_the_pipe_is_written_whole(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    patient = PatientStream(stream)
    line = "é" * 100_000 + "\n"
    reader = os.fdopen(os.dup(reading), encoding="utf-8")
    with reader, ThreadPoolExecutor() as threads:
        read_all = threads.submit(reader.readline)
        patient.write(line)
    assert read_all.result() == line


def test_a_line_that_is_lost_on_the_way_ends_before_the_next(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, stream = pipe
    monkeypatch.setattr(log_stream, "PATIENCE_SECONDS", 0.1)
    patient = PatientStream(stream)
    patient.write("x" * 100_000 + "\n")
    assert set(read(reading)) == {"x"}
    patient.write("next\n")
    assert read(reading) == "\nnext\n"


def fill(descriptor: int) -> None:
    """Write until nobody can any more, as another process does that has the same log."""
    path = f"/proc/self/fd/{descriptor}"
    other = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(other, b"x" * 4096)
    except BlockingIOError:
        os.close(other)


class FilledMeanwhile:
    """A poll after whose answer another writer comes first."""

    def __init__(self, fill: Callable[[], None]) -> None:
        self._fill = fill

    def poll(self, _milliseconds: float) -> list[tuple[int, int]]:
        self._fill()
        return [(2, 4)]


def test_another_writer_who_fills_the_pipe_first_stops_nobody(
    pipe: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, stream = pipe
    monkeypatch.setattr(log_stream, "PATIENCE_SECONDS", 0.1)
    patient = PatientStream(stream)
    ready = patient._poll
    monkeypatch.setattr(patient, "_poll", FilledMeanwhile(lambda: fill(stream.fileno())))
    fill(stream.fileno())
    written(patient, "lost\n")
    assert set(read(reading)) == {"x"}
    monkeypatch.setattr(patient, "_poll", ready)
    patient.write("next\n")
    assert read(reading).startswith("next\n")


def test_a_socket_that_another_writer_fills_first_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_stream, "PATIENCE_SECONDS", 0.1)
    reading, writing = socket.socketpair()

    def fill_it() -> None:
        with suppress(BlockingIOError):
            while True:
                writing.send(b"x" * 4096, socket.MSG_DONTWAIT)

    with reading, writing, os.fdopen(os.dup(writing.fileno()), "w") as stream:
        patient = PatientStream(stream)
        ready = patient._poll
        monkeypatch.setattr(patient, "_poll", FilledMeanwhile(fill_it))
        fill_it()
        written(patient, "lost\n")
        assert set(read(reading.fileno())) == {"x"}
        monkeypatch.setattr(patient, "_poll", ready)
        patient.write("next\n")
        assert read(reading.fileno()).startswith("next\n")
        assert os.get_blocking(writing.fileno())


def written(patient: PatientStream, line: str) -> None:
    """Write in a thread of its own, so that a test whose write blocks ends."""
    thread = threading.Thread(target=patient.write, args=(line,), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_two_processes_share_a_pipe_that_nobody_reads(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
    command = [sys.executable, "-c", TWO_WRITERS]
    writers = [subprocess.Popen(command, stderr=stream, text=True) for _ in range(2)]
    try:
        assert [writer.wait(60) for writer in writers] == [0, 0]
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert all(set(line) in ({"y"}, set()) for line in read(reading).splitlines())
    # What is ours alone stays so.
    assert os.get_blocking(stream.fileno())


TWO_WRITERS = """
import sys
from sipxconfig_soap import log_stream
log_stream.PATIENCE_SECONDS = 0.2
patient = log_stream.PatientStream(sys.stderr)
for _ in range(3000):
    patient.write("y" * 99 + "\\n")
"""


def test_a_log_whose_reader_is_gone_stops_nobody(pipe: tuple[int, TextIO]) -> None:
    reading, stream = pipe
    with logging_to(stream):
        gone = os.dup(reading)
        os.close(gone)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, reading)
        os.close(null)
        structlog.stdlib.get_logger("tests").warning("nobody hears it")


def test_streams_without_a_descriptor_are_written_as_ever() -> None:
    stream = io.StringIO()
    with logging_to(stream):
        structlog.stdlib.get_logger("tests").info("hello")
    assert "event=hello" in stream.getvalue()


@pytest.mark.usefixtures("database")
def test_a_server_whose_log_nobody_reads_goes_on(database_url: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    environment = {
        **os.environ,
        "SIPXCONFIG_DATABASE_URL": database_url,
        "SIPXCONFIG_BIND": "127.0.0.1:0",
        "SIPXCONFIG_DATA_DIR": str(tmp_path / "data"),
        "SIPXCONFIG_WORKERS": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, "serve", "--no-worker"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=writing,
        text=True,
    ) as server:
        os.close(writing)
        try:
            assert server.stdout is not None
            parts = urlsplit(server.stdout.readline().split()[1])
            for _ in range(100):
                connection = HTTPConnection(str(parts.hostname), parts.port, timeout=30)
                headers = {"Authorization": basic("superadmin", PIN)}
                connection.request("GET", parts.path, headers=headers)
                assert connection.getresponse().status == 200
                connection.close()
            server.terminate()
            assert server.wait(40) == 0
        finally:
            server.kill()
            os.close(reading)
