"""Rule 5: the status of an order moves one way, and what that means for its details, its bill and the stock."""

from typing import NamedTuple

import httpx
import pytest

from tests.builders import Row, a_bill, a_client, a_product, an_address, an_order
from tests.contract.answers import assert_malformed, assert_problem

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    """One that coverage sees: nothing else reaches all of these rules in the services."""
    return traced_client


NAMES = {1: "PENDING", 2: "IN_PROGRESS", 3: "DELIVERED", 4: "CANCELED"}
WAYS = {1: [], 2: [2], 3: [2, 3], 4: [4]}
MOVES = {1: {2, 4}, 2: {3, 4}, 3: set[int](), 4: set[int]()}


class Sale(NamedTuple):
    """An order of four pieces of a product that had ten."""

    order: str
    detail: Row
    product: str
    bill: str

    def stock(self, client: httpx.Client) -> int:
        stock: int = client.get(self.product).json()["stock"]
        return stock


def a_sale(client: httpx.Client, status: int) -> Sale:
    product, order = a_product(client, stock=10), an_order(client)
    detail = {"order_id": order["id_key"], "product_id": product["id_key"], "quantity": 4}
    sold: Row = client.post("/order_details", json=detail).json()
    url = f"/orders/{order['id_key']}"
    for step in WAYS[status]:
        assert client.put(url, json={"status": step}).status_code == 200
    return Sale(url, sold, f"/products/{product['id_key']}", f"/bills/{order['bill_id']}")


@pytest.mark.parametrize("new", NAMES, ids=list(NAMES.values()))
@pytest.mark.parametrize("old", NAMES, ids=list(NAMES.values()))
def test_every_move(client: httpx.Client, old: int, new: int) -> None:
    sale = a_sale(client, old)
    before = client.get(sale.order).json()
    response = client.put(sale.order, json={"status": new})
    if new == old:
        assert response.status_code == 200
        assert response.json() == before
    elif new in MOVES[old]:
        assert response.status_code == 200
        assert response.json()["status"] == new
        assert sale.stock(client) == (10 if new == 4 else 6)
    else:
        message = f"Order {before['id_key']} cannot go from {NAMES[old]} to {NAMES[new]}"
        assert_problem(response, 409, message)
        assert client.get(sale.order).json() == before


@pytest.mark.parametrize("old", NAMES, ids=list(NAMES.values()))
def test_advance_and_cancel(client: httpx.Client, old: int) -> None:
    advanced = a_sale(client, old)
    response = client.post(f"{advanced.order}/advance")
    if old in (1, 2):
        assert response.status_code == 200
        assert response.json()["status"] == old + 1
    else:
        assert_problem(response, 409)
    canceled = a_sale(client, old)
    response = client.post(f"{canceled.order}/cancel")
    if old == 3:
        assert_problem(response, 409)
    else:
        assert response.status_code == 200
        assert response.json()["status"] == 4
        assert canceled.stock(client) == 10


def test_an_order_starts_as_pending(client: httpx.Client) -> None:
    for status in (2, 3, 4):
        assert_problem(client.post("/orders", json=an_order.body(client, status=status)), 409)
    assert_malformed(client.post("/orders", json=an_order.body(client, status=5)), "body", "status")


def test_canceling_returns_the_stock_once_and_keeps_the_details(client: httpx.Client) -> None:
    sale = a_sale(client, 2)
    total = client.get(sale.order).json()["total"]
    for _ in range(2):
        assert client.put(sale.order, json={"status": 4}).status_code == 200
        assert client.post(f"{sale.order}/cancel").status_code == 200
    assert sale.stock(client) == 10
    assert client.get(f"/order_details/{sale.detail['id_key']}").json() == sale.detail
    assert client.get(sale.order).json()["total"] == total


@pytest.mark.parametrize("status", [3, 4])
def test_details_and_bill_of_a_closed_order_do_not_change(client: httpx.Client, status: int) -> None:
    sale = a_sale(client, status)
    stock, bill = sale.stock(client), client.get(sale.bill).json()
    detail = f"/order_details/{sale.detail['id_key']}"
    new = {"order_id": sale.detail["order_id"], "product_id": sale.detail["product_id"], "quantity": 1}
    assert_problem(client.post("/order_details", json=new), 409)
    assert_problem(client.put(detail, json={"quantity": 1}), 409)
    assert_problem(client.put(detail, json={"product_id": a_product(client)["id_key"]}), 409)
    assert_problem(client.delete(detail), 409)
    for change in ({"discount": 1}, {"payment_type": "cash"}, {"date": "2020-01-01"}, {"bill_number": "X"}):
        assert_problem(client.put(sale.bill, json=change), 409)
    # A row put back as it was read is no change.
    assert client.put(detail, json=sale.detail).status_code == 200
    assert client.put(sale.bill, json=bill).json() == bill
    assert client.get(sale.bill).json() == bill
    assert sale.stock(client) == stock


