"""Every code that the document declares for an operation is one that the operation really answers.

That it answers no other, the clients of the tests in `contract/` and of those here hold with each answer. Here every
declared one is brought about, or is among the few that a test cannot ask for by a request alone.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from schemas.field_types import MAX_STOCK
from tests.builders import (
    BUILDERS,
    a_bill,
    a_category,
    a_client,
    a_product,
    a_shipping_rate,
    a_tax_class,
    a_user,
    a_webhook_endpoint,
    an_address,
    an_api_key,
    an_order,
    an_order_detail,
    unique,
)
from tests.identity.accounts import LoggedIn, registration
from tests.jobs.queue_rows import a_job, a_notification
from tests.openapi.documented import CODES_OF_CALLERS, Document, Refusal
from tests.race.databases import execute

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NO_ROW = 2**63 - 1
LARGEST_PRICE = 9999999999.99

# Size, time, floods, faults and races bring these about: `tests/middleware`, `tests/faults` and `tests/race` do. Those of
# callers come with AUTH=on, or from routes for users: `test_security.py` and `tests/identity` bring them about.
OF_CIRCUMSTANCES = {
    *CODES_OF_CALLERS,
    "body_too_large",
    "request_timeout",
    "rate_limit_exceeded",
    "internal_error",
    "service_unavailable",
    "request_in_progress",
}
# An order that is placed between the look for sales and the deletion: the foreign key has the last word.
BETWEEN_LOOK_AND_DELETION = {
    ("delete_product", 409, "conflict"),
    ("delete_products_in_bulk", 409, "conflict"),
}
# Two random prefixes that are the same.
BY_CHANCE = {(f"{verb}_api_key", 409, "already_exists") for verb in ("create", "update", "patch")}
# Customers write one review of a product, and others as many as they like: `tests/identity/test_own_rows.py`.
OF_CUSTOMERS = {(f"{verb}_review", 409, "already_exists") for verb in ("create", "update", "patch")}

# A quote keeps no key, and looks for none.
WITHOUT_A_KEY = {("quote_checkout", 422, "idempotency_key_reused")}


class Walk:
    """Sends what has to be refused, and says by which code."""

    def __init__(self, http: httpx.Client, database_url: str) -> None:
        self.http, self.user = http, LoggedIn.new(http, database_url)

    def refused(self, method: str, path: str, code: str, body: Any = None, **headers: str) -> None:
        response = self.http.request(method, path, json=body, headers=self.user.headers | headers)
        assert response.json()["code"] == code, (method, path, response.text)

    def changes(self, path: str, code: str, body: Any) -> None:
        for method in ("PUT", "PATCH"):
            self.refused(method, path, code, body)

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        response = self.http.post(path, json=body)
        assert response.is_success, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def placed(self, **given: Any) -> dict[str, Any]:
        """An order with one line of two pieces."""
        return self.post("/checkout", self.order(a_product(self.http), **given))

    def order(self, product: dict[str, Any], **given: Any) -> dict[str, Any]:
        line = {"product_id": product["id_key"], "quantity": 2, **given.pop("line", {})}
        client_id = given.pop("client_id", None) or a_client(self.http)["id_key"]
        return {"client_id": client_id, "delivery_method": 1, "payment_type": "cash", "lines": [line], **given}

    def with_full_shelf(self, **given: Any) -> tuple[str, dict[str, Any]]:
        """The path of an order, and its line, whose goods find no room on the shelf any more."""
        order = self.placed(**given)
        (line,) = order["order_details"]
        response = self.http.patch(f"/products/{line['product_id']}", json={"stock": MAX_STOCK})
        assert response.status_code == 200, response.text
        return f"/orders/{order['id_key']}", line


@pytest.fixture
def walk(http: httpx.Client, database_url: str) -> Walk:
    return Walk(http, database_url)


def unreachable(refusals: set[Refusal]) -> set[Refusal]:
    circumstances = {one for one in refusals if one[2] in OF_CIRCUMSTANCES}
    return circumstances | BETWEEN_LOOK_AND_DELETION | BY_CHANCE | OF_CUSTOMERS | WITHOUT_A_KEY


@pytest.mark.timeout(300)
def test_every_declared_code_is_answered(walk: Walk, documented: Document, database_url: str) -> None:
    what_the_layers_refuse(walk, documented)
    what_is_not_there_or_has_changed(walk, documented)
    what_is_taken(walk)
    what_others_hold(walk)
    what_orders_refuse(walk)
    what_documents_refuse(walk)
    what_the_books_refuse(walk)
    what_payments_refuse(walk)
    what_shipments_refuse(walk)
    what_lines_refuse(walk)
    what_checkout_refuses(walk)
    what_stock_refuses(walk)
    what_accounts_refuse(walk)
    what_users_and_keys_refuse(walk, database_url)
    what_jobs_refuse(walk, database_url)
    what_webhooks_refuse(walk)
    what_notifications_refuse(walk, database_url)
    declared = documented.declared()
    assert declared - documented.refused == unreachable(declared)


def operations(documented: Document) -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Method, path of a row that is not there, operation, and the example of a body."""
    for path, its_operations in documented.document["paths"].items():
        for method, operation in its_operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            yield method.upper(), path.replace("{id_key}", str(NO_ROW)), operation, content.get("example")


