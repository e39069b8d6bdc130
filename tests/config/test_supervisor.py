"""The supervisor beside the real workers: what it makes of workers that fail, hang or are killed."""

import os
import signal
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from config.supervisor import ApplicationFailed, Supervisor
from tests.config.processes import free_port, wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        yield bound


@pytest.fixture
def supervisor(listener: socket.socket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Supervisor]:
    """One worker that is started at the first tick, without any server behind it."""
    for name, value in {
        "DATABASE_URL": f"postgresql://u:p@127.0.0.1:{free_port()}/shop",
        "REDIS_ENABLED": "false",
        "EMBEDDED": "false",
        "DRAIN_SECONDS": "0",
        "LOG_DIR": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    supervisor = Supervisor(1, listener)
    yield supervisor
    supervisor.stop(0, lambda: True)


def alive(listener: socket.socket) -> bool:
    """Whether a worker answers, which it does without its servers (F16)."""
    connection = HTTPConnection(*listener.getsockname(), timeout=0.3)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def worker_of(supervisor: Supervisor) -> int:
    (worker,) = supervisor.workers()
    return worker


def ticking(supervisor: Supervisor, listener: socket.socket) -> bool:
    supervisor.tick()
    return alive(listener) and supervisor.has_served


def test_workers_import_at_once_and_serve_when_told(supervisor: Supervisor, listener: socket.socket) -> None:
    supervisor.tick()
    for _ in range(5):
        assert not ticking(supervisor, listener)
    supervisor.serve()
    wait_for(lambda: ticking(supervisor, listener), "a worker to serve")


def test_an_application_that_cannot_start_is_reported(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_POOL_SIZE", "many")

    def tick() -> bool:
        supervisor.tick()
        return False

    with pytest.raises(ApplicationFailed, match="did not start"):
        wait_for(tick, "the failure")


def test_a_replacement_that_fails_is_tried_again(
    supervisor: Supervisor, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.serve()
    wait_for(lambda: ticking(supervisor, listener), "a worker to serve")
    first = worker_of(supervisor)
    monkeypatch.setenv("DB_POOL_SIZE", "many")
    os.kill(first, signal.SIGKILL)
    seen: set[int] = set()

    def two_have_failed() -> bool:
        supervisor.tick()
        seen.update(supervisor.workers())
        return len(seen - {first}) >= 2

    wait_for(two_have_failed, "two replacements")
    monkeypatch.delenv("DB_POOL_SIZE")
    wait_for(lambda: ticking(supervisor, listener), "a worker to serve again")


def test_a_worker_that_hangs_is_replaced(
    supervisor: Supervisor, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.serve()
    wait_for(lambda: ticking(supervisor, listener), "a worker to serve")
    monkeypatch.setattr("config.supervisor._SILENCE_SECONDS", 1.5)
    first = worker_of(supervisor)
    os.kill(first, signal.SIGSTOP)
    wait_for(lambda: ticking(supervisor, listener), "another worker to serve")
    assert worker_of(supervisor) != first


def test_stopping_leaves_no_worker_and_no_listener(supervisor: Supervisor, listener: socket.socket) -> None:
    supervisor.serve()
    wait_for(lambda: ticking(supervisor, listener), "a worker to serve")
    worker, address = worker_of(supervisor), listener.getsockname()
    supervisor.stop(30, lambda: False)
    assert supervisor.workers() == []
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
