"""What it costs to know who calls: a shop with AUTH=on beside one with AUTH=off, by turns within one run.

`python -m benchmarks.http --auth` shows the ratios of requests per second and of the CPU of the worker, how many logins
a worker does in a second, what a storm of them does to everybody else, and the memory of both workers. Both shops count
every request against its limit. They take turns within a round, and the one that begins changes from round to round.
"""

import os
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from statistics import median

import httpx
import uvloop
from sqlalchemy import insert

from benchmarks.cores import cpu_seconds, pin, proportional_megabytes, resident_megabytes
from benchmarks.http_paths import Catalog, checkouts, client_lists, fill, product_lists, product_reads
from benchmarks.load_generators import Load, run_load
from benchmarks.production_shop import LIKE_PRODUCTION, Shop, production_shop
from benchmarks.raw_requests import Scenario, raw_request
from benchmarks.record import save
from infrastructure.database.migrations import maintenance_engine
from models.user import User
from scripts.credentials import delete_key, make_key
from security.passwords import Passwords

_SETTINGS = {
    **LIKE_PRODUCTION,
    "ACCESS_TOKEN_MINUTES": "600",
    "RATE_LIMIT_LOGIN": "1000000/60",
    "RATE_LIMIT_LOGIN_ADDRESS": "1000000/60",
}
_USERNAME, _PASSWORD = "benchmark", "a lamp for every desk"
_STORM_CONNECTIONS = 50
# A storm may be refused, and must not slow the others.
_STORM_STATUSES = frozenset({200, 429, 503})
_MOST_SLOWER = 2.0
_WARM_SECONDS = 1.0
_MEMORY_MEGABYTES = 115


@dataclass(frozen=True, slots=True)
class Comparison:
    """Requests that both shops get; with AUTH=on they bring a token along if `with_token`."""

    name: str
    title: str
    requests: Callable[[Catalog], list[bytes]]
    with_token: bool
    target: float
    expected: int = 200