def what_the_layers_refuse(walk: Walk, documented: Document) -> None:
    key = unique("key").replace(" ", "-")
    assert walk.http.post("/categories", json=a_category.body(walk.http), headers={"Idempotency-Key": key}).is_success
    for method, path, operation, example in operations(documented):
        walk.refused(method, path, "bad_request", Host="two hosts")
        if "422" in operation["responses"]:
            walk.refused(method, f"{path}?no_such_parameter=1", "validation_error")
        if method != "GET":
            walk.refused(method, path, "cross_origin", Origin="https://elsewhere.example")
        if "415" in operation["responses"]:
            walk.refused(method, path, "unsupported_media_type", {}, **{"Content-Type": "text/plain"})
        if method == "POST" and operation["tags"] != ["auth"] and path != "/checkout/quote":
            walk.refused(method, path, "idempotency_key_reused", example, **{"Idempotency-Key": key})


def what_is_not_there_or_has_changed(walk: Walk, documented: Document) -> None:
    for method, path, _, example in operations(documented):
        if str(NO_ROW) in path:
            walk.refused(method, path, "not_found", example)
    stale = {"updated_at": "2001-01-01T00:00:00Z"}
    for resource in BUILDERS.values():
        for reference in resource.references:
            body = resource.body(walk.http) | {reference: NO_ROW}
            walk.refused("POST", resource.path, "not_found", body)
        row = resource(walk.http)
        one = f"{resource.path}/{row['id_key']}"
        for method in ("PUT", "PATCH", "DELETE"):
            walk.refused(
                method, one, "precondition_failed", None if method == "DELETE" else {}, **{"If-Match": '"0-0"'}
            )
        walk.changes(one, "has_changed", stale)
        bulk = f"{resource.path}/bulk"
        if bulk in documented.document["paths"]:
            walk.refused("PATCH", bulk, "has_changed", [{"id_key": row["id_key"], **stale}])
            walk.refused("PATCH", bulk, "not_found", [{"id_key": NO_ROW}])
            walk.refused("POST", f"{bulk}_delete", "has_changed", [{"id_key": row["id_key"], **stale}])
            walk.refused("POST", f"{bulk}_delete", "not_found", [{"id_key": NO_ROW}])
    walk.refused("GET", "/events/00000000-0000-7000-8000-000000000000", "not_found")
    walk.refused("POST", "/products/bulk", "not_found", [a_product.body(walk.http, category_id=NO_ROW)])
    walk.refused("POST", "/categories/bulk", "not_found", [a_category.body(walk.http, tax_class_id=NO_ROW)])
    walk.refused("POST", "/users/bulk", "not_found", [a_user.body(walk.http, client_id=NO_ROW)])
    walk.refused("PATCH", "/users/bulk", "not_found", [{"id_key": a_user(walk.http)["id_key"], "client_id": NO_ROW}])
    walk.refused("POST", "/checkout", "not_found", walk.order({"id_key": NO_ROW}))
    walk.refused("POST", "/checkout/quote", "not_found", walk.order({"id_key": NO_ROW}))


def _place(rate: dict[str, Any]) -> dict[str, Any]:
    """What only one shipping rate is for."""
    return {name: rate[name] for name in ("delivery_method", "country")}


