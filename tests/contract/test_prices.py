"""The price history of a product, and its statistics, over HTTP."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.builders import a_product, unique
from tests.contract.answers import assert_malformed, assert_problem

pytestmark = pytest.mark.integration


def repriced(client: httpx.Client, *prices: float) -> dict[str, Any]:
    """A product that had these prices one after the other."""
    product = a_product(client, price=prices[0])
    for price in prices[1:]:
        product = client.patch(f"/products/{product['id_key']}", json={"price": price}).json()
    return product


def history_of(client: httpx.Client, product: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get(f"/products/{product['id_key']}/price_history").json()
    return rows


def history(client: httpx.Client, product: dict[str, Any]) -> list[Any]:
    return [row["price"] for row in history_of(client, product)]


def test_every_way_to_change_a_price_is_in_it(client: httpx.Client) -> None:
    product = a_product(client, price=10)
    one = f"/products/{product['id_key']}"
    assert client.put(one, json={**product, "price": 9.99}).status_code == 200
    assert client.patch(one, json={"price": 11}).status_code == 200
    assert client.patch(one, json={"price": 11.00, "stock": 3}).status_code == 200
    assert client.patch(one, json={"name": unique("Lamp")}).status_code == 200
    assert client.patch("/products/bulk", json=[{"id_key": product["id_key"], "price": 8}]).status_code == 200
    assert history(client, product) == [10, 9.99, 11, 8]
    body = {"name": "Lamp", "price": 7, "category_id": product["category_id"]}
    made = client.post("/products/bulk", json=[body, body | {"price": 6}]).json()
    assert [history(client, row) for row in made] == [[7], [6]]


def test_each_price_holds_until_the_next(client: httpx.Client) -> None:
    product = repriced(client, 3, 2, 1)
    rows = history_of(client, product)
    assert {row["product_id"] for row in rows} == {product["id_key"]}
    assert all(earlier["valid_until"] == later["valid_from"] for earlier, later in pairwise(rows))
    assert all(earlier["valid_from"] < later["valid_from"] for earlier, later in pairwise(rows))
    assert rows[-1]["valid_until"] is None


def test_it_is_a_list_like_others(client: httpx.Client) -> None:
    product = repriced(client, 1, 2, 3, 4)
    path = f"/products/{product['id_key']}/price_history"
    rows = client.get(path).json()
    page = client.get(path, params={"skip": 1, "limit": 2})
    assert (page.json(), page.headers["X-Total-Count"]) == (rows[1:3], "4")
    assert f'<{path}?skip=3&limit=2>; rel="next"' in page.headers["Link"]
    assert client.get(path, params={"after": rows[1]["id_key"]}).json() == rows[2:]
    assert client.get(path, params={"sort": "-valid_from"}).json() == rows[::-1]
    parts = [{name: row[name] for name in ("id_key", "valid_until")} for row in rows]
    assert client.get(path, params={"fields": "valid_until"}).json() == parts
    assert client.get(path, params={"id_key": rows[2]["id_key"]}).json() == [rows[2]]
    assert client.get(path, headers={"If-None-Match": client.get(path).headers["ETag"]}).status_code == 304
    assert_malformed(client.get(path, params={"sort": "price"}), "query", "sort")
    assert_malformed(client.get(path, params={"limit": 0}), "query", "limit")
    assert_malformed(client.get(path, params={"price": 1}), "query", "price")


def test_statistics(client: httpx.Client) -> None:
    product = repriced(client, 10, 12, 9.99, 11)
    stats = client.get(f"/products/{product['id_key']}/price_stats").json()
    assert Decimal("9.99") <= stats.pop("average") <= 12
    reduced = history_of(client, product)[2]
    assert stats == {
        "product_id": product["id_key"],
        "days": 30,
        "current": 11,
        "min": 9.99,
        "max": 12,
        "changes": 3,
        "lowest_before_reduction": 10,
        "reduced_at": reduced["valid_from"],
    }
    new = a_product(client, price=5)
    stats = client.get(f"/products/{new['id_key']}/price_stats", params={"days": "3650"}).json()
    assert (stats["average"], stats["changes"], stats["days"]) == (5, 0, 3650)
    assert (stats["lowest_before_reduction"], stats["reduced_at"]) == (None, None)


@pytest.mark.parametrize("days", ["0", "3651", "-1", "1.5", "x", "1e2"])
def test_days_that_are_refused(client: httpx.Client, days: str) -> None:
    product = a_product(client)
    assert_malformed(client.get(f"/products/{product['id_key']}/price_stats", params={"days": days}), "query", "days")


def test_no_other_parameter_is_known(client: httpx.Client) -> None:
    path = f"/products/{a_product(client)['id_key']}/price_stats"
    for params in ({"day": "3"}, {"limit": "3"}, {"fields": "min"}):
        assert client.get(path, params=params).status_code == 422
    assert client.get(path, params=[("days", "3"), ("days", "4")]).status_code == 422
    assert client.get(path, params={"days": "", "utm_source": "x"}).json()["days"] == 30


@pytest.mark.parametrize("row_id", [999_999_999, 0, 2**63, 10**30])
@pytest.mark.parametrize("what", ["price_history", "price_stats"])
def test_there_is_none_without_a_product(client: httpx.Client, row_id: int, what: str) -> None:
    answer = client.get(f"/products/{row_id}/{what}")
    assert_problem(answer, 404, f"Product with id {row_id} not found")


def test_they_go_with_the_product(client: httpx.Client) -> None:
    path = f"/products/{repriced(client, 1, 2)['id_key']}"
    assert client.delete(path).status_code == 204
    assert client.get(f"{path}/price_history").status_code == 404
