"""Unique means unique when many want the same at once; numbers of bills are given once and without a gap."""

import re
from typing import Any

import httpx
import pytest

from tests.race.crowd import Call, Outcome, send_together, statuses
from tests.race.goods import Goods, unique

pytestmark = [pytest.mark.race, pytest.mark.integration]


def product_body(goods: Goods, **fields: Any) -> dict[str, Any]:
    return {"name": "chair", "price": 5, "category_id": goods.category_id, **fields}


@pytest.mark.parametrize("thing", ["Client", "Category", "Product", "Bill"])
def test_one_of_many_gets_the_name(race_url: str, goods: Goods, thing: str) -> None:
    name = unique("Same")
    path, field, value, body = {
        "Client": ("/clients", "email", f"{name}@example.com", {"name": "A", "lastname": "B"}),
        "Category": ("/categories", "name", name, {}),
        "Product": ("/products", "sku", name, product_body(goods)),
        "Bill": ("/bills", "bill_number", name, {"total": 0, "payment_type": "cash"}),
    }[thing]
    outcomes = send_together(race_url, [Call("POST", path, {**body, field: value})] * 20)
    assert statuses(outcomes) == [201] + [409] * 19
    refusals = {outcome.body["detail"] for outcome in outcomes if outcome.status == 409}
    assert refusals == {f"{thing} with {field} '{value}' already exists"}


def test_one_person_whatever_the_case_of_the_address(race_url: str, goods: Goods) -> None:
    name = unique("Ada")
    spellings = [name.upper(), name.lower(), name, name.swapcase()] * 4
    calls = [
        Call("POST", "/clients", {"name": "A", "lastname": "B", "email": f"{text}@example.com"}) for text in spellings
    ]
    assert statuses(send_together(race_url, calls)) == [201] + [409] * 15


def test_one_of_many_renamed_products_gets_the_code(race_url: str, goods: Goods) -> None:
    code = unique("code")
    products = [goods.product() for _ in range(12)]
    outcomes = send_together(race_url, [Call("PUT", f"/products/{id_}", {"sku": code}) for id_ in products])
    assert statuses(outcomes) == [200] + [409] * 11


def test_a_bulk_is_stored_whole_or_not_at_all(race_url: str, http: httpx.Client, goods: Goods) -> None:
    """Eight bulks and four single requests want one code; whoever is refused leaves nothing behind."""
    wanted = unique("wanted")
    marks = [unique("bulk") for _ in range(8)]
    bulks = [
        [product_body(goods, sku=f"{mark}-{n}", name=mark) for n in range(30)]
        + [product_body(goods, sku=wanted, name=mark)]
        for mark in marks
    ]
    calls = [Call("POST", "/products/bulk", rows) for rows in bulks]
    outcomes = send_together(race_url, calls + [Call("POST", "/products", product_body(goods, sku=wanted))] * 4)
    assert statuses(outcomes) == [201] + [409] * 11
    for mark, outcome in zip(marks, outcomes, strict=False):
        stored = http.get("/products", params={"category_id": goods.category_id, "limit": 1000}).json()
        assert sum(row["name"] == mark for row in stored) == (31 if outcome.status == 201 else 0)


def number_of(outcome: Outcome) -> int:
    """The counted part of the number of the bill that the outcome shows."""
    bill = outcome.body.get("bill", outcome.body)
    found = re.fullmatch(r"(?:BILL|CREDIT)-\d{4}-(\d{6,})", bill["bill_number"])
    assert found is not None
    return int(found[1])


def test_numbers_are_consecutive_although_requests_fail(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=20)
    first = number_of(send_together(race_url, [Call("POST", "/bills", {"total": 0, "payment_type": "cash"})])[0])
    cart, taken = goods.cart((product, 1)), goods.bill(bill_number=unique("taken"))["bill_number"]
    calls = [
        *[Call("POST", "/checkout", cart)] * 30,  # ten of them find nothing left
        *[Call("POST", "/checkout", {**cart, "expected_total": 1})] * 8,
        *[Call("POST", "/checkout", {**goods.cart((goods.product(stock=9), 1)), "bill_number": taken})] * 4,
        *[Call("POST", "/bills", {"total": 0, "payment_type": "cash", "client_id": 2**40})] * 8,
        *[Call("POST", "/bills", {"total": 0, "payment_type": "cash"})] * 10,
    ]
    outcomes = send_together(race_url, calls)
    numbers = sorted(number_of(outcome) for outcome in outcomes if outcome.status == 201)
    assert numbers == list(range(first + 1, first + 31))
    assert statuses(outcomes[30:50]) == [400] * 8 + [404] * 8 + [409] * 4


def test_credit_bills_are_counted_by_themselves(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=12)
    orders = [goods.bought((product, 2)) for _ in range(6)]
    for order in orders:
        http.post(f"/orders/{order['id_key']}/advance")
    calls = [
        Call(
            "POST",
            f"/orders/{order['id_key']}/returns",
            {"lines": [{"order_detail_id": order["order_details"][0]["id_key"], "quantity": quantity}]},
        )
        for order in orders
        for quantity in (1, 1, 2)
    ]
    numbers = sorted(number_of(outcome) for outcome in send_together(race_url, calls) if outcome.status == 201)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert 6 <= len(numbers) <= 12
