"""Payments: never more than is open, never more back than came in, and what bills and orders say of them."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import get_settings
from tests.builders import a_bill, a_client, a_product, an_order
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


def test_no_total_falls_below_what_was_paid(client: httpx.Client) -> None:
    """Money goes back by credit bills alone: who has paid cancels, or gives goods back."""
    order = placed(client)
    bill, (detail, *_) = f"/bills/{order['bill_id']}", order["order_details"]
    assert paid(client, order["bill_id"], order["to_pay"]).status_code == 201
    for method, path, body in (
        ("PATCH", f"/order_details/{detail['id_key']}", {"quantity": 1}),
        ("DELETE", f"/order_details/{detail['id_key']}", None),
        ("PATCH", bill, {"discount": float(client.get(bill).json()["discount"]) + 1}),
    ):
        refused = assert_problem(client.request(method, path, json=body), 409)
        assert refused["code"] == "payment_exceeds_total"
    # More may be ordered, and what is not paid of it may be taken away again.
    assert client.patch(f"/order_details/{detail['id_key']}", json={"quantity": 9}).status_code == 200
    shown, _ = agreed(client, order["id_key"])
    assert (shown["paid"], shown["payment_status"]) == (order["to_pay"], "partly_paid")
    quantity = {"quantity": detail["quantity"]}
    assert client.patch(f"/order_details/{detail['id_key']}", json=quantity).status_code == 200
    assert client.post(f"/orders/{order['id_key']}/cancel").status_code == 200
    (credit,) = client.get("/bills", params={"refunds_bill_id": order["bill_id"]}).json()
    assert paid(client, credit["id_key"], order["to_pay"]).status_code == 201


def test_a_bill_that_was_paid_keeps_its_order_until_that_is_canceled(client: httpx.Client) -> None:
    bill = a_bill(client, total=20, discount=0)
    assert paid(client, bill["id_key"], 5).status_code == 201
    assert_problem(client.patch(f"/bills/{bill['id_key']}", json={"total": 4.99}), 409)
    order = an_order(client, bill_id=bill["id_key"])
    refused = assert_problem(client.delete(f"/orders/{order['id_key']}"), 409)
    assert refused["code"] == "payment_exceeds_total"
    assert client.post(f"/orders/{order['id_key']}/cancel").status_code == 200
    assert client.delete(f"/orders/{order['id_key']}").status_code == 204


@pytest.fixture
def paying_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PAY_ON_CHECKOUT", "true")
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.mark.usefixtures("paying_at_once")
@pytest.mark.parametrize("method", ["cash", "card"])
def test_a_checkout_may_be_paid_at_once(client: httpx.Client, method: str) -> None:
    order = placed(client, discount=2.5, payment_type=method)
    assert (order["paid"], order["payment_status"]) == (27.5, "paid")
    shown, _ = agreed(client, order["id_key"])
    assert {name: order[name] for name in shown} == shown
    (payment,) = client.get(f"/bills/{order['bill_id']}/payments").json()
    assert (payment["amount"], payment["method"], payment["reference"]) == (27.5, method, None)
    assert paid(client, order["bill_id"], 0.01).status_code == 409
    assert client.post(f"/orders/{order['id_key']}/cancel").status_code == 200
    (credit,) = client.get("/bills", params={"refunds_bill_id": order["bill_id"]}).json()
    # The money is still to be given back.
    assert (credit["total"], credit["payment_status"]) == (27.5, "unpaid")
    assert paid(client, credit["id_key"], 27.5).status_code == 201


@pytest.mark.usefixtures("paying_at_once")
def test_nothing_is_booked_where_nothing_is_to_be_paid_or_nothing_is_sold(client: httpx.Client) -> None:
    order = placed(client, discount=30)
    assert (order["paid"], order["payment_status"]) == (0, "paid")
    assert client.get(f"/bills/{order['bill_id']}/payments").json() == []
    classic = an_order(client)
    assert client.get(f"/bills/{classic['bill_id']}/payments").json() == []
    before = client.get("/payments", params={"limit": 1}).headers["X-Total-Count"]
    line = {"product_id": order["order_details"][0]["product_id"], "quantity": 10_000}
    body = {"client_id": classic["client_id"], "lines": [line]}
    for path in ("/checkout", "/checkout/quote"):
        client.post(path, json={**body, "delivery_method": 1, "payment_type": "cash"})
    assert client.get("/payments", params={"limit": 1}).headers["X-Total-Count"] == before


@pytest.mark.usefixtures("paying_at_once")
def test_a_key_pays_once(client: httpx.Client) -> None:
    product = a_product(client, price=10)
    body = {
        "client_id": a_client(client)["id_key"],
        "delivery_method": 1,
        "payment_type": "card",
        "lines": [{"product_id": product["id_key"], "quantity": 1}],
    }
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first, again = (client.post("/checkout", json=body, headers=headers) for _ in range(2))
    assert first.json() == again.json()
    assert len(client.get(f"/bills/{first.json()['bill_id']}/payments").json()) == 1
