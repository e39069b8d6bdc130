"""A quote says what a checkout would say, stores nothing, and tells shortages instead of refusing them."""

from typing import Any

import httpx
import pytest

from tests.builders import a_client, a_product, unique

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    return traced_client


def cart(client: httpx.Client, **given: Any) -> dict[str, Any]:
    lamp, bulb = a_product(client, price=10, stock=5), a_product(client, price=0.5, stock=9)
    lines = [
        {"product_id": lamp["id_key"], "quantity": 2},
        {"product_id": bulb["id_key"], "quantity": 3},
        {"product_id": lamp["id_key"], "quantity": 1},
    ]
    return {
        "client_id": a_client(client)["id_key"],
        "delivery_method": 1,
        "payment_type": "card",
        "lines": lines,
        **given,
    }


def test_it_says_what_the_checkout_says(client: httpx.Client) -> None:
    body = cart(client, discount=1.5, expected_total=30)
    key = {"Idempotency-Key": unique("quote").replace(" ", "-")}
    quotes = [client.post("/checkout/quote", json=body, headers=key) for _ in range(2)]
    assert [quote.status_code for quote in quotes] == [200, 200]
    quote, lamp = quotes[0].json(), f"/products/{body['lines'][0]['product_id']}"
    assert client.get(lamp).json()["stock"] == 5
    placed = client.post("/checkout", json=body, headers=key)
    assert placed.status_code == 201
    order = placed.json()
    for name in ("client_id", "total", "discount", "shipping", "tax_included", "to_pay", "currency", "delivery_method"):
        assert quote[name] == order[name], name
    for name in ("product_id", "name", "sku", "quantity", "price"):
        assert [line[name] for line in quote["lines"]] == [line[name] for line in order["order_details"]]
    assert [line["amount"] for line in quote["lines"]] == [20, 1.5, 10]
    assert (quote["shortages"], quote["taxes"]) == ([], order["bill"]["taxes"])


def test_shortages_are_told(client: httpx.Client) -> None:
    body = cart(client)
    body["lines"][2]["quantity"] = 4
    quote = client.post("/checkout/quote", json=body)
    assert quote.status_code == 200
    product = body["lines"][0]["product_id"]
    assert quote.json()["shortages"] == [{"product_id": product, "requested": 6, "available": 5}]
    assert client.post("/checkout", json=body).json()["errors"] == quote.json()["shortages"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": 9_999_999},
        {"discount": 31.51},
        {"expected_total": 1},
        {"address_id": 9_999_999},
        {"bill_number": "BILL-2026-000001"},
        {"lines": [{"product_id": 9_999_999, "quantity": 1}]},
        {"price": 1},
        {"quantity": 6, "expected_total": 1},
    ],
)
def test_what_a_checkout_refuses_is_refused(client: httpx.Client, wrong: dict[str, Any]) -> None:
    body = cart(client)
    for name, value in wrong.items():
        if name in ("price", "quantity"):
            body["lines"][0][name] = value
        else:
            body[name] = value
    quoted = client.post("/checkout/quote", json=body)
    if "quantity" in wrong:
        # Of a checkout the shortage counts first.
        assert quoted.json()["code"] == "total_mismatch"
        return
    placed = client.post("/checkout", json=body)
    assert quoted.status_code == placed.status_code >= 400
    assert (quoted.json()["code"], quoted.json()["message"]) == (placed.json()["code"], placed.json()["message"])


def test_an_inactive_product_is_refused(client: httpx.Client) -> None:
    product = a_product(client, active=False)
    body = cart(client, lines=[{"product_id": product["id_key"], "quantity": 1}])
    assert client.post("/checkout/quote", json=body).json()["code"] == "product_not_available"
