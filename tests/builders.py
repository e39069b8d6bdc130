"""Test data: one builder per entity, which makes a valid row through the API of a running shop.

`a_client(http)` posts a client with a unique name and returns the stored row; named fields replace
those of the sample: `a_product(http, price=5)`. A field that points to another row makes that row first,
unless it is given. `a_client.body(http)` is the body alone. The tests in `tests/contract` that hold for
every resource run over `BUILDERS`, so a new entity only needs its builder here.
"""

import itertools
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from config.countries import COUNTRIES

Body = dict[str, Any]
Row = dict[str, Any]

_run = uuid.uuid4().hex[:8]
_numbers = itertools.count(1)


def unique(word: str) -> str:
    """A text that no other row has, not even one of an earlier run or of a parallel process."""
    return f"{word} {_run} {next(_numbers)}"


class Builder:
    """Makes rows of one resource, and says what the contract says of the fields in its sample.

    `nullable` fields may be left out or null, `defaulted` ones may only be left out; all others are
    required. `changing` is the field that a test may freely change. What is `shown_once` only the response to the POST has.
    """

    def __init__(
        self,
        sample: Callable[[], Body],
        path: str,
        thing: str,
        changing: str,
        nullable: frozenset[str],
        defaulted: frozenset[str],
        shown_once: frozenset[str] = frozenset(),
    ) -> None:
        self.sample = sample
        self.path, self.thing = path, thing
        self.changing, self.nullable, self.defaulted = changing, nullable, defaulted
        self.shown_once = shown_once

    def __call__(self, http: httpx.Client, **given: Any) -> Row:
        """The stored row."""
        response = http.post(self.path, json=self.body(http, **given))
        assert response.status_code == 201, response.text
        return self.stored(response.json())

    def stored(self, created: Row) -> Row:
        """The row as it is stored, of the response that created it."""
        return {name: value for name, value in created.items() if name not in self.shown_once}

    def body(self, http: httpx.Client, **given: Any) -> Body:
        """A body that the shop accepts, if what is `given` is valid; the rows it points to are made."""
        wanted = self.sample() | given
        return {name: value(http)["id_key"] if isinstance(value, Builder) else value for name, value in wanted.items()}

    def change(self, row: Row) -> Body:
        """A body that changes one field of the row."""
        old = row[self.changing]
        return {self.changing: unique("Changed") if isinstance(old, str) else old + 1}

    @property
    def references(self) -> tuple[str, ...]:
        """The fields that point to other rows."""
        return tuple(name for name in self.sample() if name.endswith("_id"))

    @property
    def required(self) -> tuple[str, ...]:
        """The fields that a create must send."""
        return tuple(name for name in self.sample() if name not in self.nullable | self.defaulted)


BUILDERS: dict[str, Builder] = {}


def builder(
    path: str, thing: str, *, changing: str, nullable: str = "", defaulted: str = "", shown_once: str = ""
) -> Callable[[Callable[[], Body]], Builder]:
    """Declare the builder of the resource at `path`; the function below it gives a sample body."""

    def declare(sample: Callable[[], Body]) -> Builder:
        BUILDERS[path] = Builder(
            sample,
            path,
            thing,
            changing,
            *(frozenset(names.split()) for names in (nullable, defaulted, shown_once)),
        )
        return BUILDERS[path]

    return declare


@builder("/clients", "Client", changing="name", nullable="telephone", defaulted="language notify")
def a_client() -> Body:
    email = f"{unique('ada').replace(' ', '.')}@example.com"
    return {
        "name": unique("Ada"),
        "lastname": unique("Lovelace"),
        "email": email,
        "telephone": "+442071234567",
        "language": "es",
        "notify": {"sms": False, "mail": True, "push": False},
    }


