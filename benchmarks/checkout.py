"""Orders per second, with the proof that none was lost, doubled or oversold.

    python -m benchmarks.checkout --seconds 30 --buyers 64 --products 1000 --lines 3 --hot 0.2 --kill

Starts the production server on embedded servers, lets buyers compete for limited stock, with repeated keys, price
changes, cancellations and returns, and (`--kill`) kills one worker by SIGKILL in the middle. Then every acknowledged
order is compared with the database, and `scripts.verify` proves the invariants. With `--events` a reader follows
`GET /events` meanwhile, receivers get webhooks and mails, `--kill` kills the background process too, and what was told is compared.
Exits with 1 unless everything agrees.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import uvloop

from benchmarks import receivers
from benchmarks.follower import EventsVerdict, Follower, judge_events
from benchmarks.http_client import Connection, Response, percentile
from benchmarks.production_shop import Shop, production_shop
from benchmarks.record import save
from config.settings import PROJECT_ROOT

RETRY_SECONDS = 0.1
MAX_TRIES = 200
# When the background process is killed, as parts of the time.
KILLS_IN_THE_BACKGROUND = (0.25, 0.55, 0.8)


@dataclass(frozen=True, slots=True)
class Mix:
    """The mix of the buyers' requests: lines per order, the share of the hot product, and the shares of other requests."""

    lines: int
    hot: float
    repeats: float = 0.05
    price_changes: float = 0.02
    cancellations: float = 0.03
    returns: float = 0.02


@dataclass(slots=True)
class Tally:
    """The responses of the shop: the acknowledged orders by key, and the times of the first responses."""

    orders: dict[str, int] = field(default_factory=dict)
    units: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    replays: int = 0
    unknown: int = 0
    seconds: list[float] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)


class Buyer:
    """One client with a connection of its own, which buys until the deadline."""

    def __init__(self, shop: Shop, catalog: list[dict[str, Any]], client_id: int, mix: Mix, tally: Tally) -> None:
        self.connection = Connection(shop.host, shop.port)
        self.catalog, self.client_id, self.mix, self.tally = catalog, client_id, mix, tally

    async def buy_until(self, deadline: float) -> None:
        async with self.connection:
            while time.monotonic() < deadline:
                await self._buy()
                if random.random() < self.mix.price_changes:
                    await self._change_a_price()

    async def _buy(self) -> None:
        key = uuid.uuid4().hex
        body = {
            "client_id": self.client_id,
            "delivery_method": 1,
            "payment_type": "card",
            "lines": [
                {"product_id": self._product()["id_key"], "quantity": random.randint(1, 3)}
                for _ in range(self.mix.lines)
            ],
        }
        started = time.perf_counter()
        response = await self._until_answered(body, key)
        self.tally.seconds.append(time.perf_counter() - started)
        if response.status != 201:
            self.tally.refused[response.status] += 1
        else:
            await self._note_order(key, body, response)
        if random.random() < self.mix.repeats:
            await self._repeat(key, body, response)

    def _product(self) -> dict[str, Any]:
        return self.catalog[0] if random.random() < self.mix.hot else random.choice(self.catalog)

    async def _until_answered(self, body: dict[str, Any], key: str) -> Response:
        """The first conclusive response. After a broken connection or a 503 the request is repeated with its key."""
        for _ in range(MAX_TRIES):
            try:
                response = await self.connection.request("POST", "/checkout", body, {"Idempotency-Key": key})
            except ConnectionError:
                self.tally.unknown += 1
            else:
                if response.status != 503 and not (response.status == 409 and b"retry-after" in response.headers):
                    return response
                self.tally.unknown += response.status == 503
            await asyncio.sleep(RETRY_SECONDS)
        raise SystemExit("the shop did not answer any more")

    async def _note_order(self, key: str, body: dict[str, Any], response: Response) -> None:
        order = response.json()
        self.tally.orders[key] = order["id_key"]
        dice = random.random()
        if dice < self.mix.cancellations:
            await self._post(f"/orders/{order['id_key']}/cancel")
        elif dice < self.mix.cancellations + self.mix.returns:
            await self._post(f"/orders/{order['id_key']}/advance")
            line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}
            await self._post(f"/orders/{order['id_key']}/returns", {"lines": [line]})

    async def _repeat(self, key: str, body: dict[str, Any], first: Response) -> None:
        again = await self._until_answered(body, key)
        self.tally.replays += 1
        if (again.status, again.body) != (first.status, first.body):
            self.tally.contradictions.append(f"key {key} was answered {first.status}, then {again.status}")

    async def _change_a_price(self) -> None:
        product = random.choice(self.catalog)
        await self._call("PUT", f"/products/{product['id_key']}", {"price": random.randint(100, 9999) / 100})

    async def _post(self, path: str, body: Any = None) -> None:
        await self._call("POST", path, body, {"Idempotency-Key": uuid.uuid4().hex})

    async def _call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> None:
        try:
            await self.connection.request(method, path, body, headers)
        except ConnectionError:
            self.tally.unknown += 1


async def fill(shop: Shop, products: int, stock: int) -> tuple[list[dict[str, Any]], int]:
    """A catalog of `products` products with `stock` pieces each, and a client."""
    async with Connection(shop.host, shop.port) as connection:
        category = (await connection.request("POST", "/categories", {"name": "Benchmark"})).json()
        rows = [
            {"name": f"Product {number}", "price": 9.99, "stock": stock, "category_id": category["id_key"]}
            for number in range(products)
        ]
        catalog = (await connection.request("POST", "/products/bulk", rows)).json()
        person = {"name": "Demo", "lastname": "Buyer", "email": "buyer@example.com"}
        client = (await connection.request("POST", "/clients", person)).json()
    return catalog, client["id_key"]