def what_is_taken(walk: Walk) -> None:
    for resource, field in (
        (a_client, "email"),
        (a_category, "name"),
        (a_product, "sku"),
        (a_tax_class, "name"),
        (a_user, "username"),
        (a_bill, "bill_number"),
    ):
        taken, other = resource(walk.http), resource(walk.http)
        body = resource.body(walk.http) | {field: taken[field]}
        walk.refused("POST", resource.path, "already_exists", body)
        walk.changes(f"{resource.path}/{other['id_key']}", "already_exists", {field: taken[field]})
        if resource not in (a_bill, a_tax_class):
            walk.refused("POST", f"{resource.path}/bulk", "already_exists", [body])
            walk.refused(
                "PATCH", f"{resource.path}/bulk", "already_exists", [{"id_key": other["id_key"], field: taken[field]}]
            )
    rate, other = a_shipping_rate(walk.http), a_shipping_rate(walk.http)
    walk.refused("POST", "/shipping_rates", "already_exists", a_shipping_rate.body(walk.http) | _place(rate))
    walk.changes(f"/shipping_rates/{other['id_key']}", "already_exists", _place(rate))
    order, other = an_order(walk.http), an_order(walk.http)
    settled = {name: order[name] for name in ("bill_id", "client_id")}
    walk.refused("POST", "/orders", "already_exists", an_order.body(walk.http) | settled)
    walk.changes(f"/orders/{other['id_key']}", "already_exists", settled)
    number = a_bill(walk.http)["bill_number"]
    for path in ("/checkout", "/checkout/quote"):
        walk.refused("POST", path, "already_exists", walk.order(a_product(walk.http), bill_number=number))


def what_others_hold(walk: Walk) -> None:
    order = walk.placed()
    product_id = order["order_details"][0]["product_id"]
    category_id = walk.http.get(f"/products/{product_id}").json()["category_id"]
    for path, key, code in (
        ("/clients", order["client_id"], "conflict"),
        ("/categories", category_id, "conflict"),
        ("/products", product_id, "product_has_sales"),
    ):
        walk.refused("DELETE", f"{path}/{key}", code)
        walk.refused("POST", f"{path}/bulk_delete", code, [{"id_key": key}])
    walk.refused("DELETE", "/tax_classes/1", "conflict")
    walk.changes("/tax_classes/1", "conflict", {"name": unique("Standard")})
    bill = f"/bills/{order['bill_id']}"
    walk.refused("DELETE", bill, "conflict")
    walk.changes(bill, "conflict", {"bill_number": unique("INV")})
    walk.changes(bill, "total_mismatch", {"total": 1})


def what_orders_refuse(walk: Walk) -> None:
    foreign = {"address_id": an_address(walk.http)["id_key"]}
    walk.refused("POST", "/orders", "conflict", an_order.body(walk.http) | {"status": 2})
    walk.refused("POST", "/orders", "rule_broken", an_order.body(walk.http) | foreign)
    order = walk.placed()
    one = f"/orders/{order['id_key']}"
    walk.changes(one, "rule_broken", foreign)
    walk.changes(one, "total_mismatch", {"total": 1})
    walk.changes(one, "conflict", {"client_id": a_client(walk.http)["id_key"]})
    walk.changes(one, "status_conflict", {"status": 3})
    payments = f"/bills/{order['bill_id']}/payments"
    walk.refused("POST", payments, "payment_exceeds_open", {"amount": order["to_pay"] + 1, "method": "card"})
    walk.changes(one, "not_found", {"address_id": NO_ROW})
    line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}
    walk.refused("POST", f"{one}/returns", "conflict", {"lines": [line]})
    walk.post(f"{one}/advance")
    walk.refused("POST", f"{one}/returns", "return_exceeds_sale", {"lines": [line | {"quantity": 3}]})
    early = {"lines": [line], "refund_shipping": True}
    walk.refused("POST", f"{one}/returns", "shipping_not_refundable", early)
    walk.post(f"{one}/returns", {"lines": [line]})
    walk.refused("POST", f"{one}/cancel", "conflict")
    walk.refused("DELETE", one, "conflict")
    walk.post(f"{one}/advance")
    walk.refused("POST", f"{one}/advance", "status_conflict")
    walk.refused("POST", f"{one}/cancel", "status_conflict")