@builder(
    "/addresses",
    "Address",
    changing="street",
    nullable="recipient number postcode region telephone",
    defaulted="country is_default",
)
def an_address() -> Body:
    return {
        "recipient": "Ada Lovelace",
        "street": unique("High Street"),
        "number": "12b",
        "city": unique("London"),
        "postcode": "N1 9GU",
        "region": "Greater London",
        "country": "GB",
        "telephone": "+442071234567",
        "is_default": False,
        "client_id": a_client,
    }


@builder("/tax_classes", "TaxClass", changing="name", defaulted="rates")
def a_tax_class() -> Body:
    return {
        "name": unique("Reduced"),
        "rates": [{"country": "ES", "rate": 10, "valid_from": "2012-09-01", "vat_category": "S"}],
    }


@builder("/categories", "Category", changing="name", nullable="tax_class_id")
def a_category() -> Body:
    return {"name": unique("Lighting"), "tax_class_id": None}


@builder(
    "/products",
    "Product",
    changing="name",
    nullable="sku description image reorder_level tax_class_id",
    defaulted="stock active currency",
)
def a_product() -> Body:
    return {
        "name": unique("Desk lamp"),
        "sku": unique("LAMP"),
        "description": "Warm white, 8 W",
        "price": 9.99,
        "stock": 100,
        "category_id": a_category,
        "tax_class_id": None,
        "image": "https://example.com/lamp.jpg",
        "active": True,
        "reorder_level": 5,
        "currency": "EUR",
    }


# No two rates are of the same orders, and none is of orders that other tests place: they stay in these countries.
_shipped_to = itertools.product(sorted(COUNTRIES - {"DE", "ES", "FR", "GB", "IE", "JE", "PT", "US", "ZW"}), (1, 2, 3))


@builder("/shipping_rates", "ShippingRate", changing="price", nullable="country free_from")
def a_shipping_rate() -> Body:
    country, delivery_method = next(_shipped_to)
    return {"delivery_method": delivery_method, "country": country, "price": 4.9, "free_from": 50}


@builder("/reviews", "Review", changing="comment", nullable="comment")
def a_review() -> Body:
    return {"rating": 4.5, "comment": "Sturdy foot", "product_id": a_product}


@builder("/bills", "Bill", changing="discount", nullable="client_id", defaulted="bill_number discount date currency")
def a_bill() -> Body:
    return {
        "bill_number": unique("INV"),
        "discount": 0,
        "date": "2026-11-16",
        "total": 20,
        "payment_type": "card",
        "client_id": None,
        "currency": "EUR",
    }


@builder("/orders", "Order", changing="total", nullable="address_id", defaulted="date total status currency")
def an_order() -> Body:
    return {
        "date": "2026-11-16T10:00:00Z",
        "total": 20,
        "delivery_method": 1,
        "status": 1,
        "client_id": a_client,
        "bill_id": a_bill,
        "address_id": None,
        "currency": "EUR",
    }


@builder("/order_details", "OrderDetail", changing="quantity", defaulted="price")
def an_order_detail() -> Body:
    return {"quantity": 2, "order_id": an_order, "product_id": a_product}


@builder(
    "/users",
    "User",
    changing="full_name",
    nullable="full_name client_id",
    defaulted="role is_active",
)
def a_user() -> Body:
    name = unique("ada").replace(" ", ".")
    return {
        "username": name,
        "email": f"{name}@example.com",
        "full_name": "Ada Lovelace",
        "role": "staff",
        "is_active": True,
        "client_id": a_client,
    }


@builder("/webhook_endpoints", "WebhookEndpoint", changing="description", nullable="description", shown_once="secret")
def a_webhook_endpoint() -> Body:
    return {
        "url": "https://hooks.example.com/shop",
        "types": ["order.*", "stock.low"],
        "description": unique("Warehouse"),
    }


@builder("/api_keys", "ApiKey", changing="name", nullable="expires_at", shown_once="secret")
def an_api_key() -> Body:
    return {"name": unique("Reports"), "scopes": ["orders:read"], "expires_at": None}
