"""What a reader of the events was told, compared with what happened."""

from typing import Any

from benchmarks.follower import out_of_order


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