def what_documents_refuse(walk: Walk) -> None:
    order = walk.placed()
    detail = f"/order_details/{order['order_details'][0]['id_key']}"
    bill, new = f"/bills/{order['bill_id']}", {"order_id": order["id_key"], "product_id": 1, "quantity": 1}
    walk.post(f"/orders/{order['id_key']}/advance")
    walk.refused("POST", "/order_details", "document_fixed", new)
    walk.changes(detail, "document_fixed", {"quantity": 7})
    walk.refused("DELETE", detail, "document_fixed")
    walk.changes(bill, "document_fixed", {"discount": 1})
    walk.refused("DELETE", bill, "document_fixed")
    gone = walk.placed()
    assert walk.http.delete(f"/orders/{gone['id_key']}").status_code == 204
    empty = an_order(walk.http, client_id=gone["client_id"])
    taking = {"client_id": gone["client_id"], "bill_id": gone["bill_id"]}
    walk.refused("POST", "/orders", "document_fixed", an_order.body(walk.http) | taking)
    walk.changes(f"/orders/{empty['id_key']}", "document_fixed", taking)
    walk.changes(f"/orders/{empty['id_key']}", "order_is_empty", {"status": 2})
    walk.refused("POST", f"/orders/{empty['id_key']}/advance", "order_is_empty")


def what_the_books_refuse(walk: Walk) -> None:
    foreign = a_bill(walk.http, client_id=a_client(walk.http)["id_key"])["id_key"]
    walk.refused("POST", "/orders", "client_mismatch", an_order.body(walk.http) | {"bill_id": foreign})
    moved = {"client_id": a_client(walk.http)["id_key"]}
    walk.changes(f"/addresses/{an_address(walk.http)['id_key']}", "conflict", moved)
    order = an_order(walk.http)
    walk.changes(f"/orders/{order['id_key']}", "client_mismatch", {"bill_id": foreign})
    bill = f"/bills/{order['bill_id']}"
    walk.changes(bill, "client_mismatch", {"client_id": a_client(walk.http)["id_key"]})
    # All that the bill says was given back, and nothing less may be paid by whoever takes it.
    walk.post(f"/orders/{order['id_key']}/cancel")
    assert walk.http.delete(f"/orders/{order['id_key']}").status_code == 204
    walk.changes(bill, "refund_exceeds_payment", {"total": 1})
    taking = {"client_id": order["client_id"], "bill_id": order["bill_id"]}
    other = an_order(walk.http, **taking)
    cheap, dear = (a_product(walk.http, price=price)["id_key"] for price in (1, 30))
    line = {"order_id": other["id_key"], "product_id": cheap, "quantity": 1}
    walk.refused("POST", "/order_details", "refund_exceeds_payment", line)
    detail = f"/order_details/{walk.http.post('/order_details', json=line | {'product_id': dear}).json()['id_key']}"
    walk.changes(detail, "refund_exceeds_payment", {"product_id": cheap})
    walk.refused("DELETE", detail, "refund_exceeds_payment")


def what_payments_refuse(walk: Walk) -> None:
    rate = a_shipping_rate(walk.http)
    client = a_client(walk.http)["id_key"]
    address = an_address(walk.http, client_id=client, country=rate["country"])["id_key"]
    at = {"client_id": client, "address_id": address, "delivery_method": rate["delivery_method"]}
    product = a_product(walk.http, price=10)
    order = walk.post("/checkout", walk.order(product, **at))
    walk.post(f"/bills/{order['bill_id']}/payments", {"amount": order["to_pay"], "method": "card"})
    detail = f"/order_details/{order['order_details'][0]['id_key']}"
    elsewhere = an_address(walk.http, client_id=client, country="AQ")["id_key"]
    walk.changes(f"/orders/{order['id_key']}", "payment_exceeds_total", {"address_id": elsewhere})
    walk.changes(detail, "payment_exceeds_total", {"quantity": 1})
    walk.refused("DELETE", detail, "payment_exceeds_total")
    walk.changes(f"/bills/{order['bill_id']}", "payment_exceeds_total", {"discount": 1})
    # A bill of the client, paid before there is an order.
    bill = a_bill(walk.http, total=20)
    walk.post(f"/bills/{bill['id_key']}/payments", {"amount": 20, "method": "cash"})
    settled = an_order(walk.http, bill_id=bill["id_key"])
    line = {"order_id": settled["id_key"], "product_id": product["id_key"], "quantity": 1}
    walk.refused("POST", "/order_details", "payment_exceeds_total", line)
    walk.post("/order_details", line | {"quantity": 2})
    walk.refused("DELETE", f"/orders/{settled['id_key']}", "payment_exceeds_total")


