"""Requests per second on the most used paths, as ratios to a bare FastAPI route and to an empty ASGI application.

    python -m benchmarks.http --seconds 3 --rounds 5 --connections 64
    python -m benchmarks.http --only mix
    python -m benchmarks.http --workers 2
    python -m benchmarks.http --auth

One worker of the production server has a core to itself; PostgreSQL, Valkey and the load share the other.
The limiter counts every request, the access log is written. The bare route and the empty application are measured on the
worker's core before and after each path, because the speed of a shared machine changes, and of several rounds the one
with the median ratio to the bare route is shown. With `--workers` everything is measured on one core with one worker, and again on
so many cores with so many workers. With `--auth` a shop with AUTH=on is compared with one with AUTH=off.

Exits with 1 when a target is missed or a status was not the expected one.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import uvloop

from benchmarks import http_auth, http_scaling
from benchmarks.cores import busy_and_total, busy_share, cpu_seconds, pin
from benchmarks.http_paths import PATHS, Catalog, Path, fill
from benchmarks.load_generators import Load, generator_for, run_load
from benchmarks.production_shop import LIKE_PRODUCTION, Shop, production_shop
from benchmarks.raw_requests import Scenario
from benchmarks.record import save
from benchmarks.reference_server import Reference, reference_server

WARM_SECONDS = 1.0
REFERENCE_SECONDS = 1.5
# If the load's core is busier than this, the load itself may have been the limit.
SATURATED = 0.97


@dataclass(frozen=True, slots=True)
class Pace:
    """Requests per second of the references."""

    bare: float
    empty: float

    def mean(self, other: "Pace") -> "Pace":
        """The pace between two moments."""
        return Pace((self.bare + other.bare) / 2, (self.empty + other.empty) / 2)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. Ratios are to the bare route, or `of_empty`; `worker_us` is the worker's CPU per request."""

    name: str
    title: str
    target: float | None
    target_of_empty: float | None
    per_second: float
    bare_per_second: float
    empty_per_second: float
    ratio: float
    ratio_of_empty: float
    p50_ms: float
    p99_ms: float
    worker_us: float
    load_core_busy: float
    errors: int
    requests: int
    generator: str
    fails: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bench:
    """The shop and the references on their core, and the cores of the load."""

    shop: Shop
    worker: int
    bare: Reference
    empty: Reference
    load_cores: tuple[int, ...]
    seconds: float
    connections: int

    def pace(self) -> Pace:
        """Measure the references."""
        seconds = min(REFERENCE_SECONDS, self.seconds)
        return Pace(*(one.requests_per_second(seconds, self.connections) for one in (self.bare, self.empty)))

    def path(self, path: Path, scenario: Scenario, before: Pace) -> Row:
        """Measure one path, and the references after it."""
        run_load(scenario, self.shop.host, self.shop.port, WARM_SECONDS, self.connections)
        cpu, ticks = cpu_seconds([self.worker]), busy_and_total(self.load_cores)
        load = run_load(scenario, self.shop.host, self.shop.port, self.seconds, self.connections)
        busy = busy_share(ticks, busy_and_total(self.load_cores))
        worker_us = (cpu_seconds([self.worker]) - cpu) / max(1, load.requests) * 1e6
        pace = before.mean(self.pace())
        return Row(
            name=path.name,
            title=path.title,
            target=path.target,
            target_of_empty=path.target_of_empty,
            per_second=load.per_second,
            bare_per_second=pace.bare,
            empty_per_second=pace.empty,
            ratio=load.per_second / pace.bare,
            ratio_of_empty=load.per_second / pace.empty,
            p50_ms=load.p50_ms,
            p99_ms=load.p99_ms,
            worker_us=worker_us,
            load_core_busy=busy,
            errors=load.errors,
            requests=load.requests,
            generator=generator_for(scenario),
            fails=tuple(failures(path, load, pace)),
        )


