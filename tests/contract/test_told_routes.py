"""Every operation that writes, and what it tells: an operation without a decision here fails."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config.settings import read_settings
from infrastructure.embedded.servers import ServerUrls
from main import create_fastapi_app
from tests.builders import (
    BUILDERS,
    a_bill,
    a_client,
    a_product,
    a_review,
    a_user,
    a_webhook_endpoint,
    an_address,
    an_api_key,
    an_order,
    an_order_detail,
    unique,
)
from tests.identity.accounts import PASSWORD, LoggedIn, registration
from tests.jobs.queue_rows import a_job, a_notification
from tests.race.databases import execute, new_database
from tests.told_shop import ToldShop, told_shop

pytestmark = pytest.mark.integration

# A call: its path, its body, and its headers.
Call = tuple[str, Any] | tuple[str, Any, dict[str, str]]
_METHODS = ("post", "put", "patch", "delete")


def operations() -> list[str]:
    paths = create_fastapi_app(read_settings({"REDIS_ENABLED": "false"})).openapi()["paths"]
    return [
        f"{method.upper()} {path}" for path, by_method in paths.items() for method in by_method if method in _METHODS
    ]


@pytest.fixture(scope="module")
def shop(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToldShop]:
    with told_shop(new_database(servers.database_url), tmp_path_factory.mktemp("routes")) as shop:
        yield shop


def endpoint(shop: ToldShop) -> str:
    """The path of a webhook endpoint."""
    return at("/webhook_endpoints", a_webhook_endpoint(shop.http))


def at(path: str, row: Any) -> str:
    return f"{path}/{row['id_key']}"


# -- calls for each resource -----------------------------------------------------------------------


def creation(path: str) -> Callable[[ToldShop], Call]:
    return lambda shop: (path, BUILDERS[path].body(shop.http))


def change(path: str) -> Callable[[ToldShop], Call]:
    def call(shop: ToldShop) -> Call:
        row = BUILDERS[path](shop.http)
        return at(path, row), BUILDERS[path].change(row)

    return call


def replacement(path: str) -> Callable[[ToldShop], Call]:
    def call(shop: ToldShop) -> Call:
        row = BUILDERS[path](shop.http)
        # What a new key shows once, and where the body differs from the row, is of no matter here.
        return at(path, row), row | BUILDERS[path].change(row)

    return call


def deletion(path: str) -> Callable[[ToldShop], Call]:
    return lambda shop: (at(path, BUILDERS[path](shop.http)), None)


def in_bulk(path: str, what: str) -> Callable[[ToldShop], Call]:
    def call(shop: ToldShop) -> Call:
        if what == "create":
            return f"{path}/bulk", [BUILDERS[path].body(shop.http)]
        row = BUILDERS[path](shop.http)
        if what == "delete":
            return f"{path}/bulk_delete", [{"id_key": row["id_key"]}]
        return f"{path}/bulk", [{"id_key": row["id_key"], **BUILDERS[path].change(row)}]

    return call


def of_resource(path: str, created: str, changed: str, deleted: str) -> dict[str, tuple[Any, str]]:
    return {
        f"POST {path}": (creation(path), created),
        f"PUT {path}/{{id_key}}": (replacement(path), changed),
        f"PATCH {path}/{{id_key}}": (change(path), changed),
        f"DELETE {path}/{{id_key}}": (deletion(path), deleted),
    }


def of_many(path: str, created: str, changed: str, deleted: str) -> dict[str, tuple[Any, str]]:
    return {
        f"POST {path}/bulk": (in_bulk(path, "create"), created),
        f"PATCH {path}/bulk": (in_bulk(path, "change"), changed),
        f"POST {path}/bulk_delete": (in_bulk(path, "delete"), deleted),
    }


# -- calls of their own ----------------------------------------------------------------------------


def checkout(shop: ToldShop) -> Call:
    lines = [{"product_id": a_product(shop.http)["id_key"], "quantity": 2}]
    client = a_client(shop.http)["id_key"]
    return "/checkout", {"client_id": client, "delivery_method": 1, "payment_type": "card", "lines": lines}


def placed(shop: ToldShop) -> Any:
    path, body = checkout(shop)[:2]
    return shop.http.post(path, json=body).json()


def bill_of_order(shop: ToldShop) -> Call:
    return at("/bills", {"id_key": placed(shop)["bill_id"]}), {"payment_type": "cash"}


def payment_of_order(shop: ToldShop) -> Call:
    return f"{at('/bills', {'id_key': placed(shop)['bill_id']})}/payments", {"amount": 1, "method": "cash"}


def detail_of_order(shop: ToldShop) -> Call:
    return at("/order_details", placed(shop)["order_details"][0]), {"quantity": 3}


def address_of_order(shop: ToldShop) -> Call:
    address = an_address(shop.http)
    an_order(shop.http, client_id=address["client_id"], address_id=address["id_key"])
    return at("/addresses", address), None


def return_of_goods(shop: ToldShop) -> Call:
    order = placed(shop)
    assert shop.http.post(f"{at('/orders', order)}/advance").status_code == 200
    lines = [{"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}]
    return f"{at('/orders', order)}/returns", {"lines": lines}


def parcel(shop: ToldShop) -> Call:
    shipment = shop.http.post(f"{at('/orders', placed(shop))}/shipments", json={}).json()
    return at("/shipments", shipment), {"carrier": unique("Post")}


def last_parcel(shop: ToldShop) -> Call:
    return parcel(shop)[0], {"delivered_at": "2100-01-01"}


def failed_notification(shop: ToldShop) -> Call:
    row = a_notification(shop.database_url, a_client(shop.http)["id_key"])
    return f"{at('/notifications', row)}/resend", None


def product_with_review(shop: ToldShop) -> Call:
    return at("/products", {"id_key": a_review(shop.http)["product_id"]}), None


def author_of_review(shop: ToldShop) -> Call:
    client, review = a_client(shop.http), a_review(shop.http)
    execute(shop.database_url, f"UPDATE reviews SET client_id = {client['id_key']} WHERE id_key = {review['id_key']}")
    return at("/clients", client), None


def somebody(shop: ToldShop) -> LoggedIn:
    return LoggedIn.new(shop.http, shop.database_url)


def verification(shop: ToldShop) -> Call:
    user = somebody(shop)
    return "/auth/email/verify", {"token": user.mailed("verify_email")}


def new_address(shop: ToldShop) -> Call:
    user = somebody(shop)
    token = user.mailed("change_email", f"{unique('new').replace(' ', '.')}@example.com")
    return "/auth/email/verify", {"token": token}


def by(call: Callable[[LoggedIn], Call]) -> Callable[[ToldShop], Call]:
    """The call of somebody who is logged in."""

    def made(shop: ToldShop) -> Call:
        user = somebody(shop)
        path, body = call(user)[:2]
        return path, body, user.headers

    return made


def login(path: str) -> Callable[[ToldShop], Call]:
    return by(lambda user: (path, {"username": user.username, "password": PASSWORD}))


NOTHING = ""
_CATALOG = {"/products": "product", "/categories": "category", "/clients": "client"}

# Each operation, how it is called, and the types that it tells.
TOLD: dict[str, tuple[Callable[[ToldShop], Call], str]] = {
    **{
        name: told
        for path, thing in _CATALOG.items()
        for make in (of_resource, of_many)
        for name, told in make(path, f"{thing}.created", f"{thing}.updated", f"{thing}.deleted").items()
    },
    **of_resource("/reviews", "review.created", "review.updated", "review.deleted"),
    **of_resource("/orders", "order.created", "order.updated", "order.deleted"),
    **of_resource("/order_details", "order.updated", "order.updated", "order.updated"),
    # A bill without an order is nobody's purchase, and an address is shown in no event.
    **of_resource("/bills", NOTHING, NOTHING, NOTHING),
    **of_resource("/addresses", NOTHING, NOTHING, NOTHING),
    # The settings of the shop: who has changed them is in the audit trail.
    **of_resource("/tax_classes", NOTHING, NOTHING, NOTHING),
    # Of users only that they are new, and of keys nothing: who may do what is in the audit trail.
    **of_resource("/users", "user.registered", NOTHING, NOTHING),
    **of_many("/users", "user.registered", NOTHING, NOTHING),
    # What is shipped for how much, readers of events hear of by the orders.
    **of_resource("/shipping_rates", NOTHING, NOTHING, NOTHING),
    **of_resource("/api_keys", NOTHING, NOTHING, NOTHING),
    # Nor is where events go one.
    **of_resource("/webhook_endpoints", NOTHING, NOTHING, NOTHING),
    "POST /webhook_endpoints/{id_key}/rotate_secret": (lambda shop: (f"{endpoint(shop)}/rotate_secret", None), NOTHING),
    "POST /webhook_endpoints/{id_key}/redeliver": (lambda shop: (f"{endpoint(shop)}/redeliver", {"after": 0}), NOTHING),
    "POST /webhook_endpoints/{id_key}/test": (lambda shop: (f"{endpoint(shop)}/test", None), NOTHING),
    "POST /webhook_deliveries/{id_key}/redeliver": (
        lambda shop: (f"{at('/webhook_deliveries', shop.http.post(f'{endpoint(shop)}/test').json())}/redeliver", None),
        NOTHING,
    ),
    "POST /notifications/{id_key}/resend": (failed_notification, NOTHING),
    # What becomes of jobs is of no interest to readers of events.
    "POST /jobs/{id_key}/retry": (lambda shop: (f"{at('/jobs', a_job(shop.database_url))}/retry", None), NOTHING),
    "POST /jobs/{id_key}/cancel": (lambda shop: (f"{at('/jobs', a_job(shop.database_url))}/cancel", None), NOTHING),
    "POST /products/{id_key}/stock": (
        lambda shop: (f"{at('/products', a_product(shop.http))}/stock", {"delta": 1}),
        "product.updated",
    ),
    "POST /checkout": (checkout, "order.created"),
    "POST /checkout/quote": (lambda shop: ("/checkout/quote", checkout(shop)[1]), NOTHING),
    "POST /orders/{id_key}/cancel": (lambda shop: (f"{at('/orders', placed(shop))}/cancel", None), "order.canceled"),
    "POST /orders/{id_key}/advance": (
        lambda shop: (f"{at('/orders', placed(shop))}/advance", None),
        "order.status_changed",
    ),
    "POST /bills/{id_key}/payments": (payment_of_order, "order.updated"),
    "POST /orders/{id_key}/shipments": (
        lambda shop: (f"{at('/orders', placed(shop))}/shipments", {}),
        "order.status_changed order.updated",
    ),
    "PATCH /shipments/{id_key}": (parcel, "order.updated"),
    "POST /orders/{id_key}/returns": (return_of_goods, "order.returned"),
    "POST /auth/register": (lambda shop: ("/auth/register", registration()), "client.created user.registered"),
    "POST /register": (lambda shop: ("/register", registration()), "client.created user.registered"),
    "POST /auth/login": (login("/auth/login"), NOTHING),
    "POST /login": (login("/login"), NOTHING),
    "POST /auth/validate-token": (
        by(lambda user: ("/auth/validate-token", {"token": user.tokens["access_token"]})),
        NOTHING,
    ),
    "POST /validate-token": (by(lambda user: ("/validate-token", {"token": user.tokens["access_token"]})), NOTHING),
    "POST /auth/refresh": (
        by(lambda user: ("/auth/refresh", {"refresh_token": user.tokens["refresh_token"]})),
        NOTHING,
    ),
    "POST /auth/logout": (by(lambda user: ("/auth/logout", None)), NOTHING),
    "PATCH /auth/me": (by(lambda user: ("/auth/me", {"full_name": unique("Ada")})), NOTHING),
    "PATCH /me": (by(lambda user: ("/me", {"full_name": unique("Ada")})), NOTHING),
    "POST /auth/password/forgot": (by(lambda user: ("/auth/password/forgot", {"email": user.email})), NOTHING),
    "POST /auth/password/reset": (
        by(
            lambda user: ("/auth/password/reset", {"token": user.mailed("reset_password"), "password": f"{PASSWORD} 2"})
        ),
        NOTHING,
    ),
    "POST /auth/email/verify": (verification, NOTHING),
    "POST /auth/email/resend": (by(lambda user: ("/auth/email/resend", {"email": user.email})), NOTHING),
    "DELETE /auth/sessions": (by(lambda user: ("/auth/sessions", None)), NOTHING),
    "DELETE /auth/sessions/{id_key}": (
        by(lambda user: (at("/auth/sessions", user("GET", "/auth/sessions").json()[0]), None)),
        NOTHING,
    ),
}
# The same operations about rows that others depend on.
TOLD_TOO: dict[str, tuple[str, Callable[[ToldShop], Call], str]] = {
    "the bill of an order": ("PATCH", bill_of_order, "order.updated"),
    "the last parcel": ("PATCH", last_parcel, "order.status_changed order.updated"),
    "a detail of several": ("PATCH", detail_of_order, "order.updated"),
    "the address of an order": ("DELETE", address_of_order, "order.updated"),
    "a product with a review": ("DELETE", product_with_review, "product.deleted review.deleted"),
    "the author of a review": ("DELETE", author_of_review, "client.deleted review.updated"),
    "the new address of a user who is a client": ("POST", new_address, "client.updated"),
}


def test_every_operation_that_writes_is_here() -> None:
    assert set(operations()) == set(TOLD)


def types_of(shop: ToldShop, method: str, make: Callable[[ToldShop], Call]) -> str:
    path, body, *headers = make(shop)
    shop.events()
    answer = shop.http.request(method, path, json=body, headers=headers[0] if headers else None)
    assert answer.is_success, answer.text
    return " ".join(sorted(shop.types()))


@pytest.mark.parametrize("operation", TOLD)
def test_what_it_tells(shop: ToldShop, operation: str) -> None:
    make, told = TOLD[operation]
    assert types_of(shop, operation.split()[0], make) == told


@pytest.mark.parametrize("about", TOLD_TOO)
def test_what_it_tells_of_others(shop: ToldShop, about: str) -> None:
    method, make, told = TOLD_TOO[about]
    assert types_of(shop, method, make) == told


def test_a_registration_shows_no_secrets(shop: ToldShop) -> None:
    body = registration()
    user = shop.http.post("/auth/register", json=body).json()
    (event,) = [event for event in shop.events() if event["type"] == "user.registered"]
    assert event["data"] == shop.shown(at("/users", user))
    assert body["password"] not in str(event)
    assert not any("password" in name or "key" in name.removesuffix("id_key") for name in event["data"])


def test_a_user_whom_an_administrator_makes(shop: ToldShop) -> None:
    user = a_user(shop.http, client_id=None)
    assert shop.events()[-1]["data"] == shop.shown(at("/users", user))
    an_api_key(shop.http)
    a_bill(shop.http)
    assert shop.events() == []
    an_order_detail(shop.http)
    assert shop.types()[-1] == "order.updated"
