"""Orders show what their bills say, from the moment that they have one, and whatever changes it."""

from typing import Any

import httpx
import pytest

from tests.builders import Row, a_bill, a_client, a_product, an_order

pytestmark = pytest.mark.integration

# Of an order, and of its bill.
SAME = {
    "discount": "discount",
    "shipping": "shipping",
    "tax_included": "tax",
    "to_pay": "total",
    "refunded": "refunded",
    "paid": "paid",
    "payment_status": "payment_status",
    "currency": "currency",
}


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    return traced_client


def placed(client: httpx.Client, price: float = 10, quantity: int = 3, **given: Any) -> Row:
    product = a_product(client, price=price, stock=100)
    order = {
        "client_id": a_client(client)["id_key"],
        "delivery_method": 1,
        "payment_type": "card",
        "lines": [{"product_id": product["id_key"], "quantity": quantity}],
        **given,
    }
    response = client.post("/checkout", json=order)
    assert response.status_code == 201
    row: Row = response.json()
    return row


def agreed(client: httpx.Client, order_id: int) -> tuple[Row, str]:
    """The order, which says the same as its bill, and its entity tag."""
    response = client.get(f"/orders/{order_id}")
    order: Row = response.json()
    bill = client.get(f"/bills/{order['bill_id']}").json()
    assert {name: order[name] for name in SAME} == {name: bill[of_bill] for name, of_bill in SAME.items()}
    assert order["net"] == pytest.approx(order["to_pay"] - order["refunded"])
    return order, response.headers["etag"]


def test_a_checkout_shows_what_a_get_shows(client: httpx.Client) -> None:
    answer = placed(client, discount=2.5)
    order, _ = agreed(client, answer["id_key"])
    assert {**answer, "order_details": None, "bill": None} == {**order, "order_details": None, "bill": None}
    assert (order["total"], order["discount"], order["to_pay"], order["net"]) == (30, 2.5, 27.5, 27.5)
    assert (order["shipping"], order["tax_included"], order["refunded"], order["paid"]) == (0, 0, 0, 0)
    assert order["payment_status"] == "unpaid"


def test_an_order_of_nothing_is_paid(client: httpx.Client) -> None:
    order, _ = agreed(client, placed(client, discount=30)["id_key"])
    assert (order["to_pay"], order["payment_status"]) == (0, "paid")


def test_an_order_shows_its_bill_before_it_has_a_line(client: httpx.Client) -> None:
    bill = a_bill(client, total=20, discount=5)
    made = an_order(client, bill_id=bill["id_key"], total=0)
    order, tag = agreed(client, made["id_key"])
    assert made == order
    assert order["to_pay"] == 20
    assert client.patch(f"/bills/{bill['id_key']}", json={"total": 7}).status_code == 200
    order, changed = agreed(client, made["id_key"])
    assert (order["to_pay"], changed == tag) == (7, False)
    other = a_bill(client, total=9, discount=0)
    moved = client.patch(f"/orders/{made['id_key']}", json={"bill_id": other["id_key"]})
    assert (moved.status_code, moved.json()) == (200, agreed(client, made["id_key"])[0])
    assert (moved.json()["to_pay"], moved.json()["discount"]) == (9, 0)


def test_lines_and_the_discount_are_carried_over(client: httpx.Client) -> None:
    made = an_order(client, bill_id=a_bill(client, total=20, discount=5)["id_key"], total=0)
    product = a_product(client, price=4, stock=10)
    line = {"order_id": made["id_key"], "product_id": product["id_key"], "quantity": 3}
    detail = client.post("/order_details", json=line).json()
    assert agreed(client, made["id_key"])[0]["to_pay"] == 7
    assert client.patch(f"/bills/{made['bill_id']}", json={"discount": 2}).status_code == 200
    assert agreed(client, made["id_key"])[0]["to_pay"] == 10
    assert client.patch(f"/order_details/{detail['id_key']}", json={"quantity": 2}).status_code == 200
    assert agreed(client, made["id_key"])[0]["to_pay"] == 6


def test_a_return_shows_what_is_left(client: httpx.Client) -> None:
    answer = placed(client, discount=3)
    assert client.post(f"/orders/{answer['id_key']}/advance").status_code == 200
    _, tag = agreed(client, answer["id_key"])
    lines = [{"order_detail_id": answer["order_details"][0]["id_key"], "quantity": 1}]
    assert client.post(f"/orders/{answer['id_key']}/returns", json={"lines": lines}).status_code == 201
    order, changed = agreed(client, answer["id_key"])
    assert (order["refunded"], order["returned_total"], order["net"], changed == tag) == (9, 9, 18, False)
    lines[0]["quantity"] = 2
    assert client.post(f"/orders/{answer['id_key']}/returns", json={"lines": lines}).status_code == 201
    order, _ = agreed(client, answer["id_key"])
    assert (order["net"], order["payment_status"]) == (0, "refunded")


def test_a_cancellation_answers_with_what_it_gave_back(client: httpx.Client) -> None:
    answer = placed(client)
    canceled = client.post(f"/orders/{answer['id_key']}/cancel")
    order, tag = agreed(client, answer["id_key"])
    assert (canceled.json(), canceled.headers["etag"]) == (order, tag)
    assert (order["refunded"], order["returned_total"], order["net"], order["payment_status"]) == (30, 0, 0, "refunded")


def test_bodies_may_send_back_what_they_read(client: httpx.Client) -> None:
    answer = placed(client)
    order, _ = agreed(client, answer["id_key"])
    assert client.put(f"/orders/{order['id_key']}", json=order).status_code == 200
    bill = client.get(f"/bills/{order['bill_id']}").json()
    assert client.put(f"/bills/{order['bill_id']}", json=bill).status_code == 200
