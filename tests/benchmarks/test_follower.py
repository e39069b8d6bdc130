"""What a reader of the events was told, compared with what happened."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.follower import judge_events, out_of_order
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import connected, new_database
from tests.told_shop import told_shop


def event(sequence: int, kind: str, resource_id: int = 1, **data: Any) -> dict[str, Any]:
    resource = "orders" if kind.startswith("order.") else "products"
    return {"sequence": sequence, "type": kind, "resource": resource, "resource_id": resource_id, "data": data}


def test_events_that_follow_from_each_other_are_in_order() -> None:
    told = [
        event(1, "product.created"),
        event(2, "order.created"),
        event(4, "product.price_changed", old_price=9.99, new_price=5),
        event(5, "order.canceled"),
        event(6, "product.price_changed", old_price=5, new_price=7),
        event(7, "order.created", 2),
    ]
    assert list(out_of_order(told)) == []


def test_a_sequence_that_does_not_grow_is_out_of_order() -> None:
    assert list(out_of_order([event(2, "order.created"), event(2, "order.created", 2)])) == ["sequence 2 after 2"]
    assert list(out_of_order([event(2, "order.created"), event(1, "order.created", 2)])) == ["sequence 1 after 2"]


def test_nothing_comes_before_a_creation() -> None:
    told = [event(1, "order.canceled"), event(2, "order.created")]
    assert list(out_of_order(told)) == ["order.created of orders 1 after order.canceled"]


def test_a_price_that_is_not_the_last_one_is_out_of_order() -> None:
    told = [
        event(1, "product.price_changed", old_price=5, new_price=7),
        event(2, "product.price_changed", old_price=9.99, new_price=5),
    ]
    assert list(out_of_order(told)) == ["product.price_changed of products 1 after product.price_changed"]


@pytest.mark.integration
def test_what_was_told_is_compared_with_what_happened(servers: ServerUrls, tmp_path: Path) -> None:
    url = new_database(servers.database_url)
    with told_shop(url, tmp_path) as shop:
        category = shop.http.post("/categories", json={"name": "Lighting"}).json()["id_key"]
        lamp = {"name": "Lamp", "price": 9.99, "stock": 5, "category_id": category}
        product = shop.http.post("/products", json=lamp).json()["id_key"]
        shop.http.put(f"/products/{product}", json={"price": 5})
        client = shop.http.post("/clients", json={"name": "A", "lastname": "B", "email": "a@example.com"}).json()
        cart = {
            "client_id": client["id_key"],
            "delivery_method": 1,
            "payment_type": "card",
            "lines": [{"product_id": product, "quantity": 1}],
        }
        order = shop.http.post("/checkout", json=cart).json()["id_key"]
        shop.http.post(f"/orders/{order}/advance")
        told = shop.http.get("/events").json()
    assert [event["type"] for event in told] == [
        "category.created",
        "product.created",
        "product.price_changed",
        "client.created",
        "order.created",
        "order.status_changed",
    ]
    with connected(url) as connection, connection.cursor() as cursor:
        assert judge_events(cursor, told).faults == []
        lacking = judge_events(cursor, told[:-1])
        assert lacking.lost[0].startswith("event ")
        assert lacking.lost[1:] == [f"order.status_changed of {order}"]
        assert str(judge_events(cursor, [*told, told[-1]])) == "events: lost 0, invented 2, out of order 1"
        cursor.execute("DELETE FROM order_details; DELETE FROM orders")
        assert judge_events(cursor, told).invented == [f"order.created of {order}", f"order.status_changed of {order}"]
