"""Growth: whether requests stay fast in a large shop, by the same requests to a small shop and to a large one.

    python -m benchmarks.growth                           1,000,000 products and orders, 200,000 clients
    python -m benchmarks.growth --scale 0.01              a hundredth of that
    python -m benchmarks.growth --keep DIR --only q

Fills both by COPY (the large one takes some minutes; `--keep` keeps it for the next run), and sends requests to them by
turns, one at a time over HTTP, with one worker each and without a cache, so that the database is measured. The figure
of a request is the median of its times; the first ones do not count.

Exits with 1 when a status is not the expected one, or the ratio of the times is above its target. Requests without a
target are for information.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from benchmarks.growth_data import Size
from benchmarks.growth_filling import fill
from benchmarks.growth_requests import TARGETS, Case, cases, checkout_body
from benchmarks.http_client import Connection
from benchmarks.production_shop import Shop, production_shop
from benchmarks.record import save

SMALL = Size(products=1000, clients=200, orders=1000)
LARGE = Size(products=1_000_000, clients=200_000, orders=1_000_000)
WARM_REQUESTS = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table, in milliseconds. `statuses` are those of the responses, if one was not the expected one."""

    group: str
    name: str
    small_ms: float
    large_ms: float
    target: float | None
    statuses: tuple[int, ...] = ()

    @property
    def ratio(self) -> float:
        return self.large_ms / self.small_ms

    @property
    def fails(self) -> bool:
        return bool(self.statuses) or (self.target is not None and self.ratio > self.target)


class Pair:
    """The two shops, measured by turns: changes of the machine's speed affect both."""

    def __init__(self, small: Shop, large: Shop, large_size: Size, repeats: int) -> None:
        self._shops = ((Connection(small.host, small.port), SMALL), (Connection(large.host, large.port), large_size))
        self._repeats = repeats
        self._dice = random.Random(1)

    async def rows(self, groups: str | None) -> AsyncIterator[Row]:
        """The lines, each as soon as it is measured."""
        for case in cases():
            if groups in (None, case.group):
                yield await self._row(case)
        if groups in (None, "checkout"):
            yield await self._row(Case("checkout", "POST /checkout", "/checkout"))

    async def _row(self, case: Case) -> Row:
        times: tuple[list[float], list[float]] = ([], [])
        statuses: set[int] = set()
        for _ in range(WARM_REQUESTS + self._repeats):
            for place, (connection, size) in enumerate(self._shops):
                seconds, status = await self._timed(connection, size, case)
                times[place].append(seconds * 1000)
                statuses.add(status)
        small, large = (median(found[WARM_REQUESTS:]) for found in times)
        expected = 201 if case.group == "checkout" else 200
        wrong = () if statuses == {expected} else tuple(sorted(statuses))
        return Row(case.group, case.name, small, large, TARGETS.get(case.group), wrong)

    async def _timed(self, connection: Connection, size: Size, case: Case) -> tuple[float, int]:
        path = case.path_in(size, self._dice)
        started = time.perf_counter()
        if case.group == "checkout":
            body, key = checkout_body(size, self._dice), {"Idempotency-Key": uuid.uuid4().hex}
            response = await connection.request("POST", path, body, key)
        else:
            response = await connection.request("GET", path)
        return time.perf_counter() - started, response.status


def main() -> int:
    options = _options()
    size = scaled(options.scale)
    with _shops(size, options.keep) as (small, large):
        rows = uvloop.run(_measured(Pair(small, large, size, options.repeats), options.only))
    missed = [row for row in rows if row.fails]
    print(
        f"{len(rows)} kinds of requests, {sum(row.target is not None for row in rows)} with a target, {len(missed)} failed"
    )
    for row in missed:
        print(line(row))
    if options.only is None and options.scale == 1:
        save("growth", {"repeats": options.repeats}, [{**asdict(row), "ratio": round(row.ratio, 2)} for row in rows])
    return 1 if missed else 0


def scaled(scale: float) -> Size:
    """The large shop, `scale` times as large."""
    return Size(*(max(SMALL.clients, round(rows * scale)) for rows in (LARGE.products, LARGE.clients, LARGE.orders)))


async def _measured(pair: Pair, only: str | None) -> list[Row]:
    rows = []
    print(f"{'request':66}{'small ms':>9}{'large ms':>9}{'ratio':>7}{'target':>8}")
    async for row in pair.rows(only):
        print(line(row), flush=True)
        rows.append(row)
    return rows


def line(row: Row) -> str:
    """The row as it is printed."""
    verdict = "" if row.target is None and not row.fails else "FAIL" if row.fails else "PASS"
    target = "" if row.target is None else f"{row.target:.1f}"
    remark = f"  answered {row.statuses}" if row.statuses else ""
    times = f"{row.small_ms:9.2f}{row.large_ms:9.2f}{row.ratio:7.2f}"
    return f"{row.group:9} {row.name:56}{times}{target:>8} {verdict}{remark}".rstrip()


@contextmanager
def _shops(size: Size, kept: Path | None) -> Iterator[tuple[Shop, Shop]]:
    """The small shop and the large one, filled."""
    settings: dict[str, Any] = {"REDIS_ENABLED": "false", "RATE_LIMIT_ENABLED": "false"}
    with ExitStack() as stack:
        folder = kept or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shop-growth-")))
        data = str(folder.resolve() / "large")
        _bring_into_memory(Path(data))
        small = stack.enter_context(production_shop(1, subprocess.DEVNULL, **settings))
        large = stack.enter_context(production_shop(1, subprocess.DEVNULL, **settings, DATA_DIR=data))
        for shop, rows in ((small, SMALL), (large, size)):
            print(f"{rows.products:,} products, {rows.clients:,} clients, {rows.orders:,} orders")
            fill(shop.database_url, rows)
        yield small, large


def _bring_into_memory(folder: Path) -> None:
    """Read all files once: kept data is on the disk, while the data of a new shop is in the system's memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(2**22):
                    pass


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="how large the large shop is (default 1)")
    parser.add_argument("--repeats", type=int, default=15, help="how many times each request is timed")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the data of the large shop here, or use it again"
    )
    parser.add_argument(
        "--only", choices=[*TARGETS, "combined", "sort"], help="measure one group alone, and keep no record"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
