"""The visitors of the load test: Locust users who read most of the time, and write with a given share."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx
from locust import FastHttpUser, between, task

from benchmarks.buyer import HOST

PAGE_ROWS = 20
FIRST_PAGES = 5
FIRST_PRODUCTS = 100
FIRST_CLIENTS = 20

USUAL_WRITES = 10.0


@dataclass(slots=True)
class Shop:
    """The ids that the visitors use."""

    product_ids: list[int] = field(default_factory=list)
    category_ids: list[int] = field(default_factory=list)


class Visitor(FastHttpUser):
    """A user who reads most of the time. Locust's option `--writes` sets the share of writes."""

    host = HOST
    weight = 9
    wait_time = between(1, 3)

    shop: ClassVar[Shop]
    """Shared by all visitors of this process; the start of a test sets it."""

    @task
    def visit(self) -> None:
        assert self.environment.parsed_options is not None
        steps = mix(self.environment.parsed_options.writes)
        (step,) = random.choices(list(steps), list(steps.values()))
        step(self)

    def list_products(self) -> None:
        skip = PAGE_ROWS * random.randrange(FIRST_PAGES)
        self.client.get(f"/products?skip={skip}&limit={PAGE_ROWS}", name="/products")

    def view_product(self) -> None:
        self.client.get(f"/products/{random.choice(self.shop.product_ids)}", name="/products/{id}")

    def list_categories(self) -> None:
        self.client.get("/categories")

    def list_clients(self) -> None:
        self.client.get(f"/clients?limit={PAGE_ROWS}", name="/clients")

    def create_product(self) -> None:
        self.client.post("/products", json=new_product(random.choice(self.shop.category_ids)))

    def create_client(self) -> None:
        self.client.post("/clients", json=new_client())


Step = Callable[[Visitor], None]

# The shares of the reads among themselves.
READS: dict[Step, int] = {
    Visitor.list_products: 40,
    Visitor.view_product: 25,
    Visitor.list_categories: 15,
    Visitor.list_clients: 10,
}
WRITES: tuple[Step, ...] = (Visitor.create_product, Visitor.create_client)


def mix(writes: float) -> dict[Step, float]:
    """The share of each step in percent, when `writes` percent are writes."""
    scale = (100 - writes) / sum(READS.values())
    return {step: share * scale for step, share in READS.items()} | {step: writes / len(WRITES) for step in WRITES}


def new_product(category_id: int) -> dict[str, Any]:
    """The body of a new product."""
    name = f"Load test product {uuid.uuid4().hex[:12]}"
    return {"name": name, "price": random.randint(100, 99_999) / 100, "stock": 100, "category_id": category_id}


def new_client() -> dict[str, Any]:
    """The body of a new client."""
    return {"name": "Load", "lastname": "Test", "email": f"load-test-{uuid.uuid4().hex}@example.com"}


def prepare_shop(http: httpx.Client) -> Shop:
    """The ids of rows for the visitors; an empty shop gets some rows first. Raises `httpx.HTTPError`."""
    categories = _rows(http, "/categories")
    if not categories:
        categories = [_create(http, "/categories", {"name": f"Load test {uuid.uuid4().hex[:12]}"})]
    products = _rows(http, "/products")
    if not products:
        bodies = [new_product(categories[0]["id_key"]) for _ in range(FIRST_PRODUCTS)]
        products = [_create(http, "/products", body) for body in bodies]
    if not _rows(http, "/clients"):
        for _ in range(FIRST_CLIENTS):
            _create(http, "/clients", new_client())
    return Shop([row["id_key"] for row in products], [row["id_key"] for row in categories])


def _rows(http: httpx.Client, path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = http.get(path, params={"limit": FIRST_PRODUCTS}).raise_for_status().json()
    return rows


def _create(http: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = http.post(path, json=body).raise_for_status().json()
    return row