def what_shipments_refuse(walk: Walk) -> None:
    order = walk.placed()
    path = f"/orders/{order['id_key']}/shipments"
    line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 3}
    walk.refused("POST", path, "shipment_exceeds_order", {"lines": [line]})
    one = f"/shipments/{walk.post(path, {})['id_key']}"
    walk.refused("POST", path, "nothing_to_ship", {})
    walk.refused("PATCH", one, "has_changed", {"updated_at": "2001-01-01T00:00:00Z"})
    walk.refused("PATCH", one, "precondition_failed", {}, **{"If-Match": '"0-0"'})
    assert walk.http.patch(one, json={"delivered_at": "2100-01-01"}).is_success
    walk.refused("PATCH", one, "shipment_delivered", {"delivered_at": None})
    walk.refused("POST", path, "conflict", {})


def what_lines_refuse(walk: Walk) -> None:
    line = an_order_detail(walk.http)
    one = f"/order_details/{line['id_key']}"
    order_id, product_id = line["order_id"], line["product_id"]
    for code, product, sent in (
        ("insufficient_stock", {"stock": 1}, {}),
        ("price_mismatch", {}, {"price": 1}),
        ("product_not_available", {"active": False}, {}),
        ("amount_too_large", {"price": LARGEST_PRICE}, {}),
    ):
        changed = {"quantity": 2, "product_id": a_product(walk.http, **product)["id_key"], **sent}
        walk.refused("POST", "/order_details", code, {"order_id": order_id, **changed})
        walk.changes(one, code, changed)
    walk.changes(one, "conflict", {"order_id": an_order(walk.http)["id_key"]})
    walk.post(f"/orders/{order_id}/cancel")
    walk.refused("DELETE", one, "conflict")
    new = {"order_id": order_id, "product_id": product_id, "quantity": 1}
    walk.refused("POST", "/order_details", "conflict", new)


def what_checkout_refuses(walk: Walk) -> None:
    for code, product, sent in (
        ("insufficient_stock", {"stock": 1}, {}),
        ("price_mismatch", {}, {"line": {"price": 1}}),
        ("product_not_available", {"active": False}, {}),
        ("amount_too_large", {"price": LARGEST_PRICE}, {}),
        ("discount_too_large", {"price": 1}, {"discount": 3}),
        ("total_mismatch", {"price": 1}, {"expected_total": 3}),
        ("rule_broken", {}, {"address_id": an_address(walk.http)["id_key"]}),
    ):
        order = walk.order(a_product(walk.http, **product), **sent)
        walk.refused("POST", "/checkout", code, order)
        if code != "insufficient_stock":
            walk.refused("POST", "/checkout/quote", code, order)


def what_stock_refuses(walk: Walk) -> None:
    stock = f"/products/{a_product(walk.http)['id_key']}/stock"
    walk.refused("POST", stock, "insufficient_stock", {"delta": -1000})
    walk.refused("POST", stock, "amount_too_large", {"delta": MAX_STOCK})
    one, line = walk.with_full_shelf()
    walk.refused("POST", f"{one}/cancel", "amount_too_large")
    walk.changes(one, "amount_too_large", {"status": 4})
    walk.refused("DELETE", f"/order_details/{line['id_key']}", "amount_too_large")
    walk.refused("DELETE", one, "amount_too_large")
    walk.post(f"{one}/advance")
    returned = {"lines": [{"order_detail_id": line["id_key"], "quantity": 1}]}
    walk.refused("POST", f"{one}/returns", "amount_too_large", returned)


