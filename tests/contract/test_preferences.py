"""`Prefer`: a client that writes much need not read it all back."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.builders import BUILDERS, Builder, a_client, a_product, an_order
from tests.contract.answers import assert_headers, assert_problem

pytestmark = pytest.mark.integration

MINIMAL = {"Prefer": "return=minimal"}


def assert_minimal(response: httpx.Response, status: int) -> None:
    assert (response.status_code, response.content) == (status, b""), response.text
    assert response.headers["Preference-Applied"] == "return=minimal"
    assert "Content-Type" not in response.headers
    assert_headers(response)


def test_what_was_written_is_left_out_and_what_tells_of_it_is_not(client: httpx.Client, resource: Builder) -> None:
    made = client.post(resource.path, json=resource.body(client), headers=MINIMAL)
    if resource.shown_once:
        # Without the body, what is shown once would never be.
        assert made.json().keys() >= resource.shown_once
    else:
        assert_minimal(made, 201)
    stored = client.get(made.headers["Location"])
    assert made.headers["ETag"] == stored.headers["ETag"]
    for method in ("PUT", "PATCH"):
        row = client.get(made.headers["Location"]).json()
        change = resource.change(row)
        changed = client.request(method, made.headers["Location"], json=change, headers=MINIMAL)
        assert_minimal(changed, 204)
        now = client.get(made.headers["Location"])
        assert now.json() == row | change | {"updated_at": now.json()["updated_at"]}
        assert changed.headers["ETag"] == now.headers["ETag"] != stored.headers["ETag"]


def test_refusals_and_deletions_are_as_ever(client: httpx.Client, resource: Builder) -> None:
    assert "Preference-Applied" not in client.post(resource.path, json={}, headers=MINIMAL).headers
    assert_problem(client.put(f"{resource.path}/0", json={}, headers=MINIMAL), 404)
    row = resource(client)
    deleted = client.delete(f"{resource.path}/{row['id_key']}", headers=MINIMAL)
    assert deleted.status_code == 204
    assert "Preference-Applied" not in deleted.headers


def a_checkout(client: httpx.Client) -> tuple[str, Any]:
    lines = [{"product_id": a_product(client)["id_key"], "quantity": 1}]
    body = {"client_id": a_client(client)["id_key"], "delivery_method": 3, "payment_type": "card", "lines": lines}
    return "/checkout", body


def a_change_of_stock(client: httpx.Client) -> tuple[str, Any]:
    return f"/products/{a_product(client)['id_key']}/stock", {"delta": 1}


def a_cancellation(client: httpx.Client) -> tuple[str, Any]:
    return f"/orders/{an_order(client)['id_key']}/cancel", None


def a_bulk(client: httpx.Client) -> tuple[str, Any]:
    return "/categories/bulk", [BUILDERS["/categories"].body(client) for _ in range(2)]


@pytest.mark.parametrize(
    ("call", "status"), [(a_checkout, 201), (a_change_of_stock, 204), (a_cancellation, 204), (a_bulk, 201)]
)
def test_each_repeat_has_what_it_prefers(
    client: httpx.Client, call: Callable[[httpx.Client], tuple[str, Any]], status: int
) -> None:
    path, body = call(client)
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first = client.post(path, json=body, headers=key | MINIMAL)
    assert_minimal(first, status)
    whole = client.post(path, json=body, headers=key)
    assert whole.headers["Idempotent-Replayed"] == "true"
    assert whole.json()
    assert "Preference-Applied" not in whole.headers
    again = client.post(path, json=body, headers=key | MINIMAL)
    assert_minimal(again, status)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers.get("Location") == first.headers.get("Location") == whole.headers.get("Location")


def test_a_bulk_change(client: httpx.Client) -> None:
    row = a_product(client)
    assert_minimal(client.patch("/products/bulk", json=[{"id_key": row["id_key"], "price": 2}], headers=MINIMAL), 204)
    assert client.get(f"/products/{row['id_key']}").json()["price"] == 2


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("return=representation", "return=representation"),
        ("RETURN=Minimal", "return=minimal"),
        ('return="minimal"', "return=minimal"),
        ("respond-async, wait=10, return = minimal; foo=bar", "return=minimal"),
        ("return=representation, return=minimal", "return=representation"),
        ('x="a, return=minimal"', None),
        ("return=whatever", None),
        ("return", None),
        ("minimal", None),
        (", ,;=", None),
        ('"' * 500, None),
        (f"{'x' * 2000}, return=minimal", None),
        ("handling=lenient", None),
    ],
)
def test_what_is_understood(client: httpx.Client, prefer: str, applied: str | None) -> None:
    row = a_product(client)
    response = client.patch(f"/products/{row['id_key']}", json={}, headers={"Prefer": prefer})
    assert response.headers.get("Preference-Applied") == applied
    assert response.status_code == (204 if applied == "return=minimal" else 200)
    if response.status_code == 200:
        assert response.json() == row


def test_several_lines_are_one_list(client: httpx.Client) -> None:
    row = a_product(client)
    lines = [("Prefer", "wait=1"), ("Prefer", "return=minimal")]
    assert_minimal(client.patch(f"/products/{row['id_key']}", json={}, headers=lines), 204)
