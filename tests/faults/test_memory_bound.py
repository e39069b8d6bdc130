"""A worker process has one bound of memory, whatever is sent: everything that it remembers, grown on purpose."""

import os
import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg2
import pytest

from benchmarks.cores import resident_megabytes
from repositories.product import ProductRepository
from tests.shop import environment_of, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.chaos]

# What docs/operations.md says, and what the allocator keeps for itself.
BOUND_MEGABYTES = 130
# Of each kind, in each of the rounds; beside them, what needs as many requests to be filled.
REQUESTS = 300
LONG = "x" * 7000

# How the number of a request makes its target and its headers.
Kind = Callable[[int], tuple[str, dict[str, str]]]


def _sorted_list(number: int) -> tuple[str, dict[str, str]]:
    dice = random.Random(number)
    columns = [f"{dice.choice(('', '-'))}{name}" for name in ProductRepository.sortable()]
    return f"/products?limit=1&sort={','.join(dice.sample(columns, dice.randint(3, len(columns))))}", {}


def _filtered_list(number: int) -> tuple[str, dict[str, str]]:
    chosen = ["min_price=1", "max_price=9", "in_stock=true", "active=true", "category_id=1", "name=a", "q=chair"]
    filters = "&".join(it for place, it in enumerate(chosen) if number >> place & 1)
    return f"/products?limit=1&skip={number % 3}&sort=price,{'-' * (number >> 7 & 1)}name&{filters}", {}


KINDS: dict[str, Kind] = {
    "long paths": lambda n: (f"/{n}/{LONG * 6}", {}),
    "paths of other characters": lambda n: (quote(f"/{n}/{chr(0x1F600)}" * 100), {}),
    "hosts": lambda n: ("/health/live", {"host": f"h{n}.{'a' * 240}"}),
    "hosts that are none": lambda n: ("/health/live", {"host": f"{n}{LONG}"}),
    "many headers": lambda n: ("/clients?limit=1", {f"x{n}-{place}": "" for place in range(80)}),
    "entity tags": lambda n: ("/clients?limit=1", {"if-none-match": ",".join(f'"{n}-{i}"' for i in range(150))}),
    "codings": lambda n: ("/clients?limit=1", {"accept-encoding": ",".join(f"a{n}{i}" for i in range(150))}),
    "addresses": lambda n: ("/clients?limit=1", {"x-forwarded-for": f"2001:db8:{n % 65536:x}::{n:x}"}),
    "orders of rows": _sorted_list,
    "filters": _filtered_list,
    "fields": lambda n: (f"/products?limit=1&fields={_fields(n)}", {}),
    "searches": lambda n: (f"/products?limit=1&q={quote(f'chair {n} ' + chr(0x1F600) * 20)}", {}),
    "spaces around a search": lambda n: (f"/products?limit=1&q={'+' * 7000}chair{n}", {}),
    "pages": lambda n: (f"/products?limit=3&skip={n}", {}),
    "pages of what is not cached": lambda n: (f"/clients?limit=3&skip={n}", {}),
    "rows that are not there": lambda n: (f"/products/{10**9 + n}", {}),
    "keys": lambda n: (f"/products?limit=1&id_key={','.join(str(n + i) for i in range(300))}", {}),
}


def _fields(number: int) -> str:
    names = ("name", "sku", "description", "price", "stock", "category_id", "active", "created_at", "updated_at")
    return ",".join(["id_key", *(name for place, name in enumerate(names) if number >> place & 1)])


def _requests(kind: Kind, numbers: range) -> Iterator[bytes]:
    for number in numbers:
        target, headers = kind(number)
        lines = {"host": "shop", "accept-encoding": "gzip", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        yield f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()


def _ask(port: int, requests: Iterator[bytes]) -> None:
    """Send the requests one after the other, on connections that last as long as the server lets them."""
    connection: socket.socket | None = None
    for request in requests:
        connection = connection or socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.sendall(request)
        if not _is_kept(connection):
            connection.close()
            connection = None
    if connection is not None:
        connection.close()


def _is_kept(connection: socket.socket) -> bool:
    """Take an answer. Whether the connection takes another request."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        some = connection.recv(65536)
        if not some:
            return False
        answer += some
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    left = int(fields.get(b"content-length", b"0")) - len(body)
    while left > 0:
        left -= len(connection.recv(65536))
    return fields.get(b"connection") != b"close"


def _fill(database_url: str) -> None:
    connection = psycopg2.connect(database_url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "WITH shelf AS (INSERT INTO categories (name) VALUES ('Chairs') RETURNING id_key)"
            " INSERT INTO products (name, sku, description, price, stock, category_id)"
            " SELECT 'Chair ' || n, 'CHAIR-' || n, repeat('wood ', 200), 5, 0, id_key"
            " FROM shelf, generate_series(1, 3000) AS n"
        )
    connection.close()


@pytest.mark.timeout(900)
def test_a_worker_stays_within_its_memory(database: str, redis_url: str, tmp_path: Path) -> None:
    _fill(database)
    environment = environment_of(database, redis_url, tmp_path, TRUSTED_PROXIES="127.0.0.0/8", LOG_LEVEL="INFO")
    with shop_processes(environment, workers=1) as (url, launcher):
        port = int(url.rpartition(":")[2])
        for warm in ("/products?limit=1", "/clients?limit=1", "/openapi.json", "/health_check", "/products?q=chair"):
            httpx.get(url + warm)
        worker = _worker_of(launcher.pid)
        start = resident_megabytes(worker)
        grown = {}
        for begin in (0, REQUESTS):
            for name, kind in KINDS.items():
                _ask(port, _requests(kind, range(begin, begin + REQUESTS)))
                grown[f"{begin}: {name}"] = round(resident_megabytes(worker) - start)
        assert _worker_of(launcher.pid) == worker
        assert httpx.get(f"{url}/health/ready").status_code == 200
        assert max(grown.values()) <= BOUND_MEGABYTES, grown


def _worker_of(launcher: int) -> int:
    """The process that serves, of a launcher with one worker."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    workers = [int(child) for child in children if os.readlink(f"/proc/{child}/exe") == os.readlink("/proc/self/exe")]
    assert len(workers) == 1
    return workers[0]