class TestDeletion:
    @pytest.mark.parametrize("status", [1, 2, 4])
    def test_takes_the_details_and_returns_their_stock(self, client: httpx.Client, status: int) -> None:
        sale = a_sale(client, status)
        assert client.delete(sale.order).status_code == 204
        assert sale.stock(client) == 10
        assert client.get(f"/order_details/{sale.detail['id_key']}").status_code == 404
        bill = client.get(sale.bill)
        assert bill.status_code == 200
        # The client numbered it. That of a canceled order has its credit bill.
        assert bill.json()["total"] == bill.json()["refunded"] == (39.96 if status == 4 else 0)

    def test_of_a_delivered_order_is_refused(self, client: httpx.Client) -> None:
        sale = a_sale(client, 3)
        assert_problem(client.delete(sale.order), 409)
        assert sale.stock(client) == 6
        assert client.get(sale.order).status_code == 200


class TestReturns:
    @pytest.fixture
    def sale(self, client: httpx.Client) -> Sale:
        """A sale on its way, of which one piece came back."""
        sale = a_sale(client, 2)
        lines = [{"order_detail_id": sale.detail["id_key"], "quantity": 1}]
        response = client.post(f"{sale.order}/returns", json={"lines": lines, "reason": "Broken"})
        assert response.status_code == 201, response.text
        return sale

    def test_an_order_with_returns_is_neither_canceled_nor_deleted(self, client: httpx.Client, sale: Sale) -> None:
        assert_problem(client.put(sale.order, json={"status": 4}), 409)
        assert_problem(client.post(f"{sale.order}/cancel"), 409)
        assert_problem(client.delete(sale.order), 409)
        assert sale.stock(client) == 7

    def test_a_returned_detail_does_not_change(self, client: httpx.Client, sale: Sale) -> None:
        detail = f"/order_details/{sale.detail['id_key']}"
        assert_problem(client.put(detail, json={"quantity": 8}), 409)
        assert_problem(client.delete(detail), 409)
        assert sale.stock(client) == 7

    def test_a_credit_bill_does_not_change(self, client: httpx.Client, sale: Sale) -> None:
        credit = client.get("/bills", params={"sort": "-id_key", "limit": 1}).json()[0]
        assert (credit["kind"], f"/bills/{credit['refunds_bill_id']}") == ("credit", sale.bill)
        of_bill = client.get("/bills", params={"refunds_bill_id": credit["refunds_bill_id"]})
        assert (of_bill.json(), of_bill.headers["X-Total-Count"]) == ([credit], "1")
        assert client.get("/bills", params={"refunds_bill_id": credit["id_key"]}).json() == []
        url = f"/bills/{credit['id_key']}"
        for change in ({"total": 1}, {"discount": 1}, {"payment_type": "cash"}, {"client_id": None}):
            assert_problem(client.put(url, json=change), 409)
        assert_problem(client.delete(url), 409)
        # By itself it has its lines, too.
        whole = client.get(url).json()
        assert (whole, len(whole["bill_lines"])) == (credit | {"bill_lines": whole["bill_lines"]}, 1)
        assert client.put(url, json=whole).json() == whole


class TestAddress:
    def test_is_one_of_the_clients(self, client: httpx.Client) -> None:
        owner = a_client(client)
        own, foreign = an_address(client, client_id=owner["id_key"]), an_address(client)
        order = an_order(client, client_id=owner["id_key"], address_id=own["id_key"])
        assert order["address_id"] == own["id_key"]
        body = an_order.body(client, client_id=owner["id_key"], address_id=foreign["id_key"])
        assert client.post("/orders", json=body).status_code in (400, 404)
        change = client.put(f"/orders/{order['id_key']}", json={"address_id": foreign["id_key"]})
        assert change.status_code in (400, 404)
        assert client.get(f"/orders/{order['id_key']}").json()["address_id"] == own["id_key"]

    def test_does_not_follow_to_another_client(self, client: httpx.Client) -> None:
        address = an_address(client)
        order = an_order(client, client_id=address["client_id"], address_id=address["id_key"])
        other = client.put(f"/orders/{order['id_key']}", json={"client_id": a_client(client)["id_key"]})
        assert other.status_code in (400, 404)
        both = {"client_id": a_client(client)["id_key"], "address_id": None}
        # Nor does its bill.
        assert_problem(client.put(f"/orders/{order['id_key']}", json=both), 409)
        elsewhere = both | {"bill_id": a_bill(client)["id_key"]}
        assert client.put(f"/orders/{order['id_key']}", json=elsewhere).status_code == 200


def test_a_bill_settles_one_order(client: httpx.Client) -> None:
    order, other = an_order(client), an_order(client)
    message = f"Order with bill_id '{order['bill_id']}' already exists"
    body = an_order.body(client, bill_id=order["bill_id"], client_id=order["client_id"])
    assert_problem(client.post("/orders", json=body), 409, message)
    change = {name: order[name] for name in ("bill_id", "client_id")}
    assert_problem(client.put(f"/orders/{other['id_key']}", json=change), 409, message)
    client.delete(f"/orders/{order['id_key']}")
    assert client.post("/orders", json=body).status_code == 201
    assert a_bill(client)["id_key"] != order["bill_id"]
