"""Redis is frozen: the shop sells on from PostgreSQL, not slower, and uses it again when it is back."""

import statistics
from pathlib import Path

import httpx
import pytest

from tests.bounds import Bounds, timed
from tests.faults.faulty import goods_on
from tests.infrastructure.processes import wait_for
from tests.valkey import Valkey

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def seconds_of(http: httpx.Client, path: str) -> float:
    answer, seconds = timed(lambda: http.get(path))
    assert answer.status_code == 200
    return seconds


def test_f9_redis_is_frozen(database: str, tmp_path: Path, bounds: Bounds) -> None:
    limits = {"RATE_LIMIT_EXEMPT": "", "RATE_LIMIT_CALLS": "100000"}
    with Valkey(tmp_path) as valkey, goods_on(database, tmp_path, valkey.url, **limits) as goods:
        product = goods.product(stock=9)
        path = f"/products/{product}"
        assert [goods.http.get(path).headers["X-Cache-Hit"] for _ in range(2)] == ["false", "true"]
        usual = min(seconds_of(goods.http, "/orders") for _ in range(5))
        valkey.freeze()
        # The first ones wait for it: a tenth of a second for the limiter and as much for the cache.
        first = [seconds_of(goods.http, path) for _ in range(3)]
        later = statistics.median(seconds_of(goods.http, path) for _ in range(30))
        bounds.require(max(first), usual + 0.25, "one of the first", margin=0.25)
        bounds.require(later, usual, "one that knows that Redis is away", margin=0.05)
        goods.bought((product, 1))
        answer = goods.http.get(path)
        assert (answer.json()["stock"], answer.headers["X-Cache-Hit"]) == (8, "false")
        # The limiter counts by itself now.
        assert int(answer.headers["X-RateLimit-Remaining"]) == 100_000 - 3 - 30 - 2
        assert goods.http.get("/health_check").json()["status"] == "degraded"
        valkey.thaw()
        with bounds.within(10, "the return"):
            wait_for(lambda: goods.http.get(path).headers["X-Cache-Hit"] == "true", "the cache to be used")
        # What was sold meanwhile has not been forgotten.
        assert goods.stock(product) == 8
