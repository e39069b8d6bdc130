"""Verification of purchases: compares the responses that the buyers got with the rows in the shop, by its HTTP API alone.

Buyers record every POST in a `Ledger` before they send it, and its response when they have it. After the run, a request
without a response is repeated with its key, and the response tells what happened. Then every acknowledged order must
exist as it was acknowledged, and no other order of the buyers' client; and for every product of their catalog the stock
and the sold pieces must add up to the initial stock.

Money is counted in cents, so that sums are exact and a worker process of a load test can send them.
"""

import random
import time
import uuid
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx

Row = Mapping[str, Any]

CANCELED = 4
PAGE_ROWS = 200
RETRY_SECONDS = 0.2
RESOLVE_SECONDS = 30.0
PRODUCTS = 100
STOCK = 1_000
HOT_STOCK = 100
"""Pieces of the first product, which is bought more than the others: it sells out."""


@dataclass(slots=True)
class Catalog:
    """The products that only these buyers buy, by id with their initial stocks, and the buyers' client."""

    client_id: int
    category_id: int
    stocks: dict[int, int]

    @property
    def hot_product(self) -> int:
        return next(iter(self.stocks))

    def price_change(self) -> tuple[int, float]:
        """A random product, and a new price for it."""
        return random.choice(list(self.stocks)), random.randint(100, 9999) / 100


class Line(NamedTuple):
    """A line of an order; the price in cents."""

    product_id: int
    quantity: int
    price: int


class Order(NamedTuple):
    """An order as the shop shows it; both totals in cents."""

    id_key: int
    total: int
    to_pay: int
    lines: tuple[Line, ...]


@dataclass(slots=True)
class Ledger:
    """The acknowledged orders by key, the requests without a response, and contradictory responses."""

    catalog: Catalog
    orders: dict[str, Order] = field(default_factory=dict)
    pending: dict[str, tuple[str, Any]] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)
    refused: int = 0

    def begin(self, path: str, body: Any) -> str:
        """The new Idempotency-Key of a POST that is about to be sent."""
        key = uuid.uuid4().hex
        self.pending[key] = (path, body)
        return key

    def settle(self, key: str, status: int, content: Any) -> None:
        """Record the response to the POST with this key; `content` is its JSON."""
        path, body = self.pending.pop(key)
        if path != "/checkout":
            return
        if status != HTTPStatus.CREATED:
            self.refused += 1
            return
        order = order_of(content)
        asked = [(line["product_id"], line["quantity"]) for line in body["lines"]]
        if [line[:2] for line in order.lines] != asked:
            self.contradictions.append(f"key {key} was answered with other lines than it asked for")
        self.orders[key] = order

    def as_message(self) -> dict[str, Any]:
        """Plain values, for another process."""
        return asdict(self)

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "Ledger":
        orders = {
            key: Order(id_key, total, to_pay, tuple(Line(*line) for line in lines))
            for key, (id_key, total, to_pay, lines) in message["orders"].items()
        }
        return cls(**{**message, "catalog": Catalog(**message["catalog"]), "orders": orders})


@dataclass(slots=True)
class Verdict:
    """The differences between the shop and the acknowledged orders: each is a fault, with an explanation."""

    oversold: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    def add(self, other: "Verdict") -> None:
        self.oversold += other.oversold
        self.lost += other.lost
        self.doubled += other.doubled

    @property
    def faults(self) -> list[str]:
        return [*self.oversold, *self.lost, *self.doubled]

    def __str__(self) -> str:
        return f"oversold {len(self.oversold)}, lost {len(self.lost)}, doubled {len(self.doubled)}"


class Unresolved(Exception):
    """The result of a request stays unknown, so there is no verdict."""


def is_conclusive(status: int, headers: Container[str]) -> bool:
    """Whether the response tells the result of a POST. A broken connection (status 0), 429, 5xx or 409 in progress does not."""
    in_flight = status == HTTPStatus.CONFLICT and "Retry-After" in headers
    return 0 < status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS and not in_flight


def order_of(row: Row) -> Order:
    """The order of a response with details and bill inside."""
    lines = (Line(line["product_id"], line["quantity"], cents(line["price"])) for line in row["order_details"])
    return Order(row["id_key"], cents(row["total"]), cents(row["bill"]["total"]), tuple(lines))


def cents(amount: float) -> int:
    return round(amount * 100)


