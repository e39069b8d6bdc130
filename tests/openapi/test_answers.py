"""A walk through every operation: each succeeds once, is refused in the usual ways, and answers as documented.

The checks themselves are in the client: it holds every answer against the document (see `documented.py`).
"""

from typing import Any

import httpx
import pytest

from tests.builders import BUILDERS, Builder, a_client, a_product, a_webhook_endpoint, unique
from tests.identity.accounts import LoggedIn, registration
from tests.jobs.queue_rows import a_job, a_notification
from tests.openapi.documented import Document
from tests.race.databases import execute

pytestmark = pytest.mark.integration

NO_ROW = 2**63 - 1


def checkout(http: httpx.Client, **given: Any) -> dict[str, Any]:
    product = a_product(http, price=10, stock=5)
    body = {
        "client_id": a_client(http)["id_key"],
        "delivery_method": 3,
        "payment_type": "card",
        "lines": [{"product_id": product["id_key"], "quantity": 2}],
        **given,
    }
    response = http.post("/checkout", json=body)
    assert response.status_code == 201, response.text
    order: dict[str, Any] = response.json()
    return order


@pytest.mark.parametrize("resource", BUILDERS.values(), ids=list(BUILDERS))
def test_rows(http: httpx.Client, resource: Builder) -> None:
    row = resource(http)
    one = f"{resource.path}/{row['id_key']}"
    etag = http.get(one).headers["etag"]
    assert http.get(one, headers={"If-None-Match": etag}).status_code == 304
    assert http.get(resource.path, params={"limit": 1}).json()
    changed = http.put(one, json=resource.change(row), headers={"If-Match": etag})
    assert changed.status_code == 200
    assert http.patch(one, json={}).status_code == 200
    assert http.patch(one, json={}, headers={"If-Match": etag}).status_code == 412
    assert http.put(one, json={"updated_at": "2001-01-01T00:00:00Z"}).status_code == 409
    assert http.put(one, json={"no_such_field": 1}).status_code == 422
    assert http.put(one, content="x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert http.delete(one, headers={"If-Match": etag}).status_code == 412
    assert http.delete(one).status_code == 204
    assert http.get(one).status_code == 404


@pytest.mark.parametrize("resource", BUILDERS.values(), ids=list(BUILDERS))
def test_refusals(http: httpx.Client, resource: Builder) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert http.request(method, f"{resource.path}/{NO_ROW}", json={}).status_code == 404
    body = resource.body(http)
    for reference in resource.references:
        assert http.post(resource.path, json=body | {reference: NO_ROW}).status_code == 404
    assert http.post(resource.path, json={}).status_code == 422
    assert http.post(resource.path, content=b"{", headers={"Content-Type": "application/json"}).status_code == 422
    assert http.post(resource.path, content=b"x" * (1024 * 1024 + 1)).status_code == 413
    assert http.get(resource.path, params={"no_such_filter": 1}).status_code == 422
    assert http.get(resource.path, headers={"Host": "two hosts"}).status_code == 400


def test_repeats(http: httpx.Client) -> None:
    key = {"Idempotency-Key": unique("key").replace(" ", "-")}
    body = {"name": unique("Lighting")}
    for _ in range(2):
        made = http.post("/categories", json=body, headers=key)
        assert made.status_code == 201
    assert made.headers["Idempotent-Replayed"] == "true"
    assert http.post("/categories", json={"name": unique("Other")}, headers=key).status_code == 422
    refused = {"Idempotency-Key": unique("key").replace(" ", "-")}
    for _ in range(2):
        twin = http.post("/categories", json=body, headers=refused)
        assert twin.status_code == 409


def test_orders_show_what_is_inside(http: httpx.Client) -> None:
    order = checkout(http, discount=1.5, expected_total=18.5)
    one = f"/orders/{order['id_key']}"
    for expand in ("order_details", "bill,client", "order_details,bill,client"):
        shown = http.get(one, params={"expand": expand})
        assert {name for name in ("order_details", "bill", "client") if name in shown.json()} == set(expand.split(","))
        listed = http.get("/orders", params={"expand": expand, "client_id": order["client_id"]}).json()
        assert listed == [shown.json()]
        assert http.get(f"/clients/{order['client_id']}/orders", params={"expand": expand}).json() == listed
    assert http.get(one, params={"expand": "money"}).status_code == 422
    assert http.get(f"/clients/{NO_ROW}/orders").status_code == 404


def test_orders_move_on_and_come_back(http: httpx.Client) -> None:
    order = checkout(http)
    one = f"/orders/{order['id_key']}"
    lines = [{"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}]
    assert http.post(f"{one}/returns", json={"lines": lines}).status_code == 409
    assert http.post(f"{one}/advance").json()["status"] == 2
    credit = http.post(f"{one}/returns", json={"lines": lines, "reason": "Broken on arrival"})
    assert credit.status_code == 201
    assert credit.headers["location"] == f"/bills/{credit.json()['id_key']}"
    paid = http.post(
        f"/bills/{order['bill_id']}/payments", json={"amount": 1, "method": "transfer", "reference": "RF18"}
    )
    assert paid.status_code == 201
    assert http.get(paid.headers["location"]).json() == paid.json()
    for path in ("/payments", f"/bills/{order['bill_id']}/payments"):
        assert http.get(path, params={"method": "transfer"}).json()
    assert http.get(f"/bills/{order['bill_id']}/lines").json()
    assert http.get(f"/bills/{NO_ROW}/lines").status_code == 404
    assert http.post(f"/bills/{NO_ROW}/payments", json={"amount": 1, "method": "cash"}).status_code == 404
    returned = f"/returns/{credit.json()['return_id']}"
    assert http.get(returned).json()["lines"][0]["amount"] == credit.json()["total"]
    assert http.get(f"/returns/{NO_ROW}").status_code == 404
    for path in ("/returns", f"{one}/returns"):
        assert http.get(path, params={"sort": "-created_at"}).json()
    assert http.get(f"/orders/{NO_ROW}/returns").status_code == 404
    assert http.post(f"{one}/returns", json={"lines": [{**lines[0], "quantity": 2}]}).status_code == 400
    shipment = http.post(f"{one}/shipments", json={"lines": lines, "carrier": "Parcel Post"})
    assert shipment.status_code == 201
    # The other piece came back before it was shipped.
    assert http.post(f"{one}/shipments", json={}).status_code == 409
    assert http.post(f"/orders/{NO_ROW}/shipments", json={}).status_code == 404
    parcel = shipment.headers["location"]
    for path in ("/shipments", f"{one}/shipments"):
        assert http.get(
            path, params={"sort": "-shipped_at", "order_id" if path == "/shipments" else "limit": 1}
        ).is_success
    assert http.get(f"/orders/{NO_ROW}/shipments").status_code == 404
    assert http.patch(parcel, json={"delivered_at": "2001-01-01"}).status_code == 422
    assert http.patch(parcel, json={"delivered_at": "2100-01-01"}).status_code == 200
    assert http.patch(parcel, json={"delivered_at": None}).status_code == 409
    assert http.get(parcel).json()["lines"] == lines
    assert http.get(f"/shipments/{NO_ROW}").status_code == 404
    assert http.post(f"{one}/cancel").status_code == 409
    assert http.post(f"/orders/{checkout(http)['id_key']}/cancel").json()["status"] == 4


def test_requests_without_a_body_take_none(http: httpx.Client) -> None:
    cancel = f"/orders/{checkout(http)['id_key']}/cancel"
    for key in ({}, {"Idempotency-Key": unique("key").replace(" ", "-")}):
        assert http.post(cancel, json={"reason": "late"}, headers=key).status_code == 422
        assert http.post(cancel, content=b"{", headers=key).status_code == 415
    key = {"Idempotency-Key": unique("key").replace(" ", "-")}
    assert http.post(cancel, json={}, headers=key).status_code == 200


def test_short_stock_tells_what_is_short(http: httpx.Client) -> None:
    product = a_product(http, stock=1)
    body = {
        "client_id": a_client(http)["id_key"],
        "delivery_method": 1,
        "payment_type": "cash",
        "lines": [{"product_id": product["id_key"], "quantity": 2}],
    }
    short = http.post("/checkout", json=body)
    assert short.status_code == 400
    assert short.json()["errors"] == [{"product_id": product["id_key"], "requested": 2, "available": 1}]


def test_stock_and_its_ledger(http: httpx.Client) -> None:
    one = f"/products/{a_product(http)['id_key']}"
    assert http.post(f"{one}/stock", json={"delta": 5, "reason": "receipt"}).json()["stock"] == 105
    assert http.post(f"{one}/stock", json={"delta": -1000}).status_code == 400
    movements = http.get(f"{one}/stock_movements", params={"sort": "-created_at"})
    assert [movement["reason"] for movement in movements.json()] == ["receipt", "initial"]
    assert http.get(f"/products/{NO_ROW}/stock_movements").status_code == 404


def test_quotes(http: httpx.Client) -> None:
    product = a_product(http, price=10, stock=1)
    body = {
        "client_id": a_client(http)["id_key"],
        "delivery_method": 3,
        "payment_type": "card",
        "lines": [{"product_id": product["id_key"], "quantity": 2}],
    }
    quote = http.post("/checkout/quote", json=body)
    assert (quote.status_code, quote.json()["total"]) == (200, 20)
    assert http.post("/checkout/quote", json=body | {"client_id": NO_ROW}).status_code == 404


def test_reports(http: httpx.Client) -> None:
    checkout(http)
    for name in ("sales", "best_sellers", "clients", "taxes", "stock"):
        shown = http.get(f"/reports/{name}")
        assert shown.json()["rows"]
        assert http.get(f"/reports/{name}", headers={"If-None-Match": shown.headers["etag"]}).status_code in (200, 304)
    assert http.get("/reports/sales", params={"from": "2026-02-30"}).status_code == 422


def test_prices_and_their_figures(http: httpx.Client) -> None:
    one = f"/products/{a_product(http, price=3)['id_key']}"
    assert http.patch(one, json={"price": 2}).status_code == 200
    history = http.get(f"{one}/price_history", params={"sort": "-valid_from"})
    assert [row["price"] for row in history.json()] == [2, 3]
    assert http.get(f"{one}/price_stats", params={"days": 90}).json()["lowest_before_reduction"] == 3
    for what in ("price_history", "price_stats"):
        assert http.get(f"/products/{NO_ROW}/{what}").status_code == 404


def test_lists_below_another_row(http: httpx.Client) -> None:
    for above, field, name in (
        ("products", "product_id", "reviews"),
        ("categories", "category_id", "products"),
        ("clients", "client_id", "addresses"),
        ("clients", "client_id", "bills"),
    ):
        key = BUILDERS[f"/{above}"](http)["id_key"]
        row = BUILDERS[f"/{name}"](http, **{field: key})
        (listed,) = http.get(f"/{above}/{key}/{name}").json()
        # A bill by itself has its lines, too.
        assert listed == {name: row[name] for name in listed}
        assert http.get(f"/{above}/{NO_ROW}/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/products", "/clients", "/categories", "/users"])
def test_bulk(http: httpx.Client, path: str) -> None:
    rows = [BUILDERS[path].body(http) for _ in range(2)]
    stored = http.post(f"{path}/bulk", json=rows).json()
    assert len(stored) == 2
    assert http.patch(f"{path}/bulk", json=stored).json() == stored
    stale = [{"id_key": stored[0]["id_key"], "updated_at": "2001-01-01T00:00:00Z"}]
    assert http.patch(f"{path}/bulk", json=stale).status_code == 409
    assert http.patch(f"{path}/bulk", json=[{"id_key": NO_ROW}]).status_code == 404
    assert http.post(f"{path}/bulk_delete", json=stale).status_code == 409
    assert http.post(f"{path}/bulk_delete", json=[{"id_key": NO_ROW}]).status_code == 404
    taken = http.post(f"{path}/bulk", json=rows)
    assert taken.status_code == 409
    assert taken.json()["loc"][:2] == ["body", 0]
    assert http.post(f"{path}/bulk", json=[]).status_code == 422
    deleted = http.post(f"{path}/bulk_delete", json=[{"id_key": row["id_key"]} for row in stored])
    assert deleted.status_code == 204


def test_bulk_is_a_path_of_its_own(client: httpx.Client) -> None:
    for path, allowed in (("/products/bulk", "OPTIONS, PATCH, POST"), ("/products/bulk_delete", "OPTIONS, POST")):
        for method in ("GET", "PUT", "DELETE"):
            response = client.request(method, path, json={})
            assert response.status_code == 405
            assert response.headers["allow"] == allowed
    assert client.patch("/products/bulk_delete", json={}).status_code == 405


def test_audit_entries(http: httpx.Client, database_url: str) -> None:
    # With AUTH=off nobody is audited.
    execute(
        database_url,
        "INSERT INTO audit_entries (actor, action, resource, resource_id, changes)"
        """ VALUES ('user:7', 'patch_product', 'products', 1, '{"price": [39.99, 34.99]}')""",
    )
    newest = http.get("/audit_entries", params={"resource": "products", "sort": "-id_key", "limit": 1}).json()
    assert newest[0]["changes"] == {"price": [39.99, 34.99]}
    assert http.get(f"/audit_entries/{newest[0]['id_key']}").json() == newest[0]
    assert http.get(f"/audit_entries/{NO_ROW}").status_code == 404


def test_events(http: httpx.Client, database_url: str) -> None:
    execute(
        database_url,
        "INSERT INTO events (type, resource, resource_id, data)"
        """ VALUES ('product.price_changed', 'products', 1, '{"old_price": 39.99, "price": 34.99}')""",
    )
    events = http.get("/events", params={"type": "product.*", "limit": 1000}).json()
    assert http.get(f"/events/{events[-1]['id']}").json() == events[-1]
    assert http.get("/events", params={"type": "no.such"}).status_code == 422
    # That of a GET has no end.
    assert http.head("/events/stream").status_code == 200
    assert http.get("/events/00000000-0000-7000-8000-000000000000").status_code == 404


def test_jobs(http: httpx.Client, database_url: str) -> None:
    path = f"/jobs/{a_job(database_url, 'failed')['id_key']}"
    job = http.get(path).json()
    assert job in http.get("/jobs", params={"status": "failed", "task": job["task"], "limit": 1000}).json()
    assert http.post(f"{path}/cancel").json()["status"] == "canceled"
    assert http.post(f"{path}/cancel").status_code == 409
    assert http.post(f"{path}/retry").json()["status"] == "queued"
    for call in ("", "/retry", "/cancel"):
        assert http.request("POST" if call else "GET", f"/jobs/{NO_ROW}{call}").status_code == 404
    assert http.get("/jobs", params={"status": "done"}).status_code == 422


def test_webhooks(http: httpx.Client) -> None:
    made = http.post("/webhook_endpoints", json=a_webhook_endpoint.body(http))
    one = made.headers["location"]
    assert http.post(f"{one}/rotate_secret").json()["secret"] != made.json()["secret"]
    assert http.post(f"{one}/redeliver", json={"after": 0}).status_code == 202
    delivery = http.post(f"{one}/test")
    assert delivery.status_code == 201
    for path in (f"{one}/deliveries", "/webhook_deliveries"):
        assert http.get(path, params={"status": "pending", "sort": "-created_at"}).json()
    assert http.get(delivery.headers["location"]).json()["type"] == "webhook.test"
    assert http.post(f"{delivery.headers['location']}/redeliver").status_code == 200
    assert http.patch(one, json={"active": False}).status_code == 200
    for path in (f"{one}/test", f"{delivery.headers['location']}/redeliver"):
        assert http.post(path).status_code == 409
    for path in (f"/webhook_endpoints/{NO_ROW}/test", f"/webhook_deliveries/{NO_ROW}/redeliver"):
        assert http.post(path).status_code == 404
    assert http.post(f"{one}/redeliver", json={"after": -1}).status_code == 422
    assert http.get(f"/webhook_endpoints/{NO_ROW}/deliveries").status_code == 404


def test_notifications(http: httpx.Client, database_url: str) -> None:
    client = a_client(http)
    path = f"/notifications/{a_notification(database_url, client['id_key'])['id_key']}"
    one = http.get(path).json()
    found = http.get("/notifications", params={"client_id": client["id_key"], "status": "failed", "channel": "mail"})
    assert found.json() == [one]
    assert http.post(f"{path}/resend").json()["status"] == "queued"
    assert http.patch(f"/clients/{client['id_key']}", json={"notify": {"mail": False}}).status_code == 200
    assert http.post(f"{path}/resend").status_code == 409
    assert http.get(f"/notifications/{NO_ROW}").status_code == 404
    assert http.post(f"/notifications/{NO_ROW}/resend").status_code == 404


def test_accounts(http: httpx.Client, database_url: str) -> None:
    for path in ("/auth", ""):
        user = LoggedIn.new(http, database_url)
        assert http.post(f"{path}/register", json=registration()).status_code == 201
        login = {"username": user.username, "password": user.password}
        assert http.post(f"{path}/login", json=login | {"cookie": True}).status_code == 200
        assert http.post(f"{path}/login", data=login).status_code == 200
        assert http.post(f"{path}/login", json=login | {"password": "x"}).status_code == 401
        assert user("GET", f"{path}/me").status_code == 200
        assert user("PATCH", f"{path}/me", json={"full_name": "Ada"}).status_code == 200
        assert user("PATCH", f"{path}/me", json={"role": "admin"}).status_code == 422
        for token in (user.tokens["access_token"], "x"):
            assert http.post(f"{path}/validate-token", json={"token": token}).status_code == 200
    for path in ("/auth/password/forgot", "/auth/email/resend"):
        assert http.post(path, json={"email": user.email}).status_code == 202
    reset = {"token": user.mailed("reset_password"), "password": "another horse battery"}
    assert http.post("/auth/password/reset", json=reset).status_code == 204
    assert http.post("/auth/email/verify", json={"token": user.mailed("verify_email")}).status_code == 204
    user.password = reset["password"]
    user.log_in()
    assert user.refresh().status_code == 200
    (session,) = user("GET", "/auth/sessions").json()
    assert user("DELETE", f"/auth/sessions/{session['id_key']}").status_code == 204
    user.log_in()
    assert user("DELETE", "/auth/sessions").status_code == 204
    user.log_in()
    assert user("POST", "/auth/logout").status_code == 204
    assert user("GET", "/auth/me").status_code == 401


def test_health(http: httpx.Client) -> None:
    for path in ("/health_check", "/health/live", "/health/ready", "/version"):
        assert http.get(path).status_code == 200


def test_service(http: httpx.Client) -> None:
    assert http.get("/").json()["docs"] == "/docs"
    assert http.get("/", headers={"Accept": "text/html"}).status_code == 307
    assert "# TYPE" in http.get("/metrics").text


def test_preferences(http: httpx.Client) -> None:
    minimal = {"Prefer": "return=minimal"}
    made = http.post("/categories", json={"name": unique("Lighting")}, headers=minimal)
    assert made.status_code == 201
    assert http.patch(made.headers["location"], json={}, headers=minimal).status_code == 204


def test_every_operation_was_seen_to_succeed(http: httpx.Client, documented: Document, database_url: str) -> None:
    """With the walks above in one: an operation that is new has to be walked too."""
    for resource in BUILDERS.values():
        test_rows(http, resource)
    for walk in (
        test_orders_show_what_is_inside,
        test_orders_move_on_and_come_back,
        test_stock_and_its_ledger,
        test_prices_and_their_figures,
        test_quotes,
        test_reports,
        test_lists_below_another_row,
        test_webhooks,
    ):
        walk(http)
    for path in ("/products", "/clients", "/categories", "/users"):
        test_bulk(http, path)
    test_audit_entries(http, database_url)
    test_events(http, database_url)
    test_jobs(http, database_url)
    test_notifications(http, database_url)
    test_accounts(http, database_url)
    test_health(http)
    test_service(http)
    assert documented.operation_ids - documented.succeeded == set()
