"""What a second worker gives: the same load on one worker and on several, with nothing pinned."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import uvloop

from benchmarks.cores import busy_and_total, busy_share, cpu_seconds
from benchmarks.generators import run_load
from benchmarks.production_shop import production_shop
from benchmarks.record import keep
from benchmarks.shop_paths import PATHS, Path, fill

TARGET = 1.7
_WARM_SECONDS = 2.0
# Without --only, what is served from the cache and what is not.
_DEFAULT_PATHS = ("product", "products", "mix")
_PRODUCTION = {"LOG_LEVEL": "INFO", "ACCESS_LOG": "true", "RATE_LIMIT_EXEMPT": ""}


@dataclass(frozen=True, slots=True)
class Figures:
    """One load on so many workers. `per_cpu_second`: requests per second of CPU time of the workers."""

    workers: int
    per_second: float
    per_cpu_second: float
    worker_cores: float
    machine_busy: float
    errors: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One path on one worker and on several."""

    title: str
    one: Figures
    several: Figures

    @property
    def ratio(self) -> float:
        return self.several.per_second / self.one.per_second

    @property
    def on_free_cores(self) -> float:
        """The ratio that the CPU per request allows once every worker has a core to itself."""
        return self.several.workers * self.several.per_cpu_second / self.one.per_cpu_second

    @property
    def worker_bound(self) -> bool:
        """Whether the workers had the cores that they could use; else something else was the bound."""
        return self.several.worker_cores > 0.9 * self.several.workers


def report(chosen: Sequence[Path], workers: int, seconds: float, connections: int) -> int:
    """Print the comparison and keep it; returns the exit code."""
    paths = [path for path in chosen if len(chosen) < len(PATHS) or path.name in _DEFAULT_PATHS]
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, nothing pinned: workers, PostgreSQL, Valkey and the load share them")
    one = _measure(paths, 1, seconds, connections)
    several = _measure(paths, workers, seconds, connections)
    comparisons = [Comparison(path.title, *pair) for path, *pair in zip(paths, one, several, strict=True)]
    print(f"{'path':38}{'workers':>9}{'req/s':>8}{'per CPU s':>11}{'worker cores':>14}{'machine':>9}{'errors':>8}")
    for comparison in comparisons:
        for figures in (comparison.one, comparison.several):
            print(_line(comparison.title, figures))
        print(_verdict(comparison))
    keep(
        "http-workers",
        {"workers": workers, "seconds": seconds, "connections": connections, "cores": cores},
        [{**asdict(comparison), "ratio": comparison.ratio} for comparison in comparisons],
    )
    return 0 if all(map(_passes, comparisons)) else 1


def _measure(paths: Sequence[Path], workers: int, seconds: float, connections: int) -> list[Figures]:
    with production_shop(workers, subprocess.DEVNULL, **_PRODUCTION) as shop:
        catalog = uvloop.run(fill(shop))
        found = []
        for path in paths:
            scenario = path.scenario(catalog)
            run_load(scenario, shop.host, shop.port, _WARM_SECONDS, connections)
            cores = sorted(os.sched_getaffinity(0))
            cpu, ticks = cpu_seconds(shop.workers()), busy_and_total(cores)
            load = run_load(scenario, shop.host, shop.port, seconds, connections)
            used = cpu_seconds(shop.workers()) - cpu
            found.append(
                Figures(
                    workers=workers,
                    per_second=load.per_second,
                    per_cpu_second=load.requests / used,
                    worker_cores=used / load.seconds,
                    machine_busy=busy_share(ticks, busy_and_total(cores)),
                    errors=load.errors,
                )
            )
    return found


def _passes(comparison: Comparison) -> bool:
    """A machine that has no core left for the second worker can only be judged by the CPU per request."""
    judged = comparison.ratio if comparison.worker_bound else comparison.on_free_cores
    return judged >= TARGET and not comparison.one.errors and not comparison.several.errors


def _line(title: str, figures: Figures) -> str:
    return (
        f"{title:38}{figures.workers:9}{figures.per_second:8.0f}{figures.per_cpu_second:11.0f}"
        f"{figures.worker_cores:14.2f}{figures.machine_busy:9.0%}{figures.errors:8}"
    )


def _verdict(comparison: Comparison) -> str:
    workers = comparison.several.workers
    bound = (
        "the workers are the bound"
        if comparison.worker_bound
        else f"the workers got {comparison.several.worker_cores:.2f} cores, the rest of the machine is the bound; by "
        f"the CPU per request {workers} workers with a core each give {comparison.on_free_cores:.2f} times as much"
    )
    return f"  {workers} workers to one: {comparison.ratio:.2f} (target {TARGET}); {bound}"
