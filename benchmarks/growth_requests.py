"""The requests of `benchmarks.growth`, and the targets for the ratio of their times."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.growth_data import Size, word
from repositories.address import AddressRepository
from repositories.base import BaseRepository
from repositories.bill import BillRepository
from repositories.category import CategoryRepository
from repositories.client import ClientRepository
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from repositories.product import ProductRepository
from repositories.review import ReviewRepository
from schemas.address import AddressRead
from schemas.base import Read
from schemas.bill import BillRead
from schemas.category import CategoryRead
from schemas.client import ClientRead
from schemas.order import OrderRead
from schemas.order_detail import OrderDetailRead
from schemas.product import ProductRead
from schemas.review import ReviewRead

PAGE = 20
TARGETS = {"after": 1.5, "default": 1.5, "read": 1.5, "filter": 1.5, "q": 12.0, "checkout": 1.5}
"""The largest ratio for the requests of a group; other groups are for information."""

# A resource, the field of `Size` with its number of rows, and the repository and schema that define its sort columns.
_RESOURCES: dict[str, tuple[str, type[BaseRepository[Any]], type[Read]]] = {
    "clients": ("clients", ClientRepository, ClientRead),
    "addresses": ("clients", AddressRepository, AddressRead),
    "categories": ("categories", CategoryRepository, CategoryRead),
    "products": ("products", ProductRepository, ProductRead),
    "reviews": ("reviews", ReviewRepository, ReviewRead),
    "bills": ("orders", BillRepository, BillRead),
    "orders": ("orders", OrderRepository, OrderRead),
    "order_details": ("orders", OrderDetailRepository, OrderDetailRead),
}

# The names in braces stand for random rows. Every filter is there with a value that few rows have, and with one that many
# rows have, if there are such.
_FILTERS = (
    "/clients?email=client{client}@example.com",
    "/clients?name=name 7",
    "/clients?lastname=lastname 7",
    "/addresses?client_id={client}",
    "/addresses?city=city 3",
    "/categories?name=category 7",
    "/products?sku=sku-{product}",
    "/products?category_id=7",
    "/products?min_price=998",
    "/products?min_price=950",
    "/products?min_price=300",
    "/products?max_price=3",
    "/products?max_price=50",
    "/products?max_price=700",
    "/products?min_price=500&max_price=500",
    "/products?min_price=500&max_price=520",
    "/products?min_price=100&max_price=900",
    "/products?in_stock=true",
    "/products?in_stock=false",
    "/products?low_stock=true",
    "/products?low_stock=false",
    "/products?stock_below=1",
    "/products?stock_below=50",
    "/products?active=true",
    "/products?active=false",
    "/reviews?product_id={product}",
    "/reviews?min_rating=5",
    "/reviews?min_rating=2.5",
    "/bills?client_id={client}",
    "/bills?payment_type=cash",
    "/bills?kind=credit",
    "/bills?kind=sale",
    "/bills?bill_number=bill-{year}-{bill}",
    "/bills?date_from={day_1}",
    "/bills?date_from={day_30}",
    "/bills?date_to={day_1000}",
    "/bills?date_to={day_500}",
    "/orders?client_id={client}",
    "/orders?status=1",
    "/orders?status=2",
    "/orders?status=3",
    "/orders?status=4",
    "/orders?delivery_method=2",
    "/orders?bill_id={order}",
    "/orders?date_from={day_1}",
    "/orders?date_from={day_30}",
    "/orders?date_from={day_500}",
    "/orders?date_to={day_1000}",
    "/orders?date_to={day_500}",
    "/order_details?order_id={order}",
    "/order_details?product_id={product}",
    "/order_details?date_from={day_1}",
    "/order_details?date_from={day_30}",
    "/order_details?date_to={day_1000}",
    "/order_details?date_to={day_500}",
)
_COMBINED = (
    "/products?category_id=7&in_stock=false",
    "/products?category_id=7&low_stock=true",
    "/products?low_stock=true&in_stock=true",
    "/products?category_id=7&min_price=990",
    "/products?category_id=7&active=true&sort=-price",
    "/orders?client_id={client}&status=3",
    "/orders?status=1&delivery_method=2",
    "/clients/{client}/orders?",
    "/products/{product}/stock_movements?",
    "/orders?client_id={client}&expand=order_details,bill,client",
)
_SEARCHES = {
    "a frequent word": word(0),
    "a rare word": word(80),
    "a word with a typing error": word(40)[:2] + "x" + word(40)[3:],
    "two words": f"{word(3)} {word(30)}",
    "no such word": "qqwwxxyy",
}
# Of clients and orders: words that one has, and words that many have.
_FURTHER_SEARCHES = {
    "/clients?q=an address": "/clients?q=client{client}@example.com",
    "/clients?q=a frequent word": "/clients?q=name",
    "/clients?q=two words": "/clients?q=name lastname",
    "/orders?q=a number": "/orders?q={order}",
    "/orders?q=a number of a bill": "/orders?q=bill-{year}-{bill}",
    "/orders?q=an address": "/orders?q=client{client}@example.com",
    "/orders?q=a product": f"/orders?q={word(80)}",
    "/orders?q=a frequent word": f"/orders?q={word(0)}",
    "/orders?q=two frequent words": f"/orders?q={word(0)} lastname",
    "/orders?q=no such word": "/orders?q=qqwwxxyy",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A measured request. Names in braces in `path` stand for a row or a day."""

    group: str
    name: str
    path: str

    def path_in(self, size: Size, dice: random.Random) -> str:
        """The path for a shop of this size, with random rows."""
        return self.path.format(**_names(size, dice))