def failures(path: Path, load: Load, pace: Pace) -> Iterator[str]:
    """The missed targets and errors of a path, one text for each."""
    if path.target is not None and load.per_second < path.target * pace.bare:
        yield f"below {path.target}"
    if path.target_of_empty is not None and load.per_second < path.target_of_empty * pace.empty:
        yield f"below {path.target_of_empty} of the empty application"
    if path.p99_ms is not None and load.p99_ms > path.p99_ms:
        yield f"p99 above {path.p99_ms:g} ms"
    if load.errors or not load.requests:
        yield f"{load.errors} errors"


def main() -> int:
    options = _options()
    chosen = [path for path in PATHS if options.only in (None, path.name)]
    if options.auth:
        return http_auth.report(options.rounds, options.seconds, options.connections)
    if options.workers > 1:
        return http_scaling.report(chosen, options.workers, options.rounds, options.seconds, options.connections)
    with _bench(options) as bench:
        rows = _measure(bench, chosen, options.rounds)
    for row in rows:
        if row.load_core_busy > SATURATED:
            print(f"{row.title}: the core of the load was saturated, the shop may be faster than this")
    if options.only is None:
        save("http-paths", vars(options), [asdict(row) for row in rows])
    return 1 if any(row.fails for row in rows) else 0


@contextmanager
def _bench(options: argparse.Namespace) -> Iterator[Bench]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("Only one core: the load shares it with the worker, and the ratios say little")
    # Processes started from here on inherit these cores; the worker is moved to the first core when it runs.
    load_cores = tuple(cores[1:2] or cores)
    os.sched_setaffinity(0, load_cores)
    with (
        production_shop(1, subprocess.DEVNULL, **LIKE_PRODUCTION) as shop,
        reference_server("benchmarks.bare_route") as bare,
        reference_server("benchmarks.empty_application") as empty,
    ):
        worker = shop.workers()[0]
        for process in (worker, bare.pid, empty.pid):
            pin(process, cores[0])
        print(f"worker and references on core {cores[0]}; PostgreSQL, Valkey and the load on core {load_cores[0]}")
        yield Bench(shop, worker, bare, empty, load_cores, options.seconds, options.connections)


def _measure(bench: Bench, paths: Sequence[Path], rounds: int) -> list[Row]:
    catalog = uvloop.run(fill(bench.shop))
    print(
        f"{'path':38}{'req/s':>8}{'bare':>8}{'ratio':>7}{'target':>8}{'empty':>8}{'ratio':>7}{'target':>8}{'p50 ms':>8}{'p99 ms':>8}"
        f"{'CPU µs':>8}{'load core':>11}{'errors':>8}"
    )
    rows: list[Row] = []
    bench.pace()  # The first one is slower than all others.
    for path in paths:
        row = _median_row(bench, path, catalog, rounds)
        print(_line(row), flush=True)
        rows.append(row)
    return rows


def _median_row(bench: Bench, path: Path, catalog: Catalog, rounds: int) -> Row:
    """The round with the median ratio; with an even number of rounds, the lower one of the two in the middle."""
    found = [bench.path(path, path.scenario(catalog), bench.pace()) for _ in range(rounds)]
    return sorted(found, key=lambda row: row.ratio)[(rounds - 1) // 2]


def _line(row: Row) -> str:
    return (
        f"{row.title:38}{row.per_second:8.0f}{row.bare_per_second:8.0f}{row.ratio:7.2f}{_target(row.target):>8}"
        f"{row.empty_per_second:8.0f}{row.ratio_of_empty:7.2f}{_target(row.target_of_empty):>8}{row.p50_ms:8.1f}"
        f"{row.p99_ms:8.1f}{row.worker_us:8.0f}{row.load_core_busy:11.0%}{row.errors:8}  {', '.join(row.fails)}"
    )


def _target(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="how long each path is loaded in a round")
    parser.add_argument("--rounds", type=int, default=5, help="how often each path is measured")
    parser.add_argument("--connections", type=int, default=64, help="how many connections ask at once")
    parser.add_argument("--only", choices=[path.name for path in PATHS], help="measure one path alone, keep no record")
    parser.add_argument("--workers", type=int, default=1, help="compare so many workers with one")
    parser.add_argument("--auth", action="store_true", help="compare AUTH=on with AUTH=off")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
