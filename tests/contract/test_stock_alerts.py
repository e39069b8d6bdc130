"""Stock alerts: the level at which a product is to be ordered again, the list of such products, and the events."""

import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.builders import a_category, a_client, a_product
from tests.contract.answers import assert_malformed
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration

EVENTS = (
    "SELECT type, (data ->> 'stock')::int FROM events"
    " WHERE resource = 'products' AND resource_id = %s AND type LIKE 'stock.%%' ORDER BY position"
)

Product = dict[str, Any]


def test_a_level_is_set_changed_and_removed(client: httpx.Client) -> None:
    product = a_product(client, reorder_level=None)
    one = f"/products/{product['id_key']}"
    assert product["reorder_level"] is None
    for level in (7, 0, 2**53 - 1, 2.0, None):
        assert client.patch(one, json={"reorder_level": level}).json()["reorder_level"] == level
        assert client.get(one).json()["reorder_level"] == level
        assert client.get(one, params={"fields": "reorder_level"}).json() == {
            "id_key": product["id_key"],
            "reorder_level": level,
        }
    for wrong in (-1, 1.5, "3", True, 2**53):
        assert_malformed(client.patch(one, json={"reorder_level": wrong}), "body", "reorder_level")
    body = {"name": "Lamp", "price": 1, "category_id": product["category_id"]}
    made = client.post("/products/bulk", json=[body | {"reorder_level": 3}, body]).json()
    assert [row["reorder_level"] for row in made] == [3, None]
    changes = [{"id_key": made[0]["id_key"], "reorder_level": None}, {"id_key": made[1]["id_key"], "reorder_level": 4}]
    changed = client.patch("/products/bulk", json=changes).json()
    assert [row["reorder_level"] for row in changed] == [None, 4]


def test_low_stock_goes_with_all_other_filters(client: httpx.Client) -> None:
    category = a_category(client)["id_key"]
    stocks = {"none": (0, None), "out": (0, 0), "at": (5, 5), "below": (4, 5), "above": (6, 5), "free": (6, None)}
    made = {
        name: a_product(client, name=name, stock=stock, reorder_level=level, category_id=category, active=name != "at")
        for name, (stock, level) in stocks.items()
    }

    def found(**filters: Any) -> set[str]:
        parameters = {"category_id": category, **filters}
        rows = client.get("/products", params=parameters)
        assert int(rows.headers["X-Total-Count"]) == len(rows.json())
        return {row["name"] for row in rows.json()}

    low = {"out", "at", "below"}
    assert found(low_stock="true") == low
    assert found(low_stock="False") == made.keys() - low
    assert found(low_stock="true", in_stock="true") == {"at", "below"}
    assert found(low_stock="false", in_stock="false") == {"none"}
    assert found(low_stock="true", active="false", sort="-price") == {"at"}
    assert found(low_stock="true", min_price=1, max_price=100) == low
    assert found(low_stock="true", q="below") == {"below"}
    assert {
        row["name"]
        for row in client.get("/products", params={"low_stock": "true", "after": made["out"]["id_key"]}).json()
    } >= {
        "at",
        "below",
    }
    assert found(low_stock="true", sku=made["at"]["sku"]) == {"at"}
    client.patch(f"/products/{made['above']['id_key']}", json={"stock": 5})
    client.patch(f"/products/{made['below']['id_key']}", json={"reorder_level": None})
    assert found(low_stock="true") == {"out", "at", "above"}
    assert_malformed(client.get("/products", params={"low_stock": "yes"}), "query", "low_stock")


# -- events ----------------------------------------------------------------------------------------


def told(database_url: str, product: Product) -> list[tuple[str, int]]:
    return rows_of(database_url, EVENTS, product["id_key"])


