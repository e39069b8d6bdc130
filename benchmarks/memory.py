"""Memory of a worker: after the mix, and over a million cached reads of ever new targets.

    python -m benchmarks.memory --requests 1000000

The reads have many products, pages, client addresses and request ids, and two in a hundred a new target: the caches of a
worker must be bounded. Exits with 1 when the worker takes more than the target, or keeps growing.
"""

import argparse
import random
import subprocess
import sys
from collections.abc import Sequence

import uvloop

from benchmarks.cores import resident_megabytes
from benchmarks.http_paths import PATHS, Catalog, fill
from benchmarks.load_generators import run_load
from benchmarks.production_shop import LIKE_PRODUCTION, Shop, production_shop
from benchmarks.raw_requests import MARK, Scenario, raw_request
from benchmarks.record import save

TARGET_MEGABYTES = 110
# The allowed growth in the second half, as a share of the first.
TOLERANCE = 0.03
_SAMPLES = 10
_TARGETS = 20_000
_FIRST_CHUNK_SECONDS = 5.0
_LONGEST_CHUNK_SECONDS = 15.0
_SETTINGS = {**LIKE_PRODUCTION, "TRUSTED_PROXIES": "127.0.0.0/8"}


def varied_reads(catalog: Catalog, count: int, seed: int = 1) -> Scenario:
    """`count` different reads from many addresses; every fiftieth has a new target each time it is sent."""
    dice = random.Random(seed)
    requests = []
    for place in range(count):
        headers = {
            "x-forwarded-for": ".".join(str(dice.randrange(1, 255)) for _ in range(4)),
            "x-request-id": f"{dice.getrandbits(64):016x}",
        }
        requests.append(raw_request("GET", _target(catalog, place, dice), headers=headers))
    # Products that do not exist are 404.
    return Scenario("reads", requests, frozenset({200, 404}))


def _target(catalog: Catalog, place: int, dice: random.Random) -> str:
    if place % 100 == 0:
        return f"/products/{MARK}"
    if place % 100 == 50:
        return f"/products?skip={MARK}&limit=1"
    if place % 2:
        return f"/products/{dice.choice(catalog.products)}"
    return f"/products?skip={dice.randrange(len(catalog.products))}&limit={dice.randint(1, 40)}"


def is_flat(samples: Sequence[float]) -> bool:
    """Whether the second half of the samples stays within `TOLERANCE` of the first."""
    half = len(samples) // 2
    return max(samples[half:]) <= max(samples[:half]) * (1 + TOLERANCE)


def main() -> int:
    options = _options()
    with production_shop(1, subprocess.DEVNULL, **_SETTINGS) as shop:
        catalog = uvloop.run(fill(shop))
        worker = shop.workers()[0]
        print(f"{resident_megabytes(worker):6.1f} MB at the start")
        mix = next(path for path in PATHS if path.name == "mix").scenario(catalog)
        errors = run_load(mix, shop.host, shop.port, options.mix_seconds, options.connections).errors
        after_mix = resident_megabytes(worker)
        print(
            f"{after_mix:6.1f} MB after {options.mix_seconds:g} s of the mix (target {TARGET_MEGABYTES}), {errors} errors"
        )
        samples, more_errors = _watch(shop, worker, varied_reads(catalog, _TARGETS), options)
    flat = is_flat([megabytes for _, megabytes in samples])
    print("flat" if flat else f"not flat: more than {TOLERANCE:.0%} came on top in the second half")
    errors += more_errors
    figures = {"after_mix_mb": after_mix, "samples": samples, "flat": flat, "errors": errors}
    save("memory", vars(options), figures)
    return 0 if flat and after_mix <= TARGET_MEGABYTES and not errors else 1


def _watch(
    shop: Shop, worker: int, reads: Scenario, options: argparse.Namespace
) -> tuple[list[tuple[int, float]], int]:
    """The memory of the worker after each tenth of the reads, with their number; and the number of failed reads."""
    samples: list[tuple[int, float]] = []
    done = errors = 0
    seconds = _FIRST_CHUNK_SECONDS
    while done < options.requests:
        load = run_load(reads, shop.host, shop.port, seconds, options.connections)
        done += load.requests
        errors += load.errors
        if done >= _next_sample(samples, options.requests):
            samples.append((done, resident_megabytes(worker)))
            print(
                f"{samples[-1][1]:6.1f} MB after {done:,} reads ({load.per_second:.0f}/s), {errors} errors", flush=True
            )
        # A generator loads for a given time. The first reads are slow, because the cache is empty.
        missing = (_next_sample(samples, options.requests) - done) / load.per_second
        seconds = min(_LONGEST_CHUNK_SECONDS, max(1.0, missing))
    return samples, errors


def _next_sample(samples: Sequence[tuple[int, float]], requests: int) -> float:
    """The number of reads at which the next sample is due."""
    return requests / _SAMPLES * (len(samples) + 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000, help="how many cached reads")
    parser.add_argument("--mix-seconds", type=float, default=30, help="how long the mix comes first")
    parser.add_argument("--connections", type=int, default=64, help="how many connections ask at once")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
