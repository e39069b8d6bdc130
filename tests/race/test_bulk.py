"""Bulk changes beside each other, and beside sales: no deadlock, nothing lost, nothing done by half."""

import httpx
import pytest

from tests.race.crowd import Call, send_together, statuses
from tests.race.goods import Goods, unique

pytestmark = [pytest.mark.race, pytest.mark.integration]


def test_opposite_orders_never_deadlock(race_url: str, http: httpx.Client, goods: Goods) -> None:
    products = [goods.product(stock=5) for _ in range(200)]
    one_way = [{"id_key": product, "price": 3, "stock": 7} for product in products]
    other_way = [{"id_key": product, "price": 4, "stock": 9} for product in products[::-1]]
    outcomes = send_together(race_url, [Call("PATCH", "/products/bulk", body) for body in [one_way, other_way] * 6])
    assert statuses(outcomes) == [200] * 12
    rows = [http.get(f"/products/{product}").json() for product in products]
    assert {(row["price"], row["stock"]) for row in rows} in ({(3, 7)}, {(4, 9)})


def test_changes_of_prices_and_sales_beside_each_other(race_url: str, goods: Goods) -> None:
    products = [goods.product(stock=1_000) for _ in range(50)]
    cart = goods.cart(*((product, 1) for product in products[::-1]))
    changes = [
        Call("PATCH", "/products/bulk", [{"id_key": product, "description": unique("text")} for product in products])
        for _ in range(8)
    ]
    outcomes = send_together(race_url, [*changes, *[Call("POST", "/checkout", cart)] * 8])
    assert statuses(outcomes) == [200] * 8 + [201] * 8
    assert {goods.stock(product) for product in products} == {1_000 - 8}


def test_of_many_who_read_the_same_only_one_changes_it(race_url: str, http: httpx.Client, goods: Goods) -> None:
    products = [http.get(f"/products/{goods.product()}").json() for _ in range(20)]
    calls = [
        Call("PATCH", "/products/bulk", [{**product, "description": f"by {n}"} for product in products])
        for n in range(10)
    ]
    outcomes = send_together(race_url, calls)
    assert statuses(outcomes) == [200] + [409] * 9
    assert {tuple(outcome.body["loc"]) for outcome in outcomes if outcome.status == 409} == {("body", 0, "updated_at")}
    shown = [http.get(f"/products/{product['id_key']}").json()["description"] for product in products]
    assert len(set(shown)) == 1


def test_one_of_many_gets_the_code_and_the_others_are_told_where(race_url: str, goods: Goods) -> None:
    code = unique("code")
    calls = [
        Call("PATCH", "/products/bulk", [{"id_key": goods.product()}, {"id_key": goods.product(), "sku": code}])
        for _ in range(10)
    ]
    outcomes = send_together(race_url, calls)
    assert statuses(outcomes) == [200] + [409] * 9
    refused = [outcome.body for outcome in outcomes if outcome.status == 409]
    assert {body["detail"] for body in refused} == {f"Product with sku '{code}' already exists"}
    assert {tuple(body["loc"]) for body in refused} == {("body", 1, "sku")}


def test_deletions_beside_new_references(race_url: str, http: httpx.Client, goods: Goods) -> None:
    """A category is gone, or it has its product; never both, and never an error of the server."""
    categories = [int(http.post("/categories", json={"name": unique("shelf")}).json()["id_key"]) for _ in range(24)]
    body = {"name": "chair", "price": 5}
    calls = [
        call
        for start in range(0, 24, 4)
        for call in (
            Call("POST", "/categories/bulk_delete", [{"id_key": key} for key in categories[start : start + 4][::-1]]),
            Call("POST", "/products", {**body, "category_id": categories[start + 1]}),
            Call("POST", "/categories/bulk_delete", [{"id_key": key} for key in categories[start : start + 4]]),
        )
    ]
    outcomes = send_together(race_url, calls)
    assert set(statuses(outcomes)) <= {201, 204, 404, 409}
    for start in range(0, 24, 4):
        made = outcomes[start // 4 * 3 + 1].status == 201
        there = [http.get(f"/categories/{key}").status_code for key in categories[start : start + 4]]
        assert there == ([200] * 4 if made else [404] * 4)
