"""Failover to a real standby: behind a stable address, and with both hosts in the URL."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.bounds import Bounds, timed
from tests.faults.black_hole import BlackHole, swallowing
from tests.faults.faulty import goods_on, require_unavailable, wait_until_placed
from tests.faults.test_silent_connections import DEFAULTS, name_of
from tests.infrastructure.processes import wait_for
from tests.race.databases import breaches, execute, rows_of
from tests.race.goods import Goods
from tests.servers.standby import Cluster, primary_and_standby
from tests.shop import environment_of, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BACK_SECONDS = 10
# That no request takes longer, whatever it meets.
ANSWER_SECONDS = 9


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with primary_and_standby() as cluster:
        yield cluster


class Buyers:
    """Clients that place orders all the time, each under a key of its own, and remember what they were told."""

    def __init__(self, goods: Goods, number: int = 4) -> None:
        self._goods, self._number = goods, number
        self._product = goods.product(stock=1_000_000)
        self._done = threading.Event()
        self._numbers = itertools.count()
        self.acknowledged: dict[str, int] = {}
        self.unknown: list[str] = []
        self.slowest = 0.0

    def place(self, key: str) -> httpx.Response:
        cart = self._goods.cart((self._product, 1))
        return self._goods.http.post("/checkout", json=cart, headers={"Idempotency-Key": key})

    def buy(self) -> httpx.Response:
        key = f"key-{next(self._numbers)}"
        answer, seconds = timed(lambda: self.place(key))
        self.slowest = max(self.slowest, seconds)
        if answer.status_code == 201:
            self.acknowledged[key] = answer.json()["id_key"]
        else:
            require_unavailable(answer)
            self.unknown.append(key)
        return answer

    def _buy_on(self) -> None:
        while not self._done.wait(0.02):
            self.buy()

    @contextmanager
    def buying(self) -> Iterator[None]:
        with ThreadPoolExecutor(self._number) as threads:
            clients = [threads.submit(self._buy_on) for _ in range(self._number)]
            try:
                yield
            finally:
                self._done.set()
            for client in clients:
                client.result()

    def require_each_order_once(self, url: str) -> None:
        """Every order that was acknowledged is there, and the others too when they are asked for again."""
        for key in self.unknown:
            answer = self.place(key)
            assert answer.status_code == 201, answer.text
            self.acknowledged[key] = answer.json()["id_key"]
        placed = [order for (order,) in rows_of(url, "SELECT id_key FROM orders")]
        assert sorted(self.acknowledged.values()) == sorted(placed)
        assert breaches(url) == []


def wait_until_all_is_back(goods: Goods, buyers: Buyers, bounds: Bounds) -> None:
    """Return when each path serves; no path waits for another."""
    paths: dict[str, Callable[[], httpx.Response]] = {
        "row": lambda: goods.http.get(f"/clients/{goods.client_id}", headers={"Cache-Control": "no-cache"}),
        "list": lambda: goods.http.get("/clients?sort=-name"),
        "change": lambda: goods.http.patch(f"/clients/{goods.client_id}", json={"name": "Ann"}),
        "order": buyers.buy,
        "bulk": lambda: goods.http.post("/categories/bulk", json=[{"name": f"category {time.time_ns()}"}]),
        "ready": lambda: goods.http.get("/health/ready"),
    }

    def is_back(path: str) -> bool:
        answer, seconds = timed(paths[path])
        bounds.require(seconds, ANSWER_SECONDS, name_of(answer))
        assert answer.status_code in (200, 201, 503), answer.text
        return answer.status_code != 503

    def until_back(path: str) -> None:
        with bounds.within(BACK_SECONDS, f"the return of {path}"):
            wait_for(lambda: is_back(path), f"{path} to be back")

    with ThreadPoolExecutor(len(paths)) as threads:
        for waiting in [threads.submit(until_back, path) for path in paths]:
            waiting.result()


def wait_for_orders(buyers: Buyers) -> None:
    wait_for(lambda: len(buyers.acknowledged) >= 20, "orders")


def wait_for_refusals(buyers: Buyers) -> None:
    wait_for(lambda: buyers.unknown, "refusals")


def is_read_only(goods: Goods) -> bool:
    """Whether the shop says that it can read and not write; until it does, it is not ready for another reason."""
    ready = goods.http.get("/health/ready")
    assert ready.status_code == 503, ready.text
    return bool(ready.json()["not_ready"] == ["The database is read-only"])


STOPPED, FROZEN, UNREACHABLE = "stopped", "frozen", "unreachable"


@pytest.mark.timed
@pytest.mark.parametrize("how", [STOPPED, FROZEN, UNREACHABLE])
def test_f4_behind_a_stable_address(cluster: Cluster, tmp_path: Path, how: str, bounds: Bounds) -> None:
    with BlackHole(cluster.primary.url) as link, goods_on(link.url, tmp_path, **DEFAULTS) as goods:
        buyers = Buyers(goods)
        with buyers.buying():
            wait_for_orders(buyers)
            if how == STOPPED:
                cluster.primary.stop()
            elif how == FROZEN:
                cluster.primary.freeze()
            else:
                link.swallow()
            wait_for_refusals(buyers)
            cluster.standby.promote()
            if how != STOPPED:
                link.swallow()
            link.move(cluster.standby.url)
            wait_until_all_is_back(goods, buyers, bounds)
        bounds.require(buyers.slowest, ANSWER_SECONDS, "the slowest answer")
        buyers.require_each_order_once(cluster.standby.url)


@pytest.mark.timed
@pytest.mark.parametrize("how", [STOPPED, FROZEN, UNREACHABLE])
@pytest.mark.parametrize("options", ["", "&target_session_attrs=read-write"])
def test_f4_with_both_hosts_in_the_url(
    cluster: Cluster, tmp_path: Path, how: str, options: str, bounds: Bounds
) -> None:
    with goods_on(cluster.url(options=options), tmp_path, **DEFAULTS) as goods, ExitStack() as stack:
        buyers = Buyers(goods)
        with buyers.buying():
            wait_for_orders(buyers)
            if how == FROZEN:
                cluster.primary.freeze()
            else:
                cluster.primary.stop()
            if how == UNREACHABLE:
                stack.enter_context(swallowing(cluster.primary.port))
            wait_for_refusals(buyers)
            cluster.standby.promote()
            wait_until_all_is_back(goods, buyers, bounds)
        bounds.require(buyers.slowest, ANSWER_SECONDS, "the slowest answer")
        buyers.require_each_order_once(cluster.standby.url)


@pytest.mark.timed
def test_f4_an_old_primary_that_is_back_as_a_standby_is_passed_over(
    cluster: Cluster, tmp_path: Path, bounds: Bounds
) -> None:
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with goods_on(cluster.url(), tmp_path, **DEFAULTS) as goods:
        cart = goods.cart((goods.product(stock=50), 1))
        cluster.primary.stop()
        cluster.standby.promote()
        cluster.primary.start_as_standby()
        for _ in range(5):
            execute(cluster.standby.url, others)
            # An order that was on its way may have been placed or not.
            with bounds.within(BACK_SECONDS, "the return"):
                wait_until_placed(goods.http, cart)
            assert goods.http.patch(f"/clients/{goods.client_id}", json={"name": "Ann"}).status_code == 200
            assert goods.http.get("/clients?sort=-name").status_code == 200
            assert goods.http.get("/health/ready").status_code == 200
        assert rows_of(cluster.standby.url, "SELECT count(*) >= 5 FROM orders") == [(True,)]


def test_f4_a_shop_starts_where_the_first_host_says_nothing(cluster: Cluster, tmp_path: Path) -> None:
    cluster.primary.stop()
    cluster.standby.promote()
    with swallowing(cluster.primary.port):
        environment = environment_of(cluster.url(), None, tmp_path, **DEFAULTS)
        with shop_processes(environment, workers=2) as (url, _), httpx.Client(base_url=url, timeout=60) as http:
            goods = Goods(http)
            goods.bought((goods.product(stock=5), 1))


@pytest.mark.timed
def test_f4_readiness_says_that_no_host_takes_writes(cluster: Cluster, tmp_path: Path, bounds: Bounds) -> None:
    with goods_on(cluster.url(), tmp_path, **DEFAULTS) as goods:
        cart = goods.cart((goods.product(stock=50), 1))
        cluster.primary.stop()
        wait_for(lambda: is_read_only(goods), "the shop to say so")
        require_unavailable(goods.http.post("/checkout", json=cart))
        cluster.standby.promote()
        with bounds.within(BACK_SECONDS, "the return"):
            wait_until_placed(goods.http, cart)


@pytest.mark.timed
def test_f4_readiness_says_that_a_standby_takes_no_writes(cluster: Cluster, tmp_path: Path, bounds: Bounds) -> None:
    with BlackHole(cluster.primary.url) as link, goods_on(link.url, tmp_path, **DEFAULTS) as goods:
        cart = goods.cart((goods.product(stock=50), 1))
        cluster.primary.stop()
        link.move(cluster.standby.url)
        wait_for(lambda: is_read_only(goods), "the shop to say so")
        require_unavailable(goods.http.post("/checkout", json=cart))
        require_unavailable(goods.http.patch(f"/clients/{goods.client_id}", json={"name": "Ann"}))
        assert goods.http.get("/clients?sort=-name").status_code == 200
        cluster.standby.promote()
        with bounds.within(BACK_SECONDS, "the return"):
            wait_until_placed(goods.http, cart)
            wait_for(lambda: goods.http.get("/health/ready").status_code == 200, "the shop to be ready")
