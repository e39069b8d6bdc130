"""Scaling over cores: one worker on one core, by turns with several workers on as many cores.

In both runs the load, PostgreSQL and Valkey share the cores of the workers, so that no part has a core of its own in
one run and not in the other.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median

import uvloop

from benchmarks.cores import busy_and_total, busy_share, cpu_seconds
from benchmarks.http_paths import PATHS, Catalog, Path, fill
from benchmarks.load_generators import run_load
from benchmarks.production_shop import LIKE_PRODUCTION, Shop, production_shop
from benchmarks.record import save

TARGET = 1.7
_WARM_SECONDS = 1.0
# The paths without --only: with the cache and without.
_DEFAULT_PATHS = ("product", "products", "clients", "mix", "checkout")


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one load: with this number of workers and cores, and the busy share of the cores."""

    workers: int
    per_second: float
    p99_ms: float
    worker_us: float
    cores_busy: float
    errors: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One path on one worker and on several, by turns."""

    title: str
    one: Sequence[Figures]
    several: Sequence[Figures]

    @property
    def ratio(self) -> float:
        """The median of the rounds, because the speed of a shared machine changes between them."""
        return median(several.per_second / one.per_second for one, several in zip(self.one, self.several, strict=True))

    @property
    def errors(self) -> int:
        return sum(figures.errors for figures in (*self.one, *self.several))


@dataclass(frozen=True, slots=True)
class _Bench:
    """A shop with its cores, one for each worker, and its catalog."""

    shop: Shop
    cores: Sequence[int]
    catalog: Catalog

    def measure(self, path: Path, seconds: float, connections: int) -> Figures:
        os.sched_setaffinity(0, self.cores)
        scenario, workers = path.scenario(self.catalog), self.shop.workers()
        run_load(scenario, self.shop.host, self.shop.port, _WARM_SECONDS, connections)
        cpu, ticks = cpu_seconds(workers), busy_and_total(self.cores)
        load = run_load(scenario, self.shop.host, self.shop.port, seconds, connections)
        return Figures(
            workers=len(workers),
            per_second=load.per_second,
            p99_ms=load.p99_ms,
            worker_us=(cpu_seconds(workers) - cpu) / max(1, load.requests) * 1e6,
            cores_busy=busy_share(ticks, busy_and_total(self.cores)),
            errors=load.errors,
        )


def report(chosen: Sequence[Path], workers: int, rounds: int, seconds: float, connections: int) -> int:
    """Print the comparison and keep it; returns the exit code."""
    is_whole = len(chosen) == len(PATHS)
    paths = [path for path in chosen if not is_whole or path.name in _DEFAULT_PATHS]
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < workers:
        print(f"{workers} workers need {workers} cores, and there are {len(cores)}")
        return 2
    print(f"one worker, PostgreSQL, Valkey and the load on core {cores[0]}, by turns with {workers} workers,")
    print(f"PostgreSQL, Valkey and the load on cores {', '.join(map(str, cores[:workers]))}")
    print(f"{'path':38}{'workers':>9}{'req/s':>8}{'p99 ms':>8}{'CPU µs':>8}{'cores':>8}{'errors':>8}")
    with _bench(1, cores[:1]) as one, _bench(workers, cores[:workers]) as several:
        comparisons = [_compare(path, one, several, rounds, seconds, connections) for path in paths]
    if is_whole:
        save(
            "http-workers",
            {"workers": workers, "seconds": seconds, "connections": connections, "rounds": rounds},
            [{**asdict(comparison), "ratio": comparison.ratio} for comparison in comparisons],
        )
    return 0 if all(map(_passes, comparisons)) else 1


@contextmanager
def _bench(workers: int, cores: Sequence[int]) -> Iterator[_Bench]:
    # Processes started from here on inherit these cores.
    os.sched_setaffinity(0, cores)
    with production_shop(workers, subprocess.DEVNULL, **LIKE_PRODUCTION) as shop:
        yield _Bench(shop, cores, uvloop.run(fill(shop)))


def _compare(path: Path, one: _Bench, several: _Bench, rounds: int, seconds: float, connections: int) -> Comparison:
    pairs = [
        (one.measure(path, seconds, connections), several.measure(path, seconds, connections)) for _ in range(rounds)
    ]
    comparison = Comparison(path.title, *zip(*pairs, strict=True))
    for figures in (figures for pair in pairs for figures in pair):
        print(_line(path.title, figures))
    print(f"  {len(several.cores)} workers to one: {comparison.ratio:.2f} (target {TARGET})", flush=True)
    return comparison


def _passes(comparison: Comparison) -> bool:
    return comparison.ratio >= TARGET and not comparison.errors


def _line(title: str, figures: Figures) -> str:
    return (
        f"{title:38}{figures.workers:9}{figures.per_second:8.0f}{figures.p99_ms:8.1f}{figures.worker_us:8.0f}"
        f"{figures.cores_busy:8.0%}{figures.errors:8}"
    )
