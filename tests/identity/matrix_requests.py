"""The requests of the matrix: for each operation one that would succeed for whoever may send it.

Or one whose refusal comes only after the caller was let in, where a success would disturb what is asked next.
"""

from collections.abc import Callable
from typing import Any

from tests.builders import a_category, a_client, a_product, a_shipping_rate, a_tax_class, unique
from tests.guarded_shop import GuardedShop
from tests.identity.matrix_callers import OTHER, OWNER
from tests.identity.operations import Operation
from tests.identity.shelf import Customer, Row, Shelf
from tests.jobs.queue_rows import a_job, a_notification
from tests.race.databases import rows_of

# Of no row.
UNKNOWN = 999_999_999

Body = Any


class Rows:
    """The rows that the requests are about; those of customers are the owner's."""

    def __init__(self, shop: GuardedShop, shelf: Shelf, owner: Customer) -> None:
        self.shop, self.shelf, self.owner = shop, shelf, owner
        # What is done to it again and again has no effect.
        self.canceled = shelf.placed(owner.caller)
        assert shop(owner.caller, "POST", f"/orders/{self.canceled['id_key']}/cancel").status_code == 200
        self.canceled_job = a_job(shop.database_url, "cancelled")
        self._by_resource: dict[str, Row] = {
            "products": shelf.product,
            "categories": shelf.category,
            # `standard`, which is there from the beginning.
            "tax_classes": {"id_key": 1, "name": "standard"},
            "clients": owner.client,
            "addresses": owner.address,
            "orders": owner.order,
            "order_details": owner.detail,
            "bills": owner.bill,
            "shipments": shelf.shipped(shelf.placed(owner.caller)),
            "returns": _return_of(shelf, owner),
            "payments": shelf.paid(owner.bill),
            "shipping_rates": shelf.made(shop.user("admin"), "/shipping_rates", **a_shipping_rate.sample()),
            "reviews": owner.review,
            "users": {"id_key": shop.user("staff").id, "full_name": None},
            "api_keys": {"id_key": shop.key("orders:read").id, "name": "test"},
            **_webhooks(shop, shelf),
            "events": {"id": _event_of(shop, owner)},
            # What staff did to fill the shelf.
            "audit_entries": {"id_key": 1},
            "jobs": a_job(shop.database_url),
            "notifications": a_notification(shop.database_url, owner.client["id_key"]),
        }

    def bill(self) -> int:
        """A bill that no order has."""
        bill = self.shelf.made(self.shelf.staff, "/bills", total=1, payment_type="cash", bill_number=unique("MATRIX"))
        key: int = bill["id_key"]
        return key

    def row(self, operation: Operation) -> Row:
        """The row that the operation is about."""
        if operation.path.startswith("/orders") and operation.path.endswith(
            ("/cancel", "/advance", "/returns", "/shipments")
        ):
            return self.canceled
        if operation.path == "/jobs/{id_key}/cancel":
            return self.canceled_job
        return self.row_of(operation.path.split("/")[1])

    def row_of(self, resource: str) -> Row:
        """The row of this resource."""
        return self._by_resource[resource]

    def path(self, operation: Operation) -> str:
        """The path of the operation with the key of its row in it."""
        if operation.path == "/events/stream":
            # A stream has no end.
            return "/events/stream?after=x"
        if "{id}" in operation.path:
            return operation.path.format(id=self.row(operation)["id"])
        if "{id_key}" not in operation.path:
            return operation.path.format(name="none", digest="none")
        # A session is ended by each call.
        is_session = operation.path.startswith("/auth/sessions")
        key = self.shop.log_in(self.owner.caller.id).session_id if is_session else self.row(operation)["id_key"]
        return operation.path.format(id_key=key)

    def body(self, operation: Operation, kind: str) -> Body:
        """The body for a caller of this kind; None for an operation without one."""
        if operation.method in ("GET", "DELETE"):
            return None
        make = _BODIES.get(operation.name)
        if make is not None:
            return make(self, kind)
        assert operation.method in ("PUT", "PATCH"), f"No request for {operation.name}"
        # As it is stored: nothing changes, and nobody else is disturbed.
        row = self.row(operation)
        name = _UNCHANGED[operation.path.split("/")[1]]
        return {name: row[name]}


_ENDPOINT = {"url": "https://hooks.example.com/shop", "types": ["stock.low"], "description": "Matrix"}

# A field of each resource that a change may set to what it is.
_UNCHANGED = {
    "products": "name",
    "categories": "name",
    "tax_classes": "name",
    "clients": "name",
    "addresses": "street",
    "orders": "delivery_method",
    "order_details": "quantity",
    "bills": "payment_type",
    "shipments": "carrier",
    "shipping_rates": "price",
    "reviews": "rating",
    "users": "full_name",
    "api_keys": "name",
    "webhook_endpoints": "description",
}


def _return_of(shelf: Shelf, owner: Customer) -> Row:
    order = shelf.placed(owner.caller)
    shelf.shipped(order)
    return shelf.returned(order)


def _webhooks(shop: GuardedShop, shelf: Shelf) -> dict[str, Row]:
    admin = shop.user("admin")
    endpoint = shelf.made(admin, "/webhook_endpoints", **_ENDPOINT)
    delivery = shelf.made(admin, f"/webhook_endpoints/{endpoint['id_key']}/test")
    return {"webhook_endpoints": endpoint, "webhook_deliveries": delivery}


def _event_of(shop: GuardedShop, owner: Customer) -> str:
    """The id of an event about an order of the owner."""
    ((event_id,),) = rows_of(
        shop.database_url,
        "INSERT INTO events (type, resource, resource_id, client_id, data)"
        " VALUES ('order.updated', 'orders', %s, %s, '{}') RETURNING id::text",
        owner.order["id_key"],
        owner.client["id_key"],
    )
    return str(event_id)


