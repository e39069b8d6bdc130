"""The paths of `benchmarks.http`: a catalog in a running shop, and the most used reads and writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.http_client import Connection
from benchmarks.production_shop import Shop
from benchmarks.raw_requests import MARK, Scenario, blend, raw_request

PRODUCTS = 1000
CATEGORIES = 20
CLIENTS = 1000
PAGE = 20
_STOCK = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Catalog:
    """The ids of the rows, and the entity tags of the products in the same order."""

    products: Sequence[int]
    categories: Sequence[int]
    clients: Sequence[int]
    tags: Sequence[str]


@dataclass(frozen=True, slots=True)
class Path:
    """A load, its title in the table, and its targets, if any: ratios to the bare route and to the empty application."""

    name: str
    title: str
    requests: Callable[[Catalog], list[bytes]]
    target: float | None = None
    target_of_empty: float | None = None
    expected: tuple[int, ...] = (200,)
    p99_ms: float | None = None

    def scenario(self, catalog: Catalog) -> Scenario:
        return Scenario(self.name, self.requests(catalog), frozenset(self.expected))


async def fill(shop: Shop, headers: dict[str, str] | None = None) -> Catalog:
    """The catalog, stored by the bulk routes; products have descriptions of a realistic length. `headers` are the credentials."""
    async with Connection(shop.host, shop.port) as connection:

        async def store(resource: str, rows: list[dict[str, Any]]) -> list[int]:
            response = await connection.request("POST", f"/{resource}/bulk", rows, headers)
            if response.status != 201:
                raise SystemExit(f"POST /{resource}/bulk was answered {response.status}: {response.body[:200]!r}")
            return [row["id_key"] for row in response.json()]

        categories = await store("categories", [{"name": f"Category {number}"} for number in range(CATEGORIES)])
        products = await store(
            "products", [_product(f"{number}", categories[number % CATEGORIES]) for number in range(PRODUCTS)]
        )
        clients = await store("clients", [_client(f"{number}") for number in range(CLIENTS)])
        replies = [await connection.request("GET", f"/products/{product}") for product in products]
    return Catalog(products, categories, clients, [response.headers[b"etag"].decode() for response in replies])


def _product(number: str, category: int) -> dict[str, Any]:
    return {
        "name": f"Product {number}",
        "description": "A thing that many people want. " * 5,
        "price": 9.99,
        "stock": _STOCK,
        "category_id": category,
    }


def _client(number: str) -> dict[str, Any]:
    return {"name": "Demo", "lastname": "Buyer", "email": f"buyer{number}@example.com"}


def product_reads(catalog: Catalog) -> list[bytes]:
    return [raw_request("GET", f"/products/{product}") for product in catalog.products]


def product_heads(catalog: Catalog) -> list[bytes]:
    return [raw_request("HEAD", f"/products/{product}") for product in catalog.products]


def unchanged_product_reads(catalog: Catalog) -> list[bytes]:
    return [
        raw_request("GET", f"/products/{product}", headers={"if-none-match": tag})
        for product, tag in zip(catalog.products, catalog.tags, strict=True)
    ]


def product_lists(catalog: Catalog) -> list[bytes]:
    return _pages("products", len(catalog.products))


def client_lists(catalog: Catalog) -> list[bytes]:
    return _pages("clients", len(catalog.clients))


def _pages(resource: str, rows: int) -> list[bytes]:
    return [raw_request("GET", f"/{resource}?skip={skip}&limit={PAGE}") for skip in range(0, rows, PAGE)]


def category_lists(catalog: Catalog) -> list[bytes]:
    return [raw_request("GET", f"/categories?skip=0&limit={PAGE}")]


def new_rows(catalog: Catalog) -> list[bytes]:
    """New products and clients, by turns."""
    return [
        raw_request("POST", "/products", {**_product(MARK, catalog.categories[0]), "sku": f"SKU-{MARK}"}),
        raw_request("POST", "/clients", _client(MARK)),
    ]


def mix(catalog: Catalog) -> list[bytes]:
    return blend(
        [
            (400, product_lists(catalog)),
            (250, product_reads(catalog)),
            (150, category_lists(catalog)),
            (100, client_lists(catalog)),
            (100, new_rows(catalog)),
        ]
    )


def checkouts(catalog: Catalog) -> list[bytes]:
    """Orders of one line, each of another product than the last, with a key of its own."""
    return [
        raw_request(
            "POST",
            "/checkout",
            {
                "client_id": catalog.clients[place % len(catalog.clients)],
                "delivery_method": 1,
                "payment_type": "card",
                "lines": [{"product_id": product, "quantity": 1}],
            },
            {"idempotency-key": MARK},
        )
        for place, product in enumerate(catalog.products)
    ]


PATHS = (
    Path("product", "GET /products/{id}, cached", product_reads, 1.5, 0.8),
    Path("products", "GET /products?skip&limit=20, cached", product_lists, 1.4, 0.75),
    Path("unchanged", "GET /products/{id}, 304", unchanged_product_reads, expected=(304,)),
    Path("head", "HEAD /products/{id}", product_heads),
    Path("clients", "GET /clients?skip&limit=20", client_lists, 1.0),
    Path("new", "POST /products, /clients", new_rows, expected=(201,)),
    Path("mix", "the mix", mix, 0.7, expected=(200, 201), p99_ms=60),
    Path("checkout", "POST /checkout, one line", checkouts, 0.22, expected=(201,)),
)
