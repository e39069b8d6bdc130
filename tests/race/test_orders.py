"""Two hands on one order: one of the possible orders of events happened, nothing in between."""

import httpx
import pytest

from models.order import OrderStatus
from tests.race.crowd import Call, send_together, statuses
from tests.race.goods import Goods, exact

pytestmark = [pytest.mark.race, pytest.mark.integration]


def test_canceling_at_once_returns_the_goods_once(race_url: str, goods: Goods) -> None:
    product = goods.product(stock=10)
    order = goods.bought((product, 4))["id_key"]
    outcomes = send_together(race_url, [Call("POST", f"/orders/{order}/cancel")] * 10)
    assert statuses(outcomes) == [200] * 10
    assert goods.stock(product) == 10
    assert [row["delta"] for row in goods.ledger(product)] == [10, -4, 4]


def test_canceling_and_deleting_return_the_goods_once(race_url: str, goods: Goods) -> None:
    product = goods.product(stock=10)
    order = goods.bought((product, 4))["id_key"]
    calls = [*[Call("POST", f"/orders/{order}/cancel")] * 4, *[Call("DELETE", f"/orders/{order}")] * 4]
    outcomes = send_together(race_url, calls)
    assert statuses(outcomes[4:]) == [204, 404, 404, 404]
    assert set(statuses(outcomes[:4])) <= {200, 404}
    assert goods.stock(product) == 10


def test_delivering_or_canceling(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=15)
    orders = [goods.bought((product, 1))["id_key"] for _ in range(15)]
    for order in orders:
        assert http.post(f"/orders/{order}/advance").status_code == 200
    outcomes = send_together(
        race_url, [Call("POST", f"/orders/{order}/{move}") for order in orders for move in ("advance", "cancel")]
    )
    canceled = 0
    for order, advanced, given_up in zip(orders, outcomes[::2], outcomes[1::2], strict=True):
        assert statuses([advanced, given_up]) == [200, 409]
        status = http.get(f"/orders/{order}").json()["status"]
        assert status == (OrderStatus.DELIVERED if advanced.status == 200 else OrderStatus.CANCELED)
        canceled += status == OrderStatus.CANCELED
    assert goods.stock(product) == canceled


def test_deleting_an_order_while_a_line_is_added(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=15)
    orders = [goods.order() for _ in range(15)]
    line = {"product_id": product, "quantity": 1}
    outcomes = send_together(
        race_url,
        [
            call
            for order in orders
            for call in (
                Call("POST", "/order_details", {**line, "order_id": order}),
                Call("DELETE", f"/orders/{order}"),
            )
        ],
    )
    assert statuses(outcomes[1::2]) == [204] * 15
    assert set(statuses(outcomes[::2])) <= {201, 404}
    assert goods.stock(product) == 15
    assert [http.get(f"/orders/{order}").status_code for order in orders] == [404] * 15


def test_one_bill_settles_one_order(race_url: str, http: httpx.Client, goods: Goods) -> None:
    bill = goods.bill()["id_key"]
    body = {"client_id": goods.client_id, "bill_id": bill, "delivery_method": 1}
    outcomes = send_together(race_url, [Call("POST", "/orders", body)] * 10)
    assert statuses(outcomes) == [201] + [409] * 9
    refusals = {outcome.body["detail"] for outcome in outcomes if outcome.status == 409}
    assert refusals == {f"Order with bill_id '{bill}' already exists"}
    assert len(http.get("/orders", params={"bill_id": bill}).json()) == 1


def test_no_more_is_returned_than_was_sold(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=7, price=3.33)
    order = goods.bought((product, 7), discount=1)
    http.post(f"/orders/{order['id_key']}/advance")
    line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}
    calls = [Call("POST", f"/orders/{order['id_key']}/returns", {"lines": [line]})] * 12
    outcomes = send_together(race_url, calls)
    assert statuses(outcomes) == [201] * 7 + [400] * 5
    assert goods.stock(product) == 7
    # Seven roundings, and yet to the cent what was paid.
    assert sum(outcome.body["total"] for outcome in outcomes if outcome.status == 201) == order["bill"]["total"]
    assert exact(http.get(f"/orders/{order['id_key']}"))["returned_total"] == order["bill"]["total"]


def test_no_more_is_shipped_than_was_ordered(race_url: str, http: httpx.Client, goods: Goods) -> None:
    order = goods.bought((goods.product(stock=7), 7))
    path, key = f"/orders/{order['id_key']}", order["order_details"][0]["id_key"]
    part = {"lines": [{"order_detail_id": key, "quantity": 2}]}
    outcomes = send_together(race_url, [Call("POST", f"{path}/shipments", part)] * 6)
    assert statuses(outcomes) == [201] * 3 + [409] * 3
    calls = [*[Call("POST", f"{path}/shipments", {})] * 6, *[Call("POST", f"{path}/returns", part)] * 3]
    outcomes = send_together(race_url, calls)
    shipments = http.get(f"{path}/shipments").json()
    assert sum(line["quantity"] for shipment in shipments for line in shipment["lines"]) <= 7
    assert statuses(outcomes[:6]).count(201) == len(shipments) - 3 <= 1


def test_the_last_of_many_deliveries_ends_the_order(race_url: str, http: httpx.Client, goods: Goods) -> None:
    order = goods.bought((goods.product(stock=8), 8))
    path = f"/orders/{order['id_key']}"
    part = {"lines": [{"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}]}
    parcels = [http.post(f"{path}/shipments", json=part).headers["Location"] for _ in range(8)]
    outcomes = send_together(race_url, [Call("PATCH", parcel, {"delivered_at": "2100-01-01"}) for parcel in parcels])
    assert statuses(outcomes) == [200] * 8
    assert http.get(path).json()["status"] == OrderStatus.DELIVERED


def test_the_discount_moves_while_lines_come_and_go(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=100, price=10)
    bill = goods.bill()["id_key"]
    order = goods.order(bill)
    goods.detail(order, product)
    lines = [Call("POST", "/order_details", {"order_id": order, "product_id": product, "quantity": 1})] * 10
    discounts = [Call("PUT", f"/bills/{bill}", {"discount": amount}) for amount in range(10)]
    outcomes = send_together(race_url, [call for pair in zip(lines, discounts, strict=True) for call in pair])
    assert statuses(outcomes[::2]) == [201] * 10
    assert statuses(outcomes[1::2]) == [200] * 10
    stored = exact(http.get(f"/bills/{bill}"))
    assert stored["total"] == 110 - stored["discount"]
