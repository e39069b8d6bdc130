"""Which orders share a statement, and that none holds up, or falls with, the others of its group."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from config.settings import Settings, read_settings
from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.tags import Invalidation
from infrastructure.database.engine import Database
from infrastructure.database.prepared import Parameters, Prepared, Row
from infrastructure.embedded.servers import ServerUrls
from infrastructure.observability.metrics import Metrics
from repositories.checkout import KeyToKeep, NewLine, NewOrder, Outcome, PendingOrder
from repositories.checkout_judging import Verdict
from services.cache_service import CacheService
from services.checkout_groups import CheckoutGroups
from services.checkout_lane import MOST_LINES, MOST_ORDERS
from services.checkout_metrics import CheckoutMetrics
from services.errors import NotFound, RequestInProgress, Unavailable
from services.executor import Executor
from tests.race.databases import WAITING, breaches, connected, execute, new_database, rows_of
from tests.waiting import until

pytestmark = pytest.mark.integration

LAMP, CHAIR, TABLE = 1, 2, 3
STOCK = 100_000


@pytest.fixture(scope="module")
def migrated(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@pytest.fixture
def url(migrated: str) -> Iterator[str]:
    """A shop with a client and three products; afterwards all that it promises of its data must hold."""
    execute(
        migrated,
        "TRUNCATE clients, categories, bills, orders, bill_counters, idempotency_keys RESTART IDENTITY CASCADE",
    )
    execute(
        migrated, "INSERT INTO clients (name, lastname, email, email_key) VALUES ('Ada', 'Byron', 'a@x.org', 'a@x.org')"
    )
    execute(migrated, "INSERT INTO categories (name) VALUES ('Furniture')")
    execute(
        migrated,
        "INSERT INTO products (name, price, stock, category_id)"
        f" SELECT name, 2, {STOCK}, 1 FROM unnest(ARRAY['Lamp', 'Chair', 'Table']) AS name",
    )
    execute(
        migrated,
        "INSERT INTO stock_movements (product_id, delta, reason) SELECT id_key, stock, 'initial' FROM products",
    )
    yield migrated
    assert breaches(migrated) == []


class CountingExecutor(Executor):
    """Writes down the statements that are sent, with the number of orders in each."""

    def __init__(self, database: Database, cache: CacheService) -> None:
        super().__init__(database, cache, Metrics())
        self.sent: list[tuple[str, int]] = []

    async def send(
        self,
        statement: Prepared,
        parameters: Parameters,
        unknown: Callable[[], Invalidation],
        since: float | None = None,
    ) -> Sequence[Row]:
        self.sent.append((statement.name, parameters["client_id"].count(",") + 1))
        return await super().send(statement, parameters, unknown, since)


@asynccontextmanager
async def opened(url: str, redis_url: str, settings: Settings) -> AsyncIterator[CountingExecutor]:
    database = Database(url, settings)
    gateway = RedisGateway(redis_url, timeout=5)
    cache = CacheService(gateway)
    try:
        yield CountingExecutor(database, cache)
    finally:
        await cache.close()
        await gateway.close()
        database.close_pools()
        await asyncio.to_thread(database.close)


class Shop:
    """Places orders through one worker's groups."""

    def __init__(self, url: str, executor: CountingExecutor, settings: Settings) -> None:
        self.url, self.executor, self.metrics = url, executor, Metrics()
        self.groups = CheckoutGroups(executor, settings, CheckoutMetrics(self.metrics, "EUR"))

    @property
    def sent(self) -> list[tuple[str, int]]:
        return self.executor.sent

    async def place(self, *products: int, quantity: int = 1, key: str | None = None, **more: Any) -> Outcome:
        order = NewOrder(
            lines=[NewLine(product, quantity) for product in products],
            client_id=more.pop("client_id", 1),
            payment_type="card",
            delivery_method=1,
            key_to_keep=None if key is None else KeyToKeep(key, b"fingerprint", "/orders/"),
            **more,
        )
        return await self.groups.place(PendingOrder(order), time.monotonic())

    async def verdict(self, *products: int, **more: Any) -> Verdict:
        return (await self.place(*products, **more)).verdict

    def is_waiting(self) -> bool:
        """Whether a statement waits for a lock."""
        return bool(rows_of(self.url, WAITING))

    def orders(self) -> int:
        ((number,),) = rows_of(self.url, "SELECT count(*) FROM orders")
        return int(number)