async def race(shop: Shop, options: argparse.Namespace, follower: Follower | None) -> Tally:
    """Run all buyers, and the follower to its end; the tally of the buyers."""
    following = None if follower is None else asyncio.create_task(follower.follow())
    catalog, client_id = await fill(shop, options.products, options.stock)
    mix = Mix(options.lines, options.hot) if options.mixed else Mix(options.lines, options.hot, 0, 0, 0, 0)
    tally = Tally()
    deadline = time.monotonic() + options.seconds
    buyers = [Buyer(shop, catalog, client_id, mix, tally).buy_until(deadline) for _ in range(options.buyers)]
    if options.kill:
        loop = asyncio.get_running_loop()
        loop.call_later(options.seconds / 2, shop.kill_a_worker)
        for part in KILLS_IN_THE_BACKGROUND:
            loop.call_later(options.seconds * part, shop.kill_a_background_process)
    await asyncio.gather(*buyers)
    if follower is not None and following is not None:
        follower.stop()
        await following
    return tally


@contextmanager
def _database(shop: Shop) -> Iterator[Any]:
    """A cursor that reads the rows of the shop."""
    connection = psycopg2.connect(shop.database_url.replace("+psycopg2", ""))
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def judge(shop: Shop, tally: Tally) -> dict[str, int]:
    """The differences between the database and the acknowledged orders: everything but zero is a fault."""
    with _database(shop) as cursor:
        cursor.execute("SELECT id_key FROM orders")
        stored = {row[0] for row in cursor.fetchall()}
        cursor.execute("SELECT count(*) FROM products WHERE stock < 0")
        oversold = cursor.fetchone()
    acknowledged = set(tally.orders.values())
    assert oversold is not None
    return {
        "oversold": oversold[0],
        "lost": len(acknowledged - stored),
        "doubled": len(stored - acknowledged) + len(tally.orders) - len(acknowledged) + len(tally.contradictions),
    }


def verified(shop: Shop) -> bool:
    """Whether the invariants hold, by `scripts.verify`."""
    command = [sys.executable, "-m", "scripts.verify"]
    environment = {**os.environ, "DATABASE_URL": shop.database_url, "REDIS_ENABLED": "false"}
    return subprocess.run(command, cwd=PROJECT_ROOT, env=environment, check=False).returncode == 0


def main() -> int:
    options = _options()
    follower = events = None
    verdicts: list[EventsVerdict | receivers.WebhooksVerdict | receivers.MailsVerdict] = []
    with ExitStack() as stack:
        settings: dict[str, str] = {}
        if options.events:
            hooks, (smtp_url, inbox) = (
                stack.enter_context(receivers.receiver()),
                stack.enter_context(receivers.mail_server()),
            )
            settings = {**receivers.SETTINGS, "SMTP_URL": smtp_url}
        shop = stack.enter_context(production_shop(options.workers, None, **settings))
        if options.events:
            follower = Follower(shop.host, shop.port)
            uvloop.run(receivers.send_to(shop, hooks.url))
        tally = uvloop.run(race(shop, options, follower))
        verdict = judge(shop, tally)
        if follower is not None:
            with _database(shop) as cursor:
                events = judge_events(cursor, follower.told.events)
                receivers.wait_until_sent(cursor)
                verdicts = [
                    events,
                    receivers.judge_webhooks(cursor, hooks.events),
                    receivers.judge_mails(cursor, inbox.mails),
                ]
        sound = verified(shop)
    tally.seconds.sort()
    figures = {
        "orders_per_second": round(len(tally.orders) / options.seconds, 1),
        "p50_ms": round(percentile(tally.seconds, 0.5) * 1000, 1),
        "p99_ms": round(percentile(tally.seconds, 0.99) * 1000, 1),
        "orders": len(tally.orders),
        "refusals": sum(tally.refused.values()),
        "replays": tally.replays,
        "unknown_resolved": tally.unknown,
        **verdict,
        "invariants_hold": sound,
    }
    if follower is not None and events is not None:
        figures |= _events_figures(follower, events)
    for name, value in figures.items():
        print(f"{name:20} {value}")
    print(", ".join(f"{name} {count}" for name, count in verdict.items()))
    faults = list(tally.contradictions)
    for one in verdicts:
        print(one)
        faults += one.faults
    for fault in faults[:10]:
        print(fault)
    save("checkout", vars(options), figures)
    return 0 if sound and not faults and not any(verdict.values()) else 1


def _events_figures(follower: Follower, verdict: EventsVerdict) -> dict[str, Any]:
    seconds = sorted(follower.told.seconds)
    return {
        "events": len(follower.told.events),
        "events_p50_ms": round(percentile(seconds, 0.5) * 1000, 1),
        "events_p99_ms": round(percentile(seconds, 0.99) * 1000, 1),
        "events_longest_ms": round(seconds[-1] * 1000, 1),
        "readings_broken_off": follower.told.broken,
        "events_wrong": len(verdict.faults),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30, help="how long to buy")
    parser.add_argument("--buyers", type=int, default=64, help="how many buy at once")
    parser.add_argument("--products", type=int, default=1000, help="how many products there are")
    parser.add_argument("--stock", type=int, default=1_000, help="how many pieces of each there are")
    parser.add_argument("--lines", type=int, default=3, help="how many lines an order has")
    parser.add_argument("--hot", type=float, default=0.2, help="the share of lines that is of one hot product")
    parser.add_argument("--workers", type=int, default=2, help="how many worker processes serve")
    parser.add_argument("--kill", action="store_true", help="end a worker by SIGKILL in the middle")
    parser.add_argument("--events", action="store_true", help="follow the events, and prove that none is missing")
    parser.add_argument(
        "--only-orders", dest="mixed", action="store_false", help="no repeats, price changes, cancellations, returns"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
