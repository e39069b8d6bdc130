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


BULKS = {
    "products": ("Product", "sku"),
    "categories": ("Category", "name"),
    "clients": ("Client", "email"),
}


def bulk_rows(goods: Goods, path: str, values: list[str]) -> list[dict[str, Any]]:
    """New rows with these values in the field that is unique."""
    if path == "products":
        return [product_body(goods, sku=value, name="x") for value in values]
    if path == "categories":
        return [{"name": value} for value in values]
    return [{"name": "A", "lastname": "B", "email": f"{value}@example.com"} for value in values]


@pytest.mark.parametrize("path", BULKS)
def test_who_loses_a_race_of_bulks_is_published_which_row_is_in_the_way(race_url: str, goods: Goods, path: str) -> None:
    thing, field = BULKS[path]
    for _ in range(3):
        common = unique("common")
        bulks = [
            bulk_rows(
                goods, path, [*(unique("own") for _ in range(place)), writing, *(unique("own") for _ in range(40))]
            )
            for place, writing in enumerate([common, common.upper(), common.swapcase(), common.title()])
        ]
        calls = [
            Call("POST", f"/{path}/bulk", rows, {"Idempotency-Key": unique("key")} if place % 2 else {})
            for place, rows in enumerate(bulks)
        ]
        outcomes = send_together(race_url, calls)
        assert statuses(outcomes) == [201, 409, 409, 409]
        for place, outcome in enumerate(outcomes):
            if outcome.status == 409:
                assert outcome.body["detail"] == f"{thing} with {field} '{bulks[place][place][field]}' already exists"
                assert outcome.body["loc"] == ["body", place, field]
        again = send_together(race_url, [calls[place] for place in (1, 3)])
        kept = [outcomes[place] for place in (1, 3)]
        assert [(one.status, one.body) for one in again] == [(one.status, one.body) for one in kept]


def test_who_loses_a_race_of_bulk_changes_is_published_which_row_is_in_the_way(race_url: str, goods: Goods) -> None:
    wanted = unique("wanted")
    changes = [[{"id_key": goods.product(), "sku": unique("own")} for _ in range(4)] for _ in range(4)]
    for place, rows in enumerate(changes):
        rows[place]["sku"] = wanted.upper() if place % 2 else wanted
    outcomes = send_together(race_url, [Call("PATCH", "/products/bulk", rows) for rows in changes])
    assert statuses(outcomes) == [200, 409, 409, 409]
    for place, outcome in enumerate(outcomes):
        if outcome.status == 409:
            assert outcome.body["detail"] == f"Product with sku '{changes[place][place]['sku']}' already exists"
            assert outcome.body["loc"] == ["body", place, "sku"]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_single_loser_reads_its_own_writing(race_url: str, goods: Goods, method: str) -> None:
    code = unique("code")
    writings = [code, code.upper(), code.title(), f" {code} "] * 3
    if method == "POST":
        calls = [Call("POST", "/products", product_body(goods, sku=writing)) for writing in writings]
    else:
        calls = [Call("PUT", f"/products/{goods.product()}", {"sku": writing}) for writing in writings]
    outcomes = send_together(race_url, calls)
    assert sum(outcome.status == 409 for outcome in outcomes) == len(calls) - 1
    for writing, outcome in zip(writings, outcomes, strict=True):
        if outcome.status == 409:
            assert outcome.body["detail"] == f"Product with sku '{writing.strip()}' already exists"


def test_a_number_is_taken_in_every_writing_at_the_checkout_too(race_url: str, goods: Goods) -> None:
    product, number = goods.product(stock=20), unique("inv")
    cart = goods.cart((product, 1))
    calls = [Call("POST", "/checkout", {**cart, "bill_number": text}) for text in (number, number.upper())]
    calls += [Call("POST", "/bills", {"total": 0, "payment_type": "cash", "bill_number": number.title()})]
    outcomes = send_together(race_url, calls)
    assert statuses(outcomes) == [201, 409, 409]
    for call, outcome in zip(calls, outcomes, strict=True):
        if outcome.status == 409:
            assert outcome.body["detail"] == f"Bill with bill_number '{call.body['bill_number']}' already exists"