Scenario = Callable[[Shop], Coroutine[Any, Any, None]]


@pytest.fixture
def run(url: str, redis_url: str) -> Callable[..., None]:
    def run(scenario: Scenario, **settings: str) -> None:
        async def with_shop() -> None:
            read = read_settings({"DB_POOL_SIZE": "2", "DB_POOL_TIMEOUT": "60", "DB_LOCK_TIMEOUT": "60", **settings})
            async with opened(url, redis_url, read) as executor:
                await scenario(Shop(url, executor, read))

        asyncio.run(with_shop())

    return run


async def placed_together(shop: Shop, calls: Sequence[Coroutine[Any, Any, Verdict]]) -> list[Verdict]:
    return list(await asyncio.gather(*calls))


def test_who_comes_while_a_statement_is_under_way_shares_the_next(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        first = asyncio.create_task(shop.verdict(LAMP))
        await until(lambda: bool(shop.sent))
        others = await placed_together(shop, [shop.verdict(CHAIR) for _ in range(10)])
        assert [await first, *others] == [Verdict.PLACED] * 11
        assert shop.sent == [("place_orders", 1), ("place_orders", 10)]

    run(scenario)


def test_a_group_is_bounded(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        large = [LAMP] * (MOST_LINES + 1)
        verdicts = await placed_together(
            shop, [*(shop.verdict(LAMP) for _ in range(MOST_ORDERS + 1)), shop.verdict(*large), shop.verdict(CHAIR)]
        )
        assert set(verdicts) == {Verdict.PLACED}
        assert [number for _, number in shop.sent] == [MOST_ORDERS, 1, 1, 1]

    run(scenario)


def test_a_refused_order_leaves_its_group_alone(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        calls = [shop.verdict(LAMP), shop.verdict(99), shop.verdict(CHAIR, quantity=STOCK + 1), shop.verdict(LAMP)]
        verdicts = await placed_together(shop, calls)
        assert verdicts == [Verdict.PLACED, Verdict.NO_PRODUCT, Verdict.SHORT, Verdict.PLACED]
        assert shop.sent == [("place_orders", 4)]

    run(scenario)


def test_the_last_pieces_go_in_the_order_of_arrival(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        share = STOCK // 3
        verdicts = await placed_together(shop, [shop.verdict(LAMP, quantity=share) for _ in range(9)])
        assert verdicts == [Verdict.PLACED] * 3 + [Verdict.SHORT] * 6

    run(scenario)


def test_a_key_at_work_in_this_worker_is_in_progress(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        first = asyncio.create_task(shop.place(LAMP, key="key"))
        await until(lambda: bool(shop.sent))
        with pytest.raises(RequestInProgress):
            await shop.place(LAMP, key="key")
        placed = await first
        again = await shop.place(LAMP, key="key")
        assert placed.order is not None
        assert again.kept is not None
        assert again.kept[2] == placed.order.body
        assert shop.orders() == 1

    run(scenario)


def test_the_same_number_of_a_bill_is_never_twice_in_a_group(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        verdicts = await placed_together(
            shop, [shop.verdict(LAMP, bill_number=number) for number in ("INV", "inv", "other")]
        )
        assert verdicts == [Verdict.PLACED, Verdict.NUMBER_TAKEN, Verdict.PLACED]
        assert [number for _, number in shop.sent] == [1, 2]

    run(scenario)


def test_a_locked_product_holds_up_nobody_else_and_its_orders_are_placed_in_the_end(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        with connected(shop.url) as foreign, foreign.cursor() as cursor:
            cursor.execute(f"BEGIN; SELECT FROM products WHERE id_key = {LAMP} FOR UPDATE")
            waiting = [asyncio.create_task(shop.verdict(*products)) for products in ((LAMP,), (CHAIR, LAMP), (LAMP,))]
            assert await shop.verdict(CHAIR) == Verdict.PLACED
            # From now on it is known that the product is locked.
            assert await shop.verdict(TABLE) == Verdict.PLACED
            before = len(shop.sent)
            waiting.append(asyncio.create_task(shop.verdict(LAMP)))
            assert await placed_together(shop, [shop.verdict(CHAIR) for _ in range(5)]) == [Verdict.PLACED] * 5
            assert ("place_orders", 5) in shop.sent[before:]
            assert not any(task.done() for task in waiting)
            cursor.execute("COMMIT")
        assert await asyncio.gather(*waiting) == [Verdict.PLACED] * 4
        # The product is one like all others again.
        shop.sent.clear()
        assert await placed_together(shop, [shop.verdict(LAMP), shop.verdict(CHAIR)]) == [Verdict.PLACED] * 2
        assert shop.sent == [("place_orders", 2)]

    run(scenario)


def test_who_waits_too_long_for_a_locked_product_is_told_so(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        with connected(shop.url) as foreign, foreign.cursor() as cursor:
            cursor.execute(f"BEGIN; SELECT FROM products WHERE id_key = {LAMP} FOR UPDATE")
            refused = await asyncio.gather(*(shop.place(LAMP) for _ in range(3)), return_exceptions=True)
            assert [type(error) for error in refused] == [Unavailable] * 3
            cursor.execute("COMMIT")
        assert await shop.verdict(LAMP) == Verdict.PLACED
        assert shop.orders() == 1

    run(scenario, DB_LOCK_TIMEOUT="0.5")


def test_a_row_that_is_locked_and_no_product_holds_up_its_own_order_only(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        with connected(shop.url) as foreign, foreign.cursor() as cursor:
            cursor.execute(
                "INSERT INTO clients (name, lastname, email, email_key) VALUES ('Bo', 'Li', 'b@x.org', 'b@x.org')"
            )
            cursor.execute("BEGIN; SELECT FROM clients WHERE id_key = 2 FOR UPDATE")
            waiting = asyncio.create_task(shop.verdict(LAMP, client_id=2))
            assert await placed_together(shop, [shop.verdict(LAMP) for _ in range(4)]) == [Verdict.PLACED] * 4
            assert not waiting.done()
            cursor.execute("COMMIT")
        assert await waiting == Verdict.PLACED

    run(scenario)


@pytest.mark.parametrize("place", [{"address_id": 1}, {"to_default_address": True}], ids=["named", "default"])
@pytest.mark.parametrize("table", ["clients", "addresses"])
def test_many_orders_of_a_locked_client_hold_up_nobody_else(
    run: Callable[..., None], table: str, place: dict[str, Any]
) -> None:
    async def scenario(shop: Shop) -> None:
        add_a_client_with_an_address(shop.url)
        with connected(shop.url) as foreign, foreign.cursor() as cursor:
            cursor.execute(f"BEGIN; SELECT FROM {table} ORDER BY id_key DESC LIMIT 1 FOR UPDATE")
            waiting = [asyncio.create_task(shop.verdict(LAMP, client_id=2, **place)) for _ in range(30)]
            assert await placed_together(shop, [shop.verdict(LAMP) for _ in range(30)]) == [Verdict.PLACED] * 30
            # None of them had to be placed alone, and from now on it is known who is locked.
            assert ("place_free_orders", 60) in shop.sent
            before = len(shop.sent)
            waiting.append(asyncio.create_task(shop.verdict(LAMP, client_id=2, **place)))
            assert await placed_together(shop, [shop.verdict(LAMP) for _ in range(5)]) == [Verdict.PLACED] * 5
            assert ("place_orders", 5) in shop.sent[before:]
            assert not any(task.done() for task in waiting)
            cursor.execute("COMMIT")
        assert await asyncio.gather(*waiting) == [Verdict.PLACED] * 31
        shop.sent.clear()
        assert await shop.verdict(LAMP, client_id=2, **place) == Verdict.PLACED
        assert shop.sent == [("place_orders", 1)]

    run(scenario)


def add_a_client_with_an_address(url: str) -> None:
    execute(url, "INSERT INTO clients (name, lastname, email, email_key) VALUES ('Bo', 'Li', 'b@x.org', 'b@x.org')")
    execute(url, "TRUNCATE addresses RESTART IDENTITY CASCADE")
    execute(url, "INSERT INTO addresses (street, city, is_default, client_id) VALUES ('Lane', 'Town', true, 2)")


def test_each_locked_product_has_its_turn(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        with connected(shop.url) as foreign, connected(shop.url) as seller:
            foreign.cursor().execute(f"BEGIN; SELECT FROM products WHERE id_key = {LAMP} FOR UPDATE")
            seller.cursor().execute(f"BEGIN; SELECT FROM products WHERE id_key = {CHAIR} FOR UPDATE")
            waiting = [asyncio.create_task(shop.verdict(product)) for product in (LAMP, CHAIR)]
            await until(lambda: ("place_free_orders", 2) in shop.sent)
            # Who only tries now and then would never find free what others sell all the time.
            await until(partial(is_waiting_for, shop.url, seller.info.backend_pid))
            seller.cursor().execute("COMMIT")
            assert await waiting[1] == Verdict.PLACED
            assert not waiting[0].done()
            foreign.cursor().execute("COMMIT")
        assert await waiting[0] == Verdict.PLACED

    run(scenario)


def test_who_waits_for_a_locked_product_keeps_no_other_from_anybody(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        with connected(shop.url) as foreign:
            foreign.cursor().execute(f"BEGIN; SELECT FROM products WHERE id_key = {CHAIR} FOR UPDATE")
            waiting = asyncio.create_task(shop.verdict(LAMP, CHAIR))
            await until(lambda: ("place_free_orders", 1) in shop.sent)

            def is_free_meanwhile() -> bool:
                is_waited_for = partial(is_waiting_for, shop.url, foreign.info.backend_pid)
                lamp = f"SELECT 1 FROM products WHERE id_key = {LAMP} FOR UPDATE SKIP LOCKED"
                return is_waited_for() and bool(rows_of(shop.url, lamp)) and is_waited_for()

            await until(is_free_meanwhile)
            assert not waiting.done()
            foreign.cursor().execute("COMMIT")
        assert await waiting == Verdict.PLACED

    run(scenario)


def is_waiting_for(url: str, pid: int) -> bool:
    return bool(rows_of(url, f"SELECT 1 FROM pg_stat_activity WHERE {pid} = ANY (pg_blocking_pids(pid))"))


def test_a_client_that_is_deleted_meanwhile_fails_its_own_order_only(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        execute(
            shop.url,
            "INSERT INTO clients (name, lastname, email, email_key) VALUES ('Bo', 'Li', 'b@x.org', 'b@x.org')",
        )
        with connected(shop.url) as foreign, foreign.cursor() as cursor:
            cursor.execute("BEGIN; DELETE FROM clients WHERE id_key = 2")
            calls = [shop.place(LAMP, client_id=2), shop.place(LAMP), shop.place(CHAIR)]
            waiting = [asyncio.create_task(call) for call in calls]
            await until(shop.is_waiting)
            cursor.execute("COMMIT")
        gone, *others = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(gone, NotFound) or (isinstance(gone, Outcome) and gone.verdict == Verdict.NO_CLIENT)
        assert [isinstance(one, Outcome) and one.verdict for one in others] == [Verdict.PLACED] * 2

    run(scenario)


def test_a_group_that_is_canceled_is_placed_one_by_one(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        with connected(shop.url) as foreign, foreign.cursor() as cursor:
            cursor.execute(f"BEGIN; SELECT FROM products WHERE id_key = {LAMP} FOR UPDATE")
            waiting = [asyncio.create_task(shop.verdict(product)) for product in (LAMP, CHAIR, CHAIR)]
            await until(shop.is_waiting)
            cursor.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            cursor.execute("COMMIT")
        assert await asyncio.gather(*waiting) == [Verdict.PLACED] * 3
        assert shop.orders() == 3

    run(scenario)


def test_nothing_is_placed_for_who_gave_up_before_it_was_sent(run: Callable[..., None]) -> None:
    async def scenario(shop: Shop) -> None:
        with connected(shop.url) as foreign, foreign.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE bill_counters")
            refused = await asyncio.gather(*(shop.place(CHAIR) for _ in range(4)), return_exceptions=True)
            assert [type(error) for error in refused] == [Unavailable] * 4
            cursor.execute("COMMIT")
        assert await shop.verdict(CHAIR) == Verdict.PLACED
        assert shop.orders() == 1

    run(scenario, DB_LOCK_TIMEOUT="0.5", DB_POOL_TIMEOUT="0.5")
