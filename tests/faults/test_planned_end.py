"""Workers that have served LIMIT_MAX_REQUESTS are relieved, and no client notices."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from subprocess import Popen

import pytest

from tests.bounds import Bounds, timed
from tests.faults.test_workers import workers_of
from tests.shop import environment_of, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CLIENTS = 4
SECONDS = 60
# A body that takes six seconds.
PARTS, PART_BYTES = 60, 500


class Generations:
    """The workers that a launcher has had."""

    def __init__(self, launcher: Popen[bytes]) -> None:
        self._launcher = launcher
        self.seen: set[int] = set()
        self.most_at_once = 0

    def look(self) -> int:
        """How many there were so far."""
        now = workers_of(self._launcher)
        self.seen |= now
        self.most_at_once = max(self.most_at_once, len(now))
        return len(self.seen)


def keep_asking(url: str, enough: Callable[[], bool]) -> int:
    """Ask on one connection, which is opened anew only where the answer said that it closes. Returns how often it did."""
    connection, reopened = HTTPConnection(url.removeprefix("http://"), timeout=30), 0
    while not enough():
        if connection.sock is None:
            connection.connect()
            reopened += 1
        connection.request("GET", "/categories?limit=1")
        response = connection.getresponse()
        response.read()
        assert response.status == 200
    connection.close()
    return reopened


@pytest.fixture(params=[pytest.param(1, marks=pytest.mark.chaos), 2])
def shop(
    request: pytest.FixtureRequest, database: str, redis_url: str, tmp_path: Path
) -> Iterator[tuple[str, Popen[bytes]]]:
    """A shop whose workers leave after some hundred requests."""
    environment = environment_of(database, redis_url, tmp_path, LIMIT_MAX_REQUESTS="300", DRAIN_SECONDS="1")
    with shop_processes(environment, workers=request.param) as running:
        yield running


def test_no_request_on_a_connection_that_is_kept_alive_is_lost(shop: tuple[str, Popen[bytes]]) -> None:
    url, launcher = shop
    generations, deadline = Generations(launcher), time.monotonic() + SECONDS
    first = generations.look()

    def enough() -> bool:
        return generations.look() >= first + 3 or time.monotonic() > deadline

    with ThreadPoolExecutor(CLIENTS) as clients:
        reopened = sum(clients.map(lambda _: keep_asking(url, enough), range(CLIENTS)))
    assert generations.look() >= first + 3
    assert generations.most_at_once <= first + 1
    assert reopened > CLIENTS


def test_the_shop_goes_on_while_one_body_is_open(shop: tuple[str, Popen[bytes]], bounds: Bounds) -> None:
    url, launcher = shop
    generations, done = Generations(launcher), threading.Event()
    first, slowest, deadline = generations.look(), 0.0, time.monotonic() + SECONDS
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as unfinished:
        unfinished.sendall(
            b"POST /categories HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % (PARTS * PART_BYTES)
        )

        def trickle() -> None:
            # Quickly enough to be waited for.
            for _ in range(PARTS):
                unfinished.sendall(b" " * PART_BYTES)
                if done.wait(0.1):
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            while generations.look() < first + 2 and time.monotonic() < deadline:
                _, seconds = timed(lambda: keep_asking(url, iter((False, True)).__next__))
                slowest = max(slowest, seconds)
        finally:
            done.set()
            thread.join()
    assert generations.look() >= first + 2
    # The old worker drains for a second and waits for the body after that; nobody waits for it.
    bounds.require(slowest, 4, "the slowest answer")
