"""What an Idempotency-Key promises, on every POST: the same reply again, and the work once."""

import json
from typing import Any

import httpx
import psycopg2
import pytest
from sqlalchemy.orm import Session

from infrastructure.database.migrations import maintenance_engine
from repositories.idempotency_key import IdempotencyKeyRepository, lock_number
from tests.race.databases import execute, rows_of
from tests.race.goods import Goods, unique

JSON = {"Content-Type": "application/json"}


# -- once ------------------------------------------------------------------------------------------


@pytest.fixture
def goods(client: httpx.Client) -> Goods:
    return Goods(client)


@pytest.fixture
def key() -> dict[str, str]:
    return {"Idempotency-Key": unique("key")}


def require_replay(first: httpx.Response, again: httpx.Response) -> None:
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("Location", "Content-Type", "ETag"):
        assert again.headers.get(name) == first.headers.get(name)


@pytest.mark.integration
@pytest.mark.parametrize(
    "path",
    ["/categories", "/clients", "/products", "/bills", "/products/bulk", "/orders", "/order_details", "/reviews"],
)
def test_every_post_is_done_once(client: httpx.Client, goods: Goods, key: dict[str, str], path: str) -> None:
    product = goods.product(stock=9)
    rows = {
        "/categories": {"name": unique("once")},
        "/clients": {"name": "A", "lastname": "B", "email": f"{unique('once')}@example.com"},
        "/products": {"name": "x", "price": 1.5, "category_id": goods.category_id},
        "/bills": {"total": 1, "payment_type": "cash"},
        "/products/bulk": [{"name": "x", "price": 1.5, "category_id": goods.category_id}] * 3,
        "/orders": {"client_id": goods.client_id, "bill_id": goods.bill()["id_key"], "delivery_method": 1},
        "/order_details": {"order_id": goods.order(), "product_id": product, "quantity": 2},
        "/reviews": {"product_id": product, "rating": 4},
    }
    table = path.removesuffix("/bulk")
    first = client.post(path, json=rows[path], headers=key)
    assert first.status_code == 201
    count = int(client.get(table, params={"limit": 1}).headers["X-Total-Count"])
    require_replay(first, client.post(path, json=rows[path], headers=key))
    # Another spelling of the same path and the same numbers is the same request.
    require_replay(first, client.post(f"{path}/", content=json.dumps(rows[path], indent=1), headers={**key, **JSON}))
    assert int(client.get(table, params={"limit": 1}).headers["X-Total-Count"]) == count


@pytest.mark.integration
def test_posts_without_a_body_are_done_once(client: httpx.Client, goods: Goods, key: dict[str, str]) -> None:
    order = goods.bought((goods.product(stock=5), 1))["id_key"]
    first = client.post(f"/orders/{order}/advance", headers=key)
    assert first.json()["status"] == 2
    require_replay(first, client.post(f"/orders/{order}/advance", headers=key))
    assert client.get(f"/orders/{order}").json()["status"] == 2


@pytest.mark.integration
def test_refusals_of_the_rules_are_kept(client: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=1)
    name = client.get(f"/categories/{goods.category_id}").json()["name"]
    refused: list[tuple[str, Any, int]] = [
        ("/checkout", goods.cart((product, 2)), 400),
        ("/checkout", goods.cart((2**40, 1)), 404),
        ("/checkout", {**goods.cart((product, 1)), "client_id": 2**40}, 404),
        ("/categories", {"name": name}, 409),
    ]
    for path, body, status in refused:
        key = {"Idempotency-Key": unique("key")}
        first = client.post(path, json=body, headers=key)
        assert first.status_code == status
        require_replay(first, client.post(path, json=body, headers=key))
    assert goods.stock(product) == 1


@pytest.mark.integration
def test_malformed_requests_are_not_kept(client: httpx.Client, goods: Goods, key: dict[str, str]) -> None:
    product = goods.product(stock=5)
    cart = goods.cart((product, 1))
    assert client.post("/checkout", json={**cart, "lines": []}, headers=key).status_code == 422
    assert client.post("/checkout", json={**cart, "bill_number": "BILL-2026-000001"}, headers=key).status_code == 422
    assert client.post("/checkout", json=cart, headers=key).status_code == 201


