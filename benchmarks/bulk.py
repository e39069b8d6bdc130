"""Rows per second of the three bulk routes.

    python -m benchmarks.bulk --rows 10000 --rounds 5

One worker of the production server on embedded servers in a temporary folder. Meanwhile a second connection requests
`/health/live` all the time: its longest wait is the longest time in which the worker served no other client.
"""

import argparse
import asyncio
import itertools
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import uvloop

from benchmarks.http_client import Connection, Response
from benchmarks.production_shop import Shop, production_shop
from benchmarks.record import save

TARGET = 5_000
_PROBE_SECONDS = 0.005

_numbers = itertools.count()


def category(number: int) -> dict[str, Any]:
    return {"name": f"Shelf {number}"}


def client(number: int) -> dict[str, Any]:
    return {
        "name": "Ann",
        "lastname": f"Example {number}",
        "email": f"ann.{number}@example.com",
        "telephone": f"+49{number:09}",
    }


def product(number: int) -> dict[str, Any]:
    return {
        "name": f"Garden chair number {number}",
        "sku": f"CHAIR-{number:08}",
        "description": f"Stands in rain and sun; this is the {number}th of them, with arms and a folding back",
        "price": (number % 100_000 + 1) / 100,
        "stock": number % 50,
        "category_id": 1,
    }


BODIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "/categories/bulk": category,
    "/clients/bulk": client,
    "/products/bulk": product,
}


async def measure(shop: Shop, path: str, rows: int, rounds: int) -> dict[str, float]:
    """Rows per second of one route, and the longest wait of another client meanwhile, in milliseconds."""
    async with Connection(shop.host, shop.port) as connection:
        await _send(connection, path, rows)
        waits: list[float] = []
        probe = asyncio.create_task(_ask_for_health(shop, waits))
        seconds = 0.0
        for body in _bodies(path, rows, rounds):
            started = time.perf_counter()
            _require_all(await connection.request("POST", path, body, _key()), rows)
            seconds += time.perf_counter() - started
        probe.cancel()
    return {"rows_per_second": round(rows * rounds / seconds), "longest_wait_ms": round(max(waits) * 1000, 1)}


async def _send(connection: Connection, path: str, rows: int) -> None:
    for body in _bodies(path, rows, 1):
        _require_all(await connection.request("POST", path, body, _key()), rows)


def _bodies(path: str, rows: int, rounds: int) -> Iterator[list[dict[str, Any]]]:
    make = BODIES[path]
    for _ in range(rounds):
        yield [make(number) for number in itertools.islice(_numbers, rows)]


def _key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def _require_all(response: Response, rows: int) -> None:
    if response.status != 201 or len(response.json()) != rows:
        raise SystemExit(f"the shop answered {response.status}: {response.body[:300]!r}")


async def _ask_for_health(shop: Shop, waits: list[float]) -> None:
    async with Connection(shop.host, shop.port) as connection:
        while True:
            started = time.perf_counter()
            await connection.request("GET", "/health/live")
            waits.append(time.perf_counter() - started)
            await asyncio.sleep(_PROBE_SECONDS)


async def measure_routes(shop: Shop, rows: int, rounds: int) -> dict[str, dict[str, float]]:
    """The figures of every route by its path."""
    return {path: await measure(shop, path, rows, rounds) for path in BODIES}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="rows of one request")
    parser.add_argument("--rounds", type=int, default=5, help="requests to each route")
    options = parser.parse_args()
    with production_shop(1) as shop:
        figures = uvloop.run(measure_routes(shop, options.rows, options.rounds))
    for path, figure in figures.items():
        print(f"{path:20} {figure['rows_per_second']:8,.0f} rows/s   longest wait {figure['longest_wait_ms']:6.1f} ms")
    save("bulk", vars(options), figures)
    return 0 if all(figure["rows_per_second"] >= TARGET for figure in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
