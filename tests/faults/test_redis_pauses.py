"""Redis pauses, or one worker loses it: no read is older than a write that was acknowledged before it began.

`READS=100000 python -m pytest -n 0 --log-cli-level INFO tests/faults/test_redis_pauses.py` reads as often.
"""

import http.client
import itertools
import json
import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.faults.faulty import goods_on, shop_on
from tests.infrastructure.processes import wait_for
from tests.race.goods import Goods
from tests.redis_proxy import RedisProxy
from tests.shop import environment_of, shop_processes
from tests.valkey import Valkey

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.race]

log = logging.getLogger(__name__)

READS = int(os.environ.get("READS", "4000"))
READERS = 4


class Shop:
    """One product, whose price is the number of the write that was acknowledged last."""

    def __init__(self, *urls: str) -> None:
        self._addresses = itertools.cycle([urlsplit(url).netloc for url in urls])
        with httpx.Client(base_url=urls[0]) as client:
            self.path = f"/products/{Goods(client).product(stock=1)}"
        self.acknowledged = 1
        self.reads = self.hits = 0
        self.stale: list[tuple[int, int]] = []
        self.slowest_write = 0.0
        self.done = threading.Event()

    def write(self) -> None:
        """Write on connections that come and go, so that each worker gets its share."""
        number = self.acknowledged
        while not self.done.is_set():
            connection = http.client.HTTPConnection(next(self._addresses), timeout=60)
            for _ in range(20):
                number += 1
                started = time.monotonic()
                connection.request(
                    "PATCH", self.path, json.dumps({"price": number}), {"Content-Type": "application/json"}
                )
                response = connection.getresponse()
                response.read()
                assert response.status == 200
                self.slowest_write = max(self.slowest_write, time.monotonic() - started)
                self.acknowledged = number
                # Readers find it in the cache for a while.
                time.sleep(0.02)
            connection.close()

    def read(self) -> None:
        while not self.done.is_set():
            connection = http.client.HTTPConnection(next(self._addresses), timeout=60)
            for _ in range(50):
                floor = self.acknowledged
                connection.request("GET", self.path)
                response = connection.getresponse()
                price = int(json.loads(response.read())["price"])
                self.reads += 1
                self.hits += response.headers["X-Cache-Hit"] == "true"
                if price < floor:
                    self.stale.append((price, floor))
            connection.close()


@contextmanager
def busy_shop(*urls: str) -> Iterator[Shop]:
    shop = Shop(*urls)
    with ThreadPoolExecutor(READERS + 1) as threads:
        tasks = [threads.submit(shop.write), *(threads.submit(shop.read) for _ in range(READERS))]
        try:
            yield shop
        finally:
            shop.done.set()
        for task in tasks:
            task.result()


def hurt(valkey: Valkey, proxy: RedisProxy, chance: random.Random) -> None:
    """Freeze Redis, or take it from one worker, for a while."""
    if chance.random() < 0.5:
        valkey.freeze()
        time.sleep(chance.choice([0.05, 0.1, 0.15, 0.15, 0.2, 0.3, 1, 3]))
        valkey.thaw()
    else:
        for worker in sorted(proxy.processes)[:1]:
            proxy.meet(chance.choice(["silent", "closed"]), worker)
        time.sleep(chance.choice([0.05, 0.15, 0.5, 2]))
        proxy.state = "open"
    time.sleep(chance.uniform(0, 1.5))


@pytest.mark.chaos
def test_no_read_is_older_than_an_acknowledged_write(database: str, tmp_path: Path) -> None:
    chance = random.Random(15)
    with Valkey(tmp_path) as valkey, RedisProxy(valkey.url, tmp_path) as proxy:
        environment = environment_of(database, proxy.url, tmp_path)
        with shop_processes(environment, workers=2) as (url, _), busy_shop(url) as shop:
            while shop.reads < READS:
                hurt(valkey, proxy, chance)
    log.info(
        "%d reads, %d hits, %d writes, the slowest %.2f s",
        *(shop.reads, shop.hits, shop.acknowledged, shop.slowest_write),
    )
    assert shop.stale == []
    # Else it was not the cache that was tried.
    assert shop.hits > shop.reads / 10


def test_workers_of_several_launchers_agree_afterwards(database: str, tmp_path: Path) -> None:
    """While a notice of PostgreSQL is on its way, a read may be older than the write (ADR 0040); the log tells how many."""
    chance = random.Random(15)
    with Valkey(tmp_path) as valkey, RedisProxy(valkey.url, tmp_path) as proxy:
        environments = [environment_of(database, proxy.url, tmp_path / name) for name in ("one", "other")]
        with (
            shop_processes(environments[0], workers=1) as (one, _),
            shop_processes(environments[1], workers=1) as (other, _),
        ):
            with busy_shop(one, other) as shop:
                while shop.reads < READS:
                    hurt(valkey, proxy, chance)
            log.info(
                "%d reads, %d hits, %d of them stale, %d writes, the slowest %.2f s",
                *(shop.reads, shop.hits, len(shop.stale), shop.acknowledged, shop.slowest_write),
            )

            def agree() -> bool:
                return all(httpx.get(url + shop.path).json()["price"] == shop.acknowledged for url in (one, other))

            wait_for(agree, "the workers to agree")
    assert shop.hits > shop.reads / 10


def test_the_workers_of_another_launcher_learn_of_a_write_over_postgresql(database: str, tmp_path: Path) -> None:
    """They share no memory with the worker that has lost Redis."""
    with (
        Valkey(tmp_path) as valkey,
        RedisProxy(valkey.url, tmp_path) as proxy,
        goods_on(database, tmp_path / "cut off", proxy.url) as cut_off,
        shop_on(database, tmp_path / "other", valkey.url) as other,
    ):
        path = f"/products/{cut_off.product(stock=1)}"
        wait_for(lambda: other.get(path).headers["X-Cache-Hit"] == "true", "the cache to be used")
        proxy.state = "closed"
        assert cut_off.http.patch(path, json={"price": 77}).status_code == 200
        wait_for(lambda: float(other.get(path).json()["price"]) == 77, "the news")
