"""Many hands on documents: each sale is given back at most once, and what is fixed stays, whoever comes first."""

from decimal import Decimal

import httpx
import pytest

from models.order import OrderStatus
from tests.race.crowd import Call, send_together, statuses
from tests.race.goods import Goods, Json, exact

pytestmark = [pytest.mark.race, pytest.mark.integration]

ORDERS = 10


def credited(http: httpx.Client, bill_id: int) -> list[Decimal]:
    return [row["total"] for row in exact(http.get("/bills", params={"refunds_bill_id": bill_id}))]


def placed(http: httpx.Client, goods: Goods, *, advanced: bool, stock: int = 2 * ORDERS) -> list[Json]:
    product = goods.product(stock=stock, price=39.95)
    orders = [goods.bought((product, 2)) for _ in range(ORDERS)]
    for order in orders if advanced else ():
        assert http.post(f"/orders/{order['id_key']}/advance").status_code == 200
    return orders


def test_a_crowd_that_cancels_makes_one_credit_bill(race_url: str, http: httpx.Client, goods: Goods) -> None:
    order = goods.bought((goods.product(stock=2, price=39.95), 2))
    calls = [
        Call("POST", f"/orders/{order['id_key']}/cancel"),
        Call("PUT", f"/orders/{order['id_key']}", {"status": 4}),
    ] * 6
    assert set(statuses(send_together(race_url, calls))) == {200}
    assert credited(http, order["bill_id"]) == [Decimal("79.90")]


def test_canceling_or_returning_gives_back_once(race_url: str, http: httpx.Client, goods: Goods) -> None:
    orders = placed(http, goods, advanced=True)
    calls = []
    for order in orders:
        line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 2}
        calls.append(Call("POST", f"/orders/{order['id_key']}/returns", {"lines": [line]}))
        calls.append(Call("POST", f"/orders/{order['id_key']}/cancel"))
    outcomes = send_together(race_url, calls)
    for order, returned, canceled in zip(orders, outcomes[::2], outcomes[1::2], strict=True):
        assert statuses([returned, canceled]) in ([201, 409], [200, 409])
        assert credited(http, order["bill_id"]) == [Decimal("79.90")]


def test_canceling_and_deleting_give_back_once(race_url: str, http: httpx.Client, goods: Goods) -> None:
    orders = placed(http, goods, advanced=False)
    moves = ("cancel", "advance")
    calls = [
        call
        for order in orders
        for call in (
            *(Call("POST", f"/orders/{order['id_key']}/{move}") for move in moves),
            Call("DELETE", f"/orders/{order['id_key']}"),
        )
    ]
    outcomes = send_together(race_url, calls)
    assert set(statuses(outcomes[2::3])) == {204}
    for order in orders:
        assert credited(http, order["bill_id"]) == [Decimal("79.90")]
        assert exact(http.get(f"/bills/{order['bill_id']}"))["total"] == Decimal("79.90")


def test_canceling_while_it_moves_on(race_url: str, http: httpx.Client, goods: Goods) -> None:
    orders = placed(http, goods, advanced=True)
    moves = [Call("POST", f"/orders/{order['id_key']}/{move}") for order in orders for move in ("advance", "cancel")]
    send_together(race_url, moves)
    for order in orders:
        status = http.get(f"/orders/{order['id_key']}").json()["status"]
        expected = [Decimal("79.90")] if status == OrderStatus.CANCELED else []
        assert credited(http, order["bill_id"]) == expected


def test_lines_and_discounts_change_before_it_moves_on_or_not_at_all(
    race_url: str, http: httpx.Client, goods: Goods
) -> None:
    orders = placed(http, goods, advanced=False, stock=100)
    calls = []
    for order in orders:
        calls.append(Call("POST", f"/orders/{order['id_key']}/advance"))
        calls.append(Call("PATCH", f"/order_details/{order['order_details'][0]['id_key']}", {"quantity": 1}))
        calls.append(Call("PATCH", f"/bills/{order['bill_id']}", {"discount": 10}))
    outcomes = send_together(race_url, calls)
    assert statuses(outcomes[::3]) == [200] * ORDERS
    for order, line, discount in zip(orders, outcomes[1::3], outcomes[2::3], strict=True):
        for outcome in (line, discount):
            assert outcome.status == 200 or outcome.body["code"] == "document_fixed"
        expected = (1 if line.status == 200 else 2) * Decimal("39.95") - (10 if discount.status == 200 else 0)
        assert exact(http.get(f"/bills/{order['bill_id']}"))["total"] == expected


def test_a_document_whose_order_goes_settles_no_other(race_url: str, http: httpx.Client, goods: Goods) -> None:
    orders = placed(http, goods, advanced=False)
    other = {"client_id": goods.client_id, "delivery_method": 1}
    calls = [
        call
        for order in orders
        for call in (
            Call("DELETE", f"/orders/{order['id_key']}"),
            Call("POST", "/orders", {**other, "bill_id": order["bill_id"]}),
        )
    ]
    outcomes = send_together(race_url, calls)
    assert statuses(outcomes[::2]) == [204] * ORDERS
    assert statuses(outcomes[1::2]) == [409] * ORDERS


def test_a_bill_of_nobody_becomes_that_of_one_client(race_url: str, http: httpx.Client, goods: Goods) -> None:
    bill = goods.bill()["id_key"]
    clients = [goods.client() for _ in range(6)]
    takes = [Call("POST", "/orders", {"client_id": key, "bill_id": bill, "delivery_method": 1}) for key in clients]
    gives = [Call("PATCH", f"/bills/{bill}", {"client_id": key}) for key in clients]
    send_together(race_url, takes + gives)
    orders = http.get("/orders", params={"bill_id": bill}).json()
    owner = http.get(f"/bills/{bill}").json()["client_id"]
    assert owner in clients
    assert [order["client_id"] for order in orders] in ([owner], [])
