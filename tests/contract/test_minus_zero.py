"""Minus zero is zero: in bodies, bulk requests, filters and sums."""

from typing import Any

import httpx
import pytest

from tests.builders import a_category, unique

pytestmark = pytest.mark.integration

ZEROS = ["-0", "-0.0", "-0.00", "-0e0", "-0E-2"]


def created(client: httpx.Client, path: str, body: str) -> Any:
    """The answer to a body whose numbers are as they are written."""
    return client.post(path, content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("zero", ZEROS)
def test_bodies(client: httpx.Client, zero: str) -> None:
    category = a_category(client)["id_key"]
    name = unique("Lamp")
    body = f'{{"name": "{name}", "price": 5, "stock": {zero}, "reorder_level": {zero}, "category_id": {category}}}'
    product = created(client, "/products", body)
    assert product.status_code == 201
    assert (product.json()["stock"], product.json()["reorder_level"]) == (0, 0)
    assert '"stock":0,' in product.text
    bulk = created(client, "/products/bulk", f"[{body}]")
    assert bulk.status_code == 201
    assert "-0" not in bulk.text.replace(name, "").partition("created_at")[0]
    number = unique("Z")
    bill = created(
        client,
        "/bills",
        f'{{"bill_number": "{number}", "total": {zero}, "discount": {zero}, "payment_type": "cash"}}',
    )
    assert bill.status_code == 201
    kept = client.get(f"/bills/{bill.json()['id_key']}")
    for answer in (bill, kept):
        assert '"total":0.00' in answer.text
        assert '"discount":0.00' in answer.text
    assert created(client, "/products", body.replace('"price": 5', f'"price": {zero}')).status_code == 422


@pytest.mark.parametrize("zero", ZEROS)
def test_filters(client: httpx.Client, zero: str) -> None:
    category = a_category(client)["id_key"]
    for price in (1, 2):
        body = {"name": unique("Lamp"), "price": price, "category_id": category}
        assert client.post("/products", json=body).status_code == 201
    listed = client.get("/products", params={"category_id": category, "min_price": zero})
    assert len(listed.json()) == 2
    assert client.get("/products", params={"category_id": category, "max_price": zero}).json() == []