def create_catalog(http: httpx.Client) -> Catalog:
    """A new catalog for the buyers, and a client. Raises `httpx.HTTPError`."""
    tag = uuid.uuid4().hex[:12]
    category = _created(http, "/categories", {"name": f"Buyers {tag}"})
    stocks = [HOT_STOCK] + [STOCK] * (PRODUCTS - 1)
    rows = [
        {"name": f"Bought {tag} {number}", "price": 9.99, "stock": stock, "category_id": category["id_key"]}
        for number, stock in enumerate(stocks)
    ]
    products = _created(http, "/products/bulk", rows)
    client = _created(http, "/clients", {"name": "Load", "lastname": "Buyer", "email": f"buyer-{tag}@example.com"})
    stored = {row["id_key"]: row["stock"] for row in products}
    return Catalog(client["id_key"], category["id_key"], stored)


def _created(http: httpx.Client, path: str, body: Any) -> Any:
    return http.post(path, json=body).raise_for_status().json()


def judge(http: httpx.Client, ledger: Ledger) -> Verdict:
    """Compare the shop with the ledger, when no request is in flight. Raises `httpx.HTTPError`, `Unresolved`."""
    _resolve(http, ledger)
    orders = list(_pages(http, "/orders", client_id=ledger.catalog.client_id, expand="order_details,bill"))
    products = list(_pages(http, "/products", category_id=ledger.catalog.category_id))
    return compare(ledger, orders, products)


def _resolve(http: httpx.Client, ledger: Ledger) -> None:
    """Repeat every request without a response with its key, until there is one."""
    deadline = time.monotonic() + RESOLVE_SECONDS
    while ledger.pending:
        key, (path, body) = next(iter(ledger.pending.items()))
        try:
            response = http.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError as error:
            said = str(error)
        else:
            if is_conclusive(response.status_code, response.headers):
                ledger.settle(key, response.status_code, response.json())
                continue
            said = f"{response.status_code}"
        if time.monotonic() > deadline:
            raise Unresolved(f"the shop does not tell what became of POST {path} with key {key} ({said})")
        time.sleep(RETRY_SECONDS)


def _pages(http: httpx.Client, path: str, **filters: str | int) -> Iterator[Row]:
    after = 0
    while True:
        page = http.get(path, params={**filters, "limit": PAGE_ROWS, "after": after}).raise_for_status().json()
        yield from page
        if len(page) < PAGE_ROWS:
            return
        after = page[-1]["id_key"]


def compare(ledger: Ledger, orders: Sequence[Row], products: Sequence[Row]) -> Verdict:
    """The verdict on the rows of the shop: all orders of the buyers' client, and all products of their catalog."""
    verdict = Verdict(doubled=list(ledger.contradictions))
    stored = {row["id_key"]: order_of(row) for row in orders}
    for key, order in ledger.orders.items():
        if order.id_key not in stored:
            verdict.lost.append(f"order {order.id_key} of key {key} is not there")
        elif stored[order.id_key] != order or not _adds_up(order):
            verdict.lost.append(f"order {order.id_key} of key {key} was {order}, is {stored[order.id_key]}")
    keys = Counter(order.id_key for order in ledger.orders.values())
    verdict.doubled += [f"order {order_id} is of {count} keys" for order_id, count in keys.items() if count > 1]
    verdict.doubled += [f"order {order_id} is of no key" for order_id in stored if order_id not in keys]
    verdict.oversold += _wrong_stocks(ledger.catalog, orders, products)
    return verdict


def _adds_up(order: Order) -> bool:
    return order.total == order.to_pay == sum(line.quantity * line.price for line in order.lines)


def _wrong_stocks(catalog: Catalog, orders: Sequence[Row], products: Sequence[Row]) -> Iterator[str]:
    """The products whose stock and sold pieces do not add up to their initial stock."""
    sold: Counter[int] = Counter()
    for order in orders:
        if order["status"] != CANCELED:
            for line in order["order_details"]:
                sold[line["product_id"]] += line["quantity"] - line["returned_quantity"]
    stocks = {row["id_key"]: row["stock"] for row in products}
    for product_id, put_in in catalog.stocks.items():
        left = stocks.get(product_id)
        if left is None or left < 0 or left + sold[product_id] != put_in:
            yield f"product {product_id}: {put_in} put in, {sold[product_id]} sold, {left} in stock"
