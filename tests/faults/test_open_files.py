"""A low limit of open files: newcomers are served or refused, and never reset."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.infrastructure.processes import wait_for
from tests.shop import environment_of, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

OPEN_FILES = 256
# The rest is kept for other files.
ROOM = 128
REQUEST = b"GET /categories?limit=1 HTTP/1.1\r\nHost: shop\r\n\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def address(database_url: str, redis_url: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Of a shop of one worker that may open few files."""
    environment = environment_of(database_url, redis_url, folder, TIMEOUT_KEEP_ALIVE="60", TIMEOUT_HEAD="60")
    with shop_processes(environment, 1, OPEN_FILES, folder / "errors") as (url, _):
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


def status_of(connection: socket.socket) -> int:
    """The status of the response that comes; 0 if the connection is closed in good order instead."""
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(65536)
        if not received:
            return 0
        head += received
    return int(head.split(b" ")[1])


@pytest.mark.parametrize("have_asked", [False, True])
def test_newcomers_are_served_or_refused(address: tuple[str, int], have_asked: bool) -> None:
    with ExitStack() as stack:
        for _ in range(2 * OPEN_FILES):
            connection = stack.enter_context(socket.create_connection(address, timeout=60))
            if have_asked:
                connection.sendall(REQUEST)
                assert status_of(connection) in (200, 503)
        for _ in range(20):
            newcomer = stack.enter_context(socket.create_connection(address, timeout=60))
            newcomer.sendall(REQUEST)
            assert status_of(newcomer) == (503 if have_asked else 200)


def test_the_start_and_the_log_tell_of_it(address: tuple[str, int], folder: Path) -> None:
    errors = (folder / "errors").read_text()
    assert errors.count(f"room for {ROOM} connections per worker; LIMIT_CONCURRENCY is 1000") == 1
    log = folder / "logs" / "app.log"
    with ExitStack() as stack:
        for _ in range(2 * ROOM):
            stack.enter_context(socket.create_connection(address, timeout=60))
        wait_for(lambda: "closed that had sent no request, to make room" in log.read_text(), "the line")
