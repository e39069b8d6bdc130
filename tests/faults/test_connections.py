"""F20: clients that connect and say little, or connect too often, against real worker processes."""

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.shop import environment_of, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# More than are needed to fill up one worker, less than many a system lets a process open.
CROWD = 800
PER_ADDRESS = 40
PATIENCE_SECONDS = 60


@contextmanager
def crowd(port: int, count: int) -> Iterator[list[socket.socket]]:
    """So many connections, on which nothing was said."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]


def open_ones(connections: list[socket.socket]) -> list[socket.socket]:
    """Those of which the server has said nothing, not even goodbye."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    heard = {descriptor for descriptor, _ in poll.poll(0)}
    return [connection for connection in connections if connection.fileno() not in heard]


def until_closed(connections: list[socket.socket], left: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(open_ones(connections)) > left:
        assert time.monotonic() < deadline, "silent connections are kept"
        time.sleep(0.05)


def counted(url: str, name: str) -> float:
    """The sum of a metric over all its labels."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_f20_a_silent_crowd_delays_nobody_and_is_sent_away(database_url: str, tmp_path: Path) -> None:
    environment = environment_of(database_url, None, tmp_path, TIMEOUT_HEAD="2", LIMIT_CONCURRENCY="300")
    with shop_processes(environment) as (url, _):
        before = counted(url, "process_resident_memory_bytes")
        with crowd(port_of(url), CROWD) as connections:
            for _ in range(20):
                assert httpx.get(f"{url}/products", timeout=60).status_code == 200
            until_closed(connections, 0)
            assert {connection.recv(1) for connection in connections} == {b""}
        assert counted(url, "shop_connections_closed_total") == CROWD
        with crowd(port_of(url), CROWD) as connections:
            until_closed(connections, 0)
        assert counted(url, "process_resident_memory_bytes") - before < 40e6
        assert httpx.get(f"{url}/products").status_code == 200


def test_f20_heads_and_bodies_that_trickle_are_ended(database_url: str, tmp_path: Path) -> None:
    environment = environment_of(database_url, None, tmp_path, TIMEOUT_HEAD="1", TIMEOUT_BODY="1")
    begun = {
        b"GET /products HTTP/1.1\r\nHost: shop\r\nX: ": "head",
        b"POST /clients HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n": "body",
        b"POST /clients/ HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n": "body",
    }
    with shop_processes(environment, workers=1) as (url, _):
        for beginning, part in begun.items():
            with socket.create_connection(("127.0.0.1", port_of(url)), timeout=PATIENCE_SECONDS) as connection:
                connection.sendall(beginning)
                deadline = time.monotonic() + PATIENCE_SECONDS
                while not select.select([connection], [], [], 0.2)[0]:
                    assert time.monotonic() < deadline, "the client is waited for"
                    connection.sendall(b"a")
                answer = connection.makefile("rb").read()
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert b"connection: close" in head
            assert json.loads(body)["code"] == "request_timeout"
            assert part in json.loads(body)["detail"]


def test_f20_an_address_has_so_many_connections_over_all_workers(database_url: str, tmp_path: Path) -> None:
    environment = environment_of(
        database_url,
        None,
        tmp_path,
        MAX_CONNECTIONS_PER_ADDRESS=str(PER_ADDRESS),
        RATE_LIMIT_EXEMPT="",
        TIMEOUT_HEAD="60",
    )
    with shop_processes(environment) as (url, _), crowd(port_of(url), 4 * PER_ADDRESS) as connections:
        until_closed(connections, PER_ADDRESS)
        kept = open_ones(connections)
        # Those that were there while the shop was waited for may not have been taken leave of yet.
        assert PER_ADDRESS - 2 <= len(kept) <= PER_ADDRESS
        refused = next(connection for connection in connections if connection not in kept)
        assert refused.recv(1000).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        for connection in connections:
            connection.close()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while httpx.get(f"{url}/health/live").status_code != 200:
            assert time.monotonic() < deadline, "the address is kept out"
        assert counted(url, 'shop_connections_closed_total{reason="too_many"}') >= 3 * PER_ADDRESS
    lines = (tmp_path / "logs" / "app.log").read_text().splitlines()
    assert 1 <= len([line for line in lines if "MAX_CONNECTIONS_PER_ADDRESS" in line]) <= 4
