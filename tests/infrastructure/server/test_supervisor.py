"""The supervisor beside real processes: what it makes of workers that fail, hang, are killed, or cannot be started."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from tests.infrastructure.processes import wait_for

pytestmark = pytest.mark.integration


class Supervised:
    """The program `supervised.py`, and what it says."""

    def __init__(self, folder: Path, silence_seconds: float = 1.0) -> None:
        self.output, self.errors = folder / "output", folder / "errors"
        with self.output.open("w") as output, self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    str(PROJECT_ROOT / "tests" / "infrastructure" / "server" / "supervised.py"),
                    str(folder),
                    str(silence_seconds),
                ],
                env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
                stdout=output,
                stderr=errors,
            )

    def states(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.output.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def worker(self) -> int | None:
        """The pid of the worker there is."""
        states = self.states()
        workers = states[-1]["workers"] if states else []
        assert isinstance(workers, list)
        return workers[0] if workers else None

    def ask_for(self, path: str) -> socket.socket:
        """A connection on which this is asked for."""
        connection = socket.create_connection(("127.0.0.1", int(str(self.states()[-1]["port"]))), timeout=60)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        return connection

    def until_it_serves(self) -> int:
        wait_for(lambda: self.states() and self.states()[-1]["served"] and self.worker(), self.errors.read_text())
        worker = self.worker()
        assert worker is not None
        return worker

    def until_there_is_another(self, worker: int) -> int:
        wait_for(lambda: self.worker() not in (None, worker), "another worker")
        another = self.worker()
        assert another is not None
        return another


@pytest.fixture
def supervised(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervised]:
    """One that takes a worker for hanging that says nothing for a second, or for as long as the test's parameter."""
    supervised = Supervised(tmp_path, getattr(request, "param", 1.0))
    yield supervised
    supervised.process.kill()
    supervised.process.wait()


def test_killed_and_hanging_workers_are_replaced_and_none_is_left_at_the_end(supervised: Supervised) -> None:
    first = supervised.until_it_serves()
    os.kill(first, signal.SIGKILL)
    second = supervised.until_there_is_another(first)
    assert f"Worker {first} died (exit code -9) and is replaced" in supervised.errors.read_text()
    os.kill(second, signal.SIGSTOP)
    third = supervised.until_there_is_another(second)
    assert f"Worker {second} hangs and is ended" in supervised.errors.read_text()
    supervised.process.terminate()
    assert supervised.process.wait(60) == 0
    assert supervised.states()[-1]["workers"] == []
    for worker in (first, second, third):
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(str(supervised.states()[-1]["port"]))))


@pytest.mark.parametrize("path", ["/sleep", "/spin"])
def test_a_worker_whose_event_loop_hangs_is_replaced(supervised: Supervised, path: str) -> None:
    first = supervised.until_it_serves()
    with supervised.ask_for(path) as connection:
        second = supervised.until_there_is_another(first)
        assert connection.recv(1) == b""
    errors = supervised.errors.read_text()
    assert f"Worker {first} hangs and is ended" in errors
    assert "in hang\n" in errors
    with supervised.ask_for("/busy") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert supervised.until_it_serves() == second


@pytest.mark.slow
def test_a_worker_that_is_only_busy_is_not_replaced(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, silence_seconds=4.0)
    try:
        worker = supervised.until_it_serves()
        with supervised.ask_for("/busy") as connection:
            for _ in range(20):
                connection.sendall(b"GET /busy HTTP/1.1\r\nHost: shop\r\n\r\n")
                assert connection.recv(100)
        assert supervised.worker() == worker
    finally:
        supervised.process.kill()
        supervised.process.wait()


@pytest.mark.parametrize("supervised", [3.0], indirect=True)
def test_time_that_the_launcher_was_stopped_for_does_not_count_as_silence(supervised: Supervised) -> None:
    worker = supervised.until_it_serves()
    supervised.process.send_signal(signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        supervised.process.wait(3.4)
    supervised.process.send_signal(signal.SIGCONT)
    with pytest.raises(subprocess.TimeoutExpired):
        supervised.process.wait(0.5)
    assert supervised.worker() == worker


def test_an_application_that_cannot_start_is_reported(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    supervised = Supervised(tmp_path)
    assert supervised.process.wait(60) == 1
    assert supervised.errors.read_text() == ("The application did not start (exit code 3); what it said is above\n")


def test_a_replacement_that_fails_is_tried_again(supervised: Supervised, tmp_path: Path) -> None:
    first = supervised.until_it_serves()
    (tmp_path / "broken").touch()
    os.kill(first, signal.SIGKILL)

    def failures() -> int:
        return supervised.errors.read_text().count("(exit code 3)")

    wait_for(lambda: failures() >= 2, "two replacements to fail")
    (tmp_path / "broken").unlink()
    # One may have seen the file and not yet have failed.
    most = failures() + 1
    with supervised.ask_for("/busy") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert failures() <= most


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_worker_that_the_system_does_not_allow_is_tried_again(supervised: Supervised) -> None:
    first = supervised.until_it_serves()
    before = resource.prlimit(supervised.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(supervised.process.pid, resource.RLIMIT_NOFILE, (0, before[1]))
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: "No worker can be started" in supervised.errors.read_text(), "the refusal")
    wait_for(lambda: supervised.worker() is None, "the state to be told")
    resource.prlimit(supervised.process.pid, resource.RLIMIT_NOFILE, before)
    supervised.until_there_is_another(first)