def _product(rows: Rows) -> Row:
    return a_product.sample() | {"category_id": rows.shelf.category["id_key"]}


def _user() -> Body:
    name = unique("user").replace(" ", "-").lower()
    return {"username": name, "email": f"{name}@example.com", "role": "customer"}


def _address(rows: Rows, kind: str) -> Body:
    # Customers are not asked for whom: it is for them.
    client = {} if kind in (OWNER, OTHER) else {"client_id": rows.owner.client["id_key"]}
    return {"street": "1", "city": "2", **client}


def _checkout(rows: Rows, kind: str) -> Body:
    client = {} if kind in (OWNER, OTHER) else {"client_id": rows.owner.client["id_key"]}
    return rows.shelf.checkout(**client)


def _order(rows: Rows, kind: str) -> Body:
    return {"delivery_method": 1, "client_id": rows.owner.client["id_key"], "bill_id": rows.bill()}


_NONE = [{"id_key": UNKNOWN}]

_BODIES: dict[str, Callable[[Rows, str], Body]] = {
    "POST /auth/register": lambda rows, kind: {},
    "POST /register": lambda rows, kind: {},
    "POST /auth/login": lambda rows, kind: {},
    "POST /login": lambda rows, kind: {},
    "POST /auth/refresh": lambda rows, kind: {"unknown": 1},
    "POST /auth/validate-token": lambda rows, kind: {"token": "of nobody"},
    "POST /validate-token": lambda rows, kind: {"token": "of nobody"},
    "POST /auth/password/forgot": lambda rows, kind: {},
    "POST /auth/password/reset": lambda rows, kind: {"token": "of nobody", "password": "of nobody either"},
    "POST /auth/email/verify": lambda rows, kind: {"token": "of nobody"},
    "POST /auth/email/resend": lambda rows, kind: {},
    "POST /auth/logout": lambda rows, kind: None,
    "PATCH /auth/me": lambda rows, kind: {"full_name": "Ada Lovelace"},
    "PATCH /me": lambda rows, kind: {"full_name": "Ada Lovelace"},
    "POST /products": lambda rows, kind: _product(rows),
    "POST /products/bulk": lambda rows, kind: [_product(rows)],
    "PATCH /products/bulk": lambda rows, kind: [{"id_key": rows.shelf.product["id_key"]}],
    "POST /products/bulk_delete": lambda rows, kind: _NONE,
    "POST /products/{id_key}/stock": lambda rows, kind: {"delta": 1, "reason": "receipt"},
    "POST /categories": lambda rows, kind: a_category.sample(),
    "POST /categories/bulk": lambda rows, kind: [a_category.sample()],
    "PATCH /categories/bulk": lambda rows, kind: [{"id_key": rows.shelf.category["id_key"]}],
    "POST /categories/bulk_delete": lambda rows, kind: _NONE,
    "POST /tax_classes": lambda rows, kind: a_tax_class.sample(),
    # There is one of this customer already.
    "POST /reviews": lambda rows, kind: {"rating": 1, "product_id": rows.shelf.product["id_key"]},
    "POST /clients": lambda rows, kind: a_client.sample(),
    "POST /clients/bulk": lambda rows, kind: [a_client.sample()],
    "PATCH /clients/bulk": lambda rows, kind: [{"id_key": rows.owner.client["id_key"]}],
    "POST /clients/bulk_delete": lambda rows, kind: _NONE,
    "POST /addresses": _address,
    "POST /checkout": _checkout,
    "POST /checkout/quote": _checkout,
    "POST /orders": _order,
    # Canceled already: this is repeated without effect, and it does not go on.
    "POST /orders/{id_key}/cancel": lambda rows, kind: None,
    "POST /orders/{id_key}/advance": lambda rows, kind: None,
    "POST /notifications/{id_key}/resend": lambda rows, kind: None,
    "POST /jobs/{id_key}/retry": lambda rows, kind: None,
    "POST /jobs/{id_key}/cancel": lambda rows, kind: None,
    "POST /orders/{id_key}/returns": lambda rows, kind: {"lines": [{"order_detail_id": UNKNOWN, "quantity": 1}]},
    # More than is open of any bill.
    "POST /bills/{id_key}/payments": lambda rows, kind: {"amount": 1_000_000, "method": "cash"},
    "POST /orders/{id_key}/shipments": lambda rows, kind: {},
    "POST /shipping_rates": lambda rows, kind: a_shipping_rate.sample(),
    "POST /order_details": lambda rows, kind: {
        "quantity": 1,
        "order_id": rows.owner.order["id_key"],
        "product_id": rows.shelf.product["id_key"],
    },
    "POST /users": lambda rows, kind: _user(),
    "POST /users/bulk": lambda rows, kind: [_user()],
    "PATCH /users/bulk": lambda rows, kind: [{"id_key": rows.row_of("users")["id_key"]}],
    "POST /users/bulk_delete": lambda rows, kind: _NONE,
    # Of the only scope that a key for this call has: nobody grants more than they have.
    "POST /api_keys": lambda rows, kind: {"name": "Matrix", "scopes": ["keys:admin"]},
    "POST /webhook_endpoints": lambda rows, kind: _ENDPOINT,
    "POST /webhook_endpoints/{id_key}/rotate_secret": lambda rows, kind: None,
    "POST /webhook_endpoints/{id_key}/redeliver": lambda rows, kind: {"after": 2**53 - 1},
    "POST /webhook_endpoints/{id_key}/test": lambda rows, kind: None,
    "POST /webhook_deliveries/{id_key}/redeliver": lambda rows, kind: None,
    "POST /bills": lambda rows, kind: {"total": 1, "payment_type": "cash", "bill_number": unique("MATRIX")},
}