COMPARISONS = (
    Comparison("product", "GET /products/{id}, cached, no token", product_reads, False, 0.97),
    Comparison("products", "GET /products, cached, no token", product_lists, False, 0.97),
    Comparison("clients", "GET /clients, token of staff", client_lists, True, 0.9),
    Comparison("checkout", "POST /checkout, token of staff", checkouts, True, 0.9, expected=201),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One load of one shop, and the CPU time that its worker took for a request."""

    per_second: float
    worker_us: float
    errors: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """Medians of the rounds with AUTH=on and off, and of their ratios.

    `ratio` is of requests per second, on to off; `cpu_ratio` of the worker's CPU per request, off to on: both are 1 where
    nothing is lost. Other processes on the machine disturb the first more than the second, so a target is missed where
    both are below it.
    """

    name: str
    on_per_second: float
    off_per_second: float
    ratio: float
    on_worker_us: float
    off_worker_us: float
    cpu_ratio: float
    errors: int
    fails: bool


@dataclass(frozen=True, slots=True)
class Storm:
    """Logins per second, and the p99 in ms of cached reads alone and beside a storm of logins."""

    logins_per_second: float
    alone_p99_ms: float
    beside_p99_ms: float
    errors: int

    @property
    def fails(self) -> bool:
        return bool(self.errors) or self.beside_p99_ms > _MOST_SLOWER * self.alone_p99_ms


def report(rounds: int, seconds: float, connections: int) -> int:
    """Measure and print; 1 if a target was missed."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:2] or cores)
    with ExitStack() as stack:
        on, off = (
            stack.enter_context(production_shop(1, subprocess.DEVNULL, **_SETTINGS, AUTH=mode))
            for mode in ("on", "off")
        )
        for shop in (on, off):
            pin(shop.workers()[0], cores[0])
        catalogs = filled(on), filled(off)
        token = logged_in(on)
        print(
            f"{'':40}{'on req/s':>10}{'off req/s':>10}{'ratio':>7}{'on µs':>8}{'off µs':>8}{'CPU':>7}{'target':>8}"
            f"{'errors':>8}"
        )
        ratios = [
            _compared(comparison, (on, off), catalogs, token, rounds, seconds, connections)
            for comparison in COMPARISONS
        ]
        # Before the storm: what hashing takes is counted apart.
        workers = {"on": on.workers()[0], "off": off.workers()[0]}
        megabytes = {mode: resident_megabytes(worker) for mode, worker in workers.items()}
        shares = {mode: proportional_megabytes(worker) for mode, worker in workers.items()}
        storm = _storm(on, catalogs[0], seconds, connections)
    print(
        f"{storm.logins_per_second:.1f} logins/s; p99 of cached reads {storm.alone_p99_ms:.1f} ms alone, "
        f"{storm.beside_p99_ms:.1f} ms beside a storm of logins, {storm.errors} errors"
    )
    print(
        f"memory of a worker: {megabytes['on']:.1f} MB on, {megabytes['off']:.1f} MB off; with its share of what it has in "
        f"common with the launcher {shares['on']:.1f} MB and {shares['off']:.1f} MB"
    )
    figures = {
        "ratios": [asdict(one) for one in ratios],
        "storm": asdict(storm),
        "megabytes": megabytes,
        "proportional_megabytes": shares,
    }
    save("http-auth", {"rounds": rounds, "seconds": seconds, "connections": connections}, figures)
    return int(any(one.fails for one in ratios) or storm.fails or megabytes["on"] > _MEMORY_MEGABYTES)


def filled(shop: Shop) -> Catalog:
    """The catalog of the benchmark in this shop, whether it asks who calls or not."""
    engine = maintenance_engine(shop.database_url)
    key = make_key(engine, "benchmark")
    try:
        # With AUTH=off nobody looks at it.
        return uvloop.run(fill(shop, {"x-api-key": key}))
    finally:
        delete_key(engine, key)
        engine.dispose()


def logged_in(shop: Shop) -> str:
    """The access token of a member of the staff."""
    row = {"username": _USERNAME, "email": f"{_USERNAME}@example.com", "email_key": f"{_USERNAME}@example.com"}
    engine = maintenance_engine(shop.database_url)
    with engine.begin() as connection:
        connection.execute(insert(User).values(role="staff", password_hash=Passwords().hashed(_PASSWORD), **row))
    engine.dispose()
    body = {"username": _USERNAME, "password": _PASSWORD}
    response = httpx.post(f"http://{shop.host}:{shop.port}/auth/login", json=body, timeout=30).raise_for_status()
    return str(response.json()["access_token"])


def with_token(requests: Sequence[bytes], token: str) -> list[bytes]:
    """The requests, with the token."""
    line = f"authorization: Bearer {token}\r\n".encode()
    return [request.replace(b"host: shop\r\n", b"host: shop\r\n" + line, 1) for request in requests]


def _compared(
    comparison: Comparison,
    shops: tuple[Shop, Shop],
    catalogs: tuple[Catalog, Catalog],
    token: str,
    rounds: int,
    seconds: float,
    connections: int,
) -> Ratio:
    sides = [
        (shop, _scenario(comparison, catalog, token if shop is shops[0] else None))
        for shop, catalog in zip(shops, catalogs, strict=True)
    ]
    for side in sides:
        _turn(*side, _WARM_SECONDS, connections)
    turns: list[tuple[Turn, Turn]] = []
    for number in range(rounds):
        is_on_first = number % 2 == 0
        first, second = (_turn(*side, seconds, connections) for side in (sides if is_on_first else sides[::-1]))
        turns.append((first, second) if is_on_first else (second, first))
    row = _ratio(comparison, turns)
    print(
        f"{comparison.title:40}{row.on_per_second:10.0f}{row.off_per_second:10.0f}{row.ratio:7.2f}{row.on_worker_us:8.0f}"
        f"{row.off_worker_us:8.0f}{row.cpu_ratio:7.2f}{comparison.target:8.2f}{row.errors:8}"
        f"{'  MISSED' if row.fails else ''}",
        flush=True,
    )
    return row


def _scenario(comparison: Comparison, catalog: Catalog, token: str | None) -> Scenario:
    requests = comparison.requests(catalog)
    if comparison.with_token and token is not None:
        requests = with_token(requests, token)
    return Scenario(comparison.name, requests, frozenset({comparison.expected}))


def _turn(shop: Shop, scenario: Scenario, seconds: float, connections: int) -> Turn:
    workers = shop.workers()
    before = cpu_seconds(workers)
    load = run_load(scenario, shop.host, shop.port, seconds, connections)
    return Turn(load.per_second, (cpu_seconds(workers) - before) / max(1, load.requests) * 1e6, load.errors)


def _ratio(comparison: Comparison, turns: Sequence[tuple[Turn, Turn]]) -> Ratio:
    ratio = median(on.per_second / off.per_second for on, off in turns)
    cpu_ratio = median(off.worker_us / on.worker_us for on, off in turns)
    errors = sum(on.errors + off.errors for on, off in turns)
    return Ratio(
        comparison.name,
        median(on.per_second for on, _ in turns),
        median(off.per_second for _, off in turns),
        ratio,
        median(on.worker_us for on, _ in turns),
        median(off.worker_us for _, off in turns),
        cpu_ratio,
        errors,
        max(ratio, cpu_ratio) < comparison.target or bool(errors),
    )


def _storm(shop: Shop, catalog: Catalog, seconds: float, connections: int) -> Storm:
    login = raw_request("POST", "/auth/login", {"username": _USERNAME, "password": _PASSWORD})

    def logins(statuses: frozenset[int], at_once: int) -> Load:
        return run_load(Scenario("login", [login], statuses), shop.host, shop.port, seconds, at_once)

    def reads() -> Load:
        scenario = Scenario("product", product_reads(catalog), frozenset({200}))
        return run_load(scenario, shop.host, shop.port, seconds, connections)

    calm, alone = logins(frozenset({200}), 2), reads()
    with ThreadPoolExecutor() as threads:
        storm = threads.submit(logins, _STORM_STATUSES, _STORM_CONNECTIONS)
        beside = reads()
    errors = calm.errors + alone.errors + storm.result().errors + beside.errors
    return Storm(calm.per_second, alone.p99_ms, beside.p99_ms, errors)