def _names(size: Size, dice: random.Random) -> dict[str, Any]:
    now = datetime.now(UTC)
    order = dice.randint(1, size.orders)
    days = {f"day_{days}": f"{now - timedelta(days=days):%Y-%m-%d}" for days in (1, 30, 500, 1000)}
    rows = {f"some_{name}": dice.randint(1, getattr(size, count)) for name, (count, _, _) in _RESOURCES.items()}
    halves = {f"half_{name}": getattr(size, count) // 2 for name, (count, _, _) in _RESOURCES.items()}
    return {
        "client": dice.randint(1, size.clients),
        "product": dice.randint(1, size.products),
        "order": order,
        "bill": f"{order:06}",
        "year": now.year,
        **days,
        **rows,
        **halves,
    }


def cases() -> Iterator[Case]:
    """All GET requests, group by group."""
    for name in _RESOURCES:
        yield Case("after", f"/{name}?after=", f"/{name}?after={{half_{name}}}&limit={PAGE}")
        yield Case("default", f"/{name}", f"/{name}?limit={PAGE}")
        yield Case("read", f"/{name}/{{id}}", f"/{name}/{{some_{name}}}")
    for path in _FILTERS:
        yield Case("filter", path, f"{path}&limit={PAGE}".replace(" ", "%20"))
    for path in _COMBINED:
        yield Case("combined", path, f"{path}&limit={PAGE}")
    for name, words in _SEARCHES.items():
        yield Case("q", f"/products?q={name}", f"/products?q={words.replace(' ', '%20')}&limit={PAGE}")
    for name, path in _FURTHER_SEARCHES.items():
        yield Case("q", name, f"{path}&limit={PAGE}".replace(" ", "%20"))
    for name, (_, repository, schema) in _RESOURCES.items():
        for column in repository.sortable():
            if column in schema.model_fields:
                for sign in ("", "-"):
                    yield Case("sort", f"/{name}?sort={sign}{column}", f"/{name}?sort={sign}{column}&limit={PAGE}")


def checkout_body(size: Size, dice: random.Random) -> dict[str, Any]:
    """An order of one line, of a product that is active and in stock."""
    product = dice.randint(1, size.products)
    while product % 50 in (3, 7):
        product = dice.randint(1, size.products)
    return {
        "client_id": dice.randint(1, size.clients),
        "delivery_method": 1,
        "payment_type": "card",
        "lines": [{"product_id": product, "quantity": 1}],
    }