@pytest.mark.integration
def test_another_request_with_the_key_is_refused(client: httpx.Client, goods: Goods, key: dict[str, str]) -> None:
    product = goods.product(stock=5)
    order = goods.bought((product, 1))["id_key"]
    assert client.post("/checkout", json=goods.cart((product, 1)), headers=key).status_code == 201
    others: list[tuple[str, Any]] = [
        ("/checkout", goods.cart((product, 2))),
        ("/checkout", goods.cart((product, 2**19))),
        ("/checkout", goods.cart((2**40, 1))),
        (f"/orders/{order}/advance", None),
        ("/categories", {"name": unique("other")}),
    ]
    for path, body in others:
        answer = client.post(path, json=body, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]
    assert goods.stock(product) == 3


@pytest.mark.integration
def test_while_the_first_runs_the_second_is_refused(
    client: httpx.Client, goods: Goods, key: dict[str, str], database_url: str
) -> None:
    product = goods.product(stock=5)
    connection = psycopg2.connect(database_url.replace("+psycopg2", ""))
    try:
        lock = (lock_number(key["Idempotency-Key"]),)
        connection.cursor().execute("SELECT pg_advisory_lock(%s)", lock)
        for cart in (goods.cart((product, 1)), goods.cart((product, 1), bill_number=unique("mine"))):
            answer = client.post("/checkout", json=cart, headers=key)
            assert (answer.status_code, answer.json()["code"]) == (409, "request_in_progress")
            assert answer.headers["Retry-After"] == "1"
        # A server may take its time to end with a connection that was closed.
        connection.cursor().execute("SELECT pg_advisory_unlock(%s)", lock)
    finally:
        connection.close()
    assert goods.stock(product) == 5
    assert client.post("/checkout", json=goods.cart((product, 1)), headers=key).status_code == 201


@pytest.mark.integration
@pytest.mark.parametrize("key", ["", "a b", "a" * 256, "schlüssel", "tab\there"])
def test_what_is_not_a_key_is_refused(client: httpx.Client, goods: Goods, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode()}
    answer = client.post("/categories", json={"name": unique("n")}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]


@pytest.mark.integration
def test_two_keys_are_refused(client: httpx.Client) -> None:
    headers = [("Idempotency-Key", unique("k")), ("Idempotency-Key", unique("k"))]
    answer = client.post("/categories", json={"name": unique("n")}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]


@pytest.mark.integration
@pytest.mark.parametrize("key", ["!", "~" * 255, '"quoted"', "a:b*c"])
def test_any_visible_characters_make_a_key(client: httpx.Client, goods: Goods, key: str) -> None:
    own = f"{key[:200]}{unique('k')}" if len(key) < 200 else key
    assert client.post("/categories", json={"name": unique("n")}, headers={"Idempotency-Key": own}).status_code == 201


@pytest.mark.integration
def test_only_posts_have_keys(client: httpx.Client, goods: Goods, key: dict[str, str]) -> None:
    product = goods.product(stock=5)
    for stock in (1, 2):
        assert client.put(f"/products/{product}", json={"stock": stock}, headers=key).json()["stock"] == stock
    assert client.get(f"/products/{product}", headers={"Idempotency-Key": "not a key"}).status_code == 200


@pytest.mark.integration
def test_both_ways_of_a_checkout_keep_the_same_reply(client: httpx.Client, goods: Goods) -> None:
    """By one statement, or by several where the client names the bill: the kept replies look the same."""
    product = goods.product(stock=5)
    for more in ({}, {"bill_number": unique("mine")}):
        key = {"Idempotency-Key": unique("key")}
        body = goods.cart((product, 1), **more)
        first = client.post("/checkout", json=body, headers=key)
        assert first.status_code == 201
        require_replay(first, client.post("/checkout", json=body, headers=key))
    assert goods.stock(product) == 3


@pytest.mark.integration
def test_old_replies_are_deleted_batch_by_batch(client: httpx.Client, goods: Goods, database_url: str) -> None:
    keys = [unique("old") for _ in range(3)] + [unique("young")]
    for key in keys:
        client.post("/categories", json={"name": key}, headers={"Idempotency-Key": key})
    for key, age in zip(keys, ("48 hours", "25 hours", "30 hours", "23 hours"), strict=True):
        statement = "UPDATE idempotency_keys SET created_at = now() - %s::interval WHERE key = %s"
        execute(database_url, statement, age, key)
    engine = maintenance_engine(database_url)
    with Session(engine) as session:
        assert IdempotencyKeyRepository(session).purge(24, 2) == 2
        assert IdempotencyKeyRepository(session).purge(24, 2) == 1
        assert IdempotencyKeyRepository(session).purge(24, 2) == 0
        session.commit()
    engine.dispose()
    assert rows_of(database_url, "SELECT key FROM idempotency_keys WHERE key = ANY(%s)", keys) == [(keys[3],)]
