"""Payments: never more than is open, never more back than came in, and what bills and orders say of them."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import a_bill
from tests.contract.answers import assert_problem
from tests.contract.test_money_on_orders import agreed, placed

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    return traced_client


def paid(client: httpx.Client, bill_id: int, amount: Any, **given: Any) -> httpx.Response:
    return client.post(f"/bills/{bill_id}/payments", json={"amount": amount, "method": "card", **given})


def test_a_bill_is_paid_in_parts(client: httpx.Client) -> None:
    order = placed(client)
    bill = order["bill_id"]
    first = paid(client, bill, 10, reference=" RF18 ", paid_at="2026-11-16T10:00:00Z")
    assert first.status_code == 201
    assert first.headers["location"] == f"/payments/{first.json()['id_key']}"
    assert {**first.json(), "id_key": 0, "created_at": "", "updated_at": ""} == {
        "id_key": 0,
        "created_at": "",
        "updated_at": "",
        "bill_id": bill,
        "amount": 10,
        "method": "card",
        "reference": "RF18",
        "paid_at": "2026-11-16T10:00:00Z",
    }
    shown, tag = agreed(client, order["id_key"])
    assert (shown["paid"], shown["payment_status"]) == (10, "partly_paid")
    refused = assert_problem(
        paid(client, bill, 20.01), 409, f"Cannot book 20.01 for bill {bill}. At most 20.00 is open"
    )
    assert refused["code"] == "payment_exceeds_open"
    second = paid(client, bill, 20, method="TRANSFER")
    assert second.json()["method"] == "transfer"
    shown, changed = agreed(client, order["id_key"])
    assert (shown["paid"], shown["payment_status"], changed == tag) == (30, "paid", False)
    assert paid(client, bill, 0.01).status_code == 409
    listed = client.get(f"/bills/{bill}/payments").json()
    assert listed == [first.json(), second.json()]
    assert client.get(first.headers["location"]).json() == first.json()


def test_payments_are_never_changed(client: httpx.Client) -> None:
    bill = a_bill(client, total=5, discount=0)
    one = paid(client, bill["id_key"], 5).headers["location"]
    for method in ("PUT", "PATCH", "DELETE"):
        assert client.request(method, one, json={"amount": 1}).status_code == 405
    assert client.post("/payments", json={"amount": 1, "method": "cash"}).status_code == 405
    assert_problem(client.delete(f"/bills/{bill['id_key']}"), 409)


@pytest.mark.parametrize(
    "wrong", [{"amount": 0}, {"amount": -1}, {"amount": 1.001}, {"method": "gold"}, {"reference": "r" * 101}, {"x": 1}]
)
def test_bodies_are_checked(client: httpx.Client, wrong: dict[str, Any]) -> None:
    bill = a_bill(client, total=5, discount=0)["id_key"]
    body = {"amount": 1, "method": "cash", **wrong}
    assert client.post(f"/bills/{bill}/payments", json=body).status_code == 422
    assert client.get(f"/bills/{bill}").json()["payment_status"] == "unpaid"


def test_a_key_books_once(client: httpx.Client) -> None:
    bill = a_bill(client, total=5, discount=0)["id_key"]
    body, key = {"amount": 5, "method": "cash"}, {"Idempotency-Key": f"payment-{bill}"}
    answers = [client.post(f"/bills/{bill}/payments", json=body, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert client.get(f"/bills/{bill}").json()["paid"] == 5


def test_never_more_is_given_back_than_came_in(client: httpx.Client) -> None:
    order = placed(client)
    assert paid(client, order["bill_id"], 12).status_code == 201
    assert client.post(f"/orders/{order['id_key']}/advance").status_code == 200
    lines = [{"order_detail_id": order["order_details"][0]["id_key"], "quantity": 2}]
    credit = client.post(f"/orders/{order['id_key']}/returns", json={"lines": lines}).json()["id_key"]
    shown, _ = agreed(client, order["id_key"])
    # 12 of the 10 that are left of the bill are paid.
    assert (shown["net"], shown["payment_status"]) == (10, "paid")
    assert paid(client, order["bill_id"], 0.01).status_code == 409
    assert paid(client, credit, 12.01).json()["message"].endswith("At most 12.00 is open")
    assert paid(client, credit, 2).status_code == 201
    assert client.get(f"/bills/{credit}").json()["payment_status"] == "partly_paid"
    assert agreed(client, order["id_key"])[0]["paid"] == 12


def test_of_payments_at_once_one_is_booked(client: httpx.Client) -> None:
    bill = a_bill(client, total=5, discount=0)["id_key"]
    with ThreadPoolExecutor(6) as threads:
        codes = [answer.status_code for answer in threads.map(lambda _: paid(client, bill, 5), range(6))]
    assert sorted(codes) == [201] + [409] * 5
    assert client.get(f"/bills/{bill}").json()["paid"] == 5


def test_a_payment_beside_a_cancellation(client: httpx.Client) -> None:
    for _ in range(3):
        order = placed(client)
        with ThreadPoolExecutor(2) as threads:
            canceled = threads.submit(client.post, f"/orders/{order['id_key']}/cancel")
            booked = threads.submit(paid, client, order["bill_id"], 30)
            assert canceled.result().status_code == 200
            assert booked.result().status_code in (201, 409)
        shown, _ = agreed(client, order["id_key"])
        assert shown["paid"] == (30 if booked.result().status_code == 201 else 0)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.decimals("0.01", "40.00", places=2), min_size=1, max_size=6))
def test_the_sum_of_payments_is_what_is_paid(client: httpx.Client, amounts: list[Decimal]) -> None:
    bill = a_bill(client, total=60, discount=0)["id_key"]
    booked = Decimal(0)
    for amount in amounts:
        answer = paid(client, bill, float(amount))
        assert answer.status_code == (201 if booked + amount <= 60 else 409)
        booked += amount if answer.status_code == 201 else 0
        row = client.get(f"/bills/{bill}").json()
        assert Decimal(str(row["paid"])) == booked
        assert row["payment_status"] == ("unpaid" if not booked else "paid" if booked == 60 else "partly_paid")
    rows = client.get(f"/bills/{bill}/payments").json()
    assert sum(Decimal(str(row["amount"])) for row in rows) == booked