def ordered(client: httpx.Client, product: Product, quantity: int) -> Product:
    """An order of so many pieces, all in all, on two lines if there are two."""
    lines = [{"product_id": product["id_key"], "quantity": part} for part in (quantity - quantity // 2, quantity // 2)]
    body = {"client_id": a_client(client)["id_key"], "delivery_method": 3, "payment_type": "card"}
    order = client.post("/checkout", json={**body, "lines": [line for line in lines if line["quantity"]]})
    assert order.status_code == 201
    result: Product = order.json()
    return result


def by_patch(client: httpx.Client, url: str, product: Product, stock: int) -> None:
    assert client.patch(f"/products/{product['id_key']}", json={"stock": stock}).status_code == 200


def by_put(client: httpx.Client, url: str, product: Product, stock: int) -> None:
    row = client.get(f"/products/{product['id_key']}").json()
    assert client.put(f"/products/{product['id_key']}", json={**row, "stock": stock}).status_code == 200


def by_bulk(client: httpx.Client, url: str, product: Product, stock: int) -> None:
    body = [{"id_key": product["id_key"], "stock": stock}]
    assert client.patch("/products/bulk", json=body).status_code == 200


def by_receipt(client: httpx.Client, url: str, product: Product, stock: int) -> None:
    now = client.get(f"/products/{product['id_key']}").json()["stock"]
    assert client.post(f"/products/{product['id_key']}/stock", json={"delta": stock - now}).status_code == 200


def by_hand(client: httpx.Client, url: str, product: Product, stock: int) -> None:
    execute(url, f"UPDATE products SET stock = {stock} WHERE id_key = {product['id_key']}")


def by_orders(client: httpx.Client, url: str, product: Product, stock: int) -> None:
    """Down by an order, and up by a receipt."""
    now = client.get(f"/products/{product['id_key']}").json()["stock"]
    if stock < now:
        ordered(client, product, now - stock)
    else:
        by_receipt(client, url, product, stock)


@pytest.mark.parametrize("move", [by_patch, by_put, by_bulk, by_receipt, by_hand, by_orders])
def test_each_fall_is_told_once_whatever_moves_the_stock(
    client: httpx.Client, database_url: str, move: Callable[..., None]
) -> None:
    product = a_product(client, stock=9, reorder_level=5)
    for stock in (6, 5, 4, 2, 5, 6, 3, 0, 1, 0, 8, 0):
        move(client, database_url, product, stock)
    assert told(database_url, product) == [
        ("stock.low", 5),
        ("stock.low", 3),
        ("stock.out", 0),
        ("stock.back", 1),
        ("stock.out", 0),
        ("stock.back", 8),
        ("stock.low", 0),
        ("stock.out", 0),
    ]


@pytest.mark.parametrize(("level", "low"), [(None, []), (0, [("stock.low", 0)]), (100, [])])
def test_levels_that_are_not_reached_or_never_left(
    client: httpx.Client, database_url: str, level: int | None, low: list[tuple[str, int]]
) -> None:
    product = a_product(client, stock=3, reorder_level=level)
    for stock in (1, 0, 2):
        by_patch(client, database_url, product, stock)
    assert told(database_url, product) == [*low, ("stock.out", 0), ("stock.back", 2)]


def test_a_level_that_changes_tells_nothing(client: httpx.Client, database_url: str) -> None:
    product = a_product(client, stock=3, reorder_level=None)
    for level in (3, 2, 10, None, 0):
        assert client.patch(f"/products/{product['id_key']}", json={"reorder_level": level}).status_code == 200
    assert told(database_url, product) == []
    # Stock and level in one change: by the new level it was low before, or falls now.
    assert client.patch(f"/products/{product['id_key']}", json={"stock": 2, "reorder_level": 2}).status_code == 200
    assert told(database_url, product) == [("stock.low", 2)]
    assert client.patch(f"/products/{product['id_key']}", json={"stock": 1, "reorder_level": 5}).status_code == 200
    assert told(database_url, product) == [("stock.low", 2)]


def test_what_comes_back_by_a_cancellation_or_a_return(client: httpx.Client, database_url: str) -> None:
    product = a_product(client, stock=4, reorder_level=1)
    order = ordered(client, product, 4)
    assert client.post(f"/orders/{order['id_key']}/cancel").status_code == 200
    order = ordered(client, product, 4)
    assert client.post(f"/orders/{order['id_key']}/advance").status_code == 200
    lines = [{"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}]
    assert client.post(f"/orders/{order['id_key']}/returns", json={"lines": lines}).status_code == 201
    types = [kind for kind, _ in told(database_url, product)]
    assert types == ["stock.low", "stock.out", "stock.back"] * 2


def test_a_refused_order_tells_nothing(client: httpx.Client, database_url: str) -> None:
    product = a_product(client, stock=4, reorder_level=1)
    lines = [{"product_id": product["id_key"], "quantity": 5}]
    body = {"client_id": a_client(client)["id_key"], "delivery_method": 3, "payment_type": "card", "lines": lines}
    assert client.post("/checkout", json=body).status_code == 400
    assert told(database_url, product) == []


def test_a_new_product_tells_nothing_of_its_stock(client: httpx.Client, database_url: str) -> None:
    for stock, level in itertools.product((0, 3), (None, 0, 5)):
        assert told(database_url, a_product(client, stock=stock, reorder_level=level)) == []