def what_accounts_refuse(walk: Walk) -> None:
    user = walk.user
    for path in ("/auth/register", "/register"):
        walk.refused("POST", path, "already_exists", registration(email=user.email))
    for path in ("/auth/login", "/login"):
        walk.refused("POST", path, "invalid_credentials", {"username": user.username, "password": "another one"})
    other = LoggedIn.new(walk.http, user.database_url)
    for path in ("/auth/me", "/me"):
        walk.refused("PATCH", path, "already_exists", {"username": other.username})
        walk.refused("PATCH", path, "has_changed", {"updated_at": "2001-01-01T00:00:00Z"})
        walk.refused("PATCH", path, "precondition_failed", {}, **{"If-Match": '"0-0"'})
    taken = {"token": user.mailed("change_email", other.email)}
    walk.refused("POST", "/auth/email/verify", "already_exists", taken)
    walk.refused("POST", "/auth/email/verify", "account_token_invalid", {"token": "no token"})
    reset = {"token": "no token", "password": "correct horse"}
    walk.refused("POST", "/auth/password/reset", "account_token_invalid", reset)


def what_users_and_keys_refuse(walk: Walk, database_url: str) -> None:
    order = walk.placed()
    buyer = a_user(walk.http, client_id=order["client_id"])
    walk.refused("DELETE", f"/users/{buyer['id_key']}", "user_has_orders")
    walk.refused("POST", "/users/bulk_delete", "user_has_orders", [{"id_key": buyer["id_key"]}])
    execute(database_url, "UPDATE users SET role = 'staff' WHERE role = 'admin'")
    last = a_user(walk.http, role="admin")
    walk.changes(f"/users/{last['id_key']}", "last_administrator", {"is_active": False})
    walk.refused("DELETE", f"/users/{last['id_key']}", "last_administrator")
    walk.refused("PATCH", "/users/bulk", "last_administrator", [{"id_key": last["id_key"], "role": "staff"}])
    walk.refused("POST", "/users/bulk_delete", "last_administrator", [{"id_key": last["id_key"]}])
    headers = {"Idempotency-Key": unique("key").replace(" ", "-")}
    body = an_api_key.body(walk.http)
    assert walk.http.post("/api_keys", json=body, headers=headers).status_code == 201
    walk.refused("POST", "/api_keys", "secret_shown_once", body, **headers)


def what_webhooks_refuse(walk: Walk) -> None:
    headers = {"Idempotency-Key": unique("key").replace(" ", "-")}
    body = a_webhook_endpoint.body(walk.http)
    made = walk.http.post("/webhook_endpoints", json=body, headers=headers)
    walk.refused("POST", "/webhook_endpoints", "secret_shown_once", body, **headers)
    one = made.headers["Location"]
    headers = {"Idempotency-Key": unique("key").replace(" ", "-")}
    assert walk.http.post(f"{one}/rotate_secret", headers=headers).status_code == 200
    walk.refused("POST", f"{one}/rotate_secret", "secret_shown_once", None, **headers)
    delivery = walk.http.post(f"{one}/test").headers["Location"]
    walk.http.patch(one, json={"active": False})
    walk.refused("POST", f"{one}/test", "webhook_endpoint_off")
    walk.refused("POST", f"{one}/redeliver", "webhook_endpoint_off", {"after": 0})
    walk.refused("POST", f"{delivery}/redeliver", "webhook_endpoint_off")
    for call in ("rotate_secret", "test"):
        walk.refused("POST", f"/webhook_endpoints/{NO_ROW}/{call}", "not_found")
    walk.refused("POST", f"/webhook_endpoints/{NO_ROW}/redeliver", "not_found", {"after": 0})
    walk.refused("POST", f"/webhook_deliveries/{NO_ROW}/redeliver", "not_found")


def what_notifications_refuse(walk: Walk, database_url: str) -> None:
    client = a_client(walk.http, notify={"mail": False})["id_key"]
    path = f"/notifications/{a_notification(database_url, client)['id_key']}/resend"
    walk.refused("POST", path, "notification_unwanted")
    walk.refused("POST", f"/notifications/{NO_ROW}/resend", "not_found")


def what_jobs_refuse(walk: Walk, database_url: str) -> None:
    running, canceled = (a_job(database_url, status)["id_key"] for status in ("doing", "cancelled"))
    walk.refused("POST", f"/jobs/{running}/retry", "job_conflict")
    walk.refused("POST", f"/jobs/{canceled}/cancel", "job_conflict")
    for call in ("retry", "cancel"):
        walk.refused("POST", f"/jobs/{NO_ROW}/{call}", "not_found")
