"""Rules 2 to 4: stock is exact, prices are the shop's, totals are the server's."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.builders import Row, a_bill, a_product, an_order, an_order_detail
from tests.contract.answers import assert_malformed, assert_problem, exact

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    """One that coverage sees: nothing else reaches all of these rules in the services."""
    return traced_client


def get(client: httpx.Client, path: str, row_id: int) -> Row:
    row: Row = exact(client.get(f"{path}/{row_id}"))
    return row


def stock_of(client: httpx.Client, product: Row) -> int:
    stock: int = get(client, "/products", product["id_key"])["stock"]
    return stock


def totals_of(client: httpx.Client, order: Row) -> tuple[Decimal | int, Decimal | int]:
    """The total of the order and that of its bill, exactly."""
    bill = get(client, "/bills", order["bill_id"])
    return get(client, "/orders", order["id_key"])["total"], bill["total"]


def add(client: httpx.Client, order: Row, product: Row, quantity: int, **more: Any) -> httpx.Response:
    ids = {"order_id": order["id_key"], "product_id": product["id_key"]}
    return client.post("/order_details", json={**ids, "quantity": quantity, **more})


def put(client: httpx.Client, detail: Row, **changes: Any) -> httpx.Response:
    return client.put(f"/order_details/{detail['id_key']}", json=changes)


def insufficient(product: Row, requested: int, available: int) -> str:
    return f"Insufficient stock for product {product['id_key']}. Requested: {requested}, Available: {available}"


class TestStock:
    def test_is_taken_by_a_detail(self, client: httpx.Client) -> None:
        product = a_product(client, stock=10)
        assert add(client, an_order(client), product, 4).status_code == 201
        assert stock_of(client, product) == 6

    def test_may_be_taken_to_the_last_piece_and_no_further(self, client: httpx.Client) -> None:
        product, order = a_product(client, stock=3), an_order(client)
        body = assert_problem(add(client, order, product, 4), 400, insufficient(product, 4, 3))
        assert body["code"] == "insufficient_stock"
        assert stock_of(client, product) == 3
        assert client.get("/order_details", params={"order_id": order["id_key"]}).json() == []
        assert add(client, order, product, 3).status_code == 201
        assert_problem(add(client, order, product, 1), 400, insufficient(product, 1, 0))
        assert stock_of(client, product) == 0

    def test_follows_the_quantity(self, client: httpx.Client) -> None:
        product = a_product(client, stock=10)
        detail = add(client, an_order(client), product, 4).json()
        for quantity, left in ((7, 3), (10, 0), (1, 9), (1, 9)):
            assert put(client, detail, quantity=quantity).json()["quantity"] == quantity
            assert stock_of(client, product) == left
        response = put(client, detail, quantity=11)
        assert assert_problem(response, 400)["code"] == "insufficient_stock"
        assert get(client, "/order_details", detail["id_key"])["quantity"] == 1
        assert stock_of(client, product) == 9

    def test_follows_the_product(self, client: httpx.Client) -> None:
        old, new = a_product(client, stock=10), a_product(client, stock=10, price=5)
        detail = add(client, an_order(client), old, 4).json()
        changed = put(client, detail, product_id=new["id_key"], quantity=3).json()
        assert (changed["product_id"], changed["quantity"], changed["price"]) == (new["id_key"], 3, 5)
        assert (stock_of(client, old), stock_of(client, new)) == (10, 7)

    def test_stays_with_the_old_product_when_the_new_one_is_short(self, client: httpx.Client) -> None:
        old, new, order = a_product(client, stock=10), a_product(client, stock=3), an_order(client)
        detail = add(client, order, old, 4).json()
        before = totals_of(client, order)
        assert_problem(put(client, detail, product_id=new["id_key"]), 400, insufficient(new, 4, 3))
        assert (stock_of(client, old), stock_of(client, new)) == (6, 3)
        assert totals_of(client, order) == before
        assert get(client, "/order_details", detail["id_key"])["product_id"] == old["id_key"]

    def test_comes_back_with_the_deletion(self, client: httpx.Client) -> None:
        product, order = a_product(client, stock=10), an_order(client)
        detail = add(client, order, product, 4).json()
        assert client.delete(f"/order_details/{detail['id_key']}").status_code == 204
        assert stock_of(client, product) == 10

    def test_counts_two_details_of_one_product_together(self, client: httpx.Client) -> None:
        product, order = a_product(client, stock=5), an_order(client)
        assert add(client, order, product, 3).status_code == 201
        assert_problem(add(client, order, product, 3), 400, insufficient(product, 3, 2))
        assert add(client, order, product, 2).status_code == 201
        assert stock_of(client, product) == 0

    @pytest.mark.parametrize("quantity", [0, -1, 1_000_001, 10**12, 10**30, 1.5, "2", True, None])
    def test_a_quantity_that_is_none(self, client: httpx.Client, quantity: Any) -> None:
        detail = an_order_detail(client)
        for response in (
            client.post("/order_details", json={**detail, "quantity": quantity}),
            put(client, detail, quantity=quantity),
        ):
            assert_malformed(response, "body", "quantity")

    def test_an_inactive_product_is_not_sold(self, client: httpx.Client) -> None:
        product, other, order = a_product(client, active=False), a_product(client), an_order(client)
        message = f"Product {product['id_key']} is not available"
        assert_problem(add(client, order, product, 1), 400, message)
        detail = add(client, order, other, 1).json()
        assert_problem(put(client, detail, product_id=product["id_key"]), 400, message)
        assert stock_of(client, product) == product["stock"]


class TestPrice:
    def test_is_the_products_when_left_out(self, client: httpx.Client) -> None:
        product = a_product(client, price=19.99)
        assert add(client, an_order(client), product, 1).json()["price"] == 19.99

    def test_may_be_sent_when_it_is_right(self, client: httpx.Client) -> None:
        product = a_product(client, price=20)
        assert add(client, an_order(client), product, 1, price=20.00).status_code == 201

    def test_any_other_is_refused(self, client: httpx.Client) -> None:
        product, order = a_product(client, price=20), an_order(client)
        for price, shown in ((19.99, "19.99"), (0.01, "0.01"), (20.1, "20.10"), (100, "100.00")):
            message = f"Price mismatch. Expected 20.00, got {shown}"
            body = assert_problem(add(client, order, product, 1, price=price), 400, message)
            assert body["code"] == "price_mismatch"
        detail = add(client, order, product, 1).json()
        assert_problem(put(client, detail, price=1), 400, "Price mismatch. Expected 20.00, got 1.00")
        assert stock_of(client, product) == product["stock"] - 1

    def test_stays_when_the_product_gets_dearer(self, client: httpx.Client) -> None:
        product, order = a_product(client, price=20), an_order(client)
        detail = add(client, order, product, 1).json()
        client.put(f"/products/{product['id_key']}", json={"price": 25})
        assert get(client, "/order_details", detail["id_key"])["price"] == 20
        assert put(client, detail, price=20).status_code == 200
        assert put(client, detail, quantity=2).json()["price"] == 20
        assert totals_of(client, order) == (40, 40)

    def test_a_change_of_product_brings_the_new_one(self, client: httpx.Client) -> None:
        old, new, order = a_product(client, price=20), a_product(client, price=30), an_order(client)
        detail = add(client, order, old, 2).json()
        wrong = put(client, detail, product_id=new["id_key"], price=25)
        assert_problem(wrong, 400, "Price mismatch. Expected 30.00, got 25.00")
        # A row that was read whole still carries the old price: it is no change, so it is not compared.
        assert put(client, detail, **(detail | {"product_id": new["id_key"]})).json()["price"] == 30
        assert totals_of(client, order) == (60, 60)


class TestTotals:
    def order(self, client: httpx.Client, discount: float = 0) -> Row:
        """An order that claims 55.55, with a bill that claims 44.44."""
        bill = a_bill(client, total=44.44, discount=discount)
        return an_order(client, total=55.55, bill_id=bill["id_key"])

    def test_are_the_clients_before_the_first_detail(self, client: httpx.Client) -> None:
        order = self.order(client)
        assert totals_of(client, order) == (Decimal("55.55"), Decimal("44.44"))
        assert client.put(f"/orders/{order['id_key']}", json={"total": 66}).json()["total"] == 66
        assert client.put(f"/bills/{order['bill_id']}", json={"total": 33}).json()["total"] == 33

    def test_follow_every_change_of_the_details(self, client: httpx.Client) -> None:
        order = self.order(client, discount=5)
        cheap, dear = a_product(client, price=0.01), a_product(client, price=999.99)
        first = add(client, order, dear, 2).json()
        assert totals_of(client, order) == (Decimal("1999.98"), Decimal("1994.98"))
        second = add(client, order, cheap, 3).json()
        assert totals_of(client, order) == (Decimal("2000.01"), Decimal("1995.01"))
        put(client, first, quantity=1)
        assert totals_of(client, order) == (Decimal("1000.02"), Decimal("995.02"))
        put(client, first, product_id=cheap["id_key"])
        assert totals_of(client, order) == (Decimal("0.04"), 0)
        client.delete(f"/order_details/{second['id_key']}")
        assert totals_of(client, order) == (Decimal("0.01"), 0)
        client.delete(f"/order_details/{first['id_key']}")
        assert totals_of(client, order) == (0, 0)

    def test_the_bill_follows_its_discount(self, client: httpx.Client) -> None:
        order = self.order(client)
        add(client, order, a_product(client, price=10), 2)
        url = f"/bills/{order['bill_id']}"
        for discount, left in ((5, 15), (20, 0), (30, 0), (0.01, 19.99)):
            assert client.put(url, json={"discount": discount}).json()["total"] == left

    def test_another_total_is_refused_while_there_are_details(self, client: httpx.Client) -> None:
        order = self.order(client, discount=5)
        detail = add(client, order, a_product(client, price=10), 2).json()
        for path, row_id, right in (("/orders", order["id_key"], "20.00"), ("/bills", order["bill_id"], "15.00")):
            response = client.put(f"{path}/{row_id}", json={"total": 1.5})
            body = assert_problem(response, 400, f"Total mismatch. Expected {right}, got 1.50")
            assert body["code"] == "total_mismatch"
            assert client.put(f"{path}/{row_id}", json={"total": float(right)}).status_code == 200
        assert totals_of(client, order) == (20, 15)
        client.delete(f"/order_details/{detail['id_key']}")
        assert client.put(f"/orders/{order['id_key']}", json={"total": 1.5}).status_code == 200

    def test_a_sum_that_the_database_cannot_hold_is_refused(self, client: httpx.Client) -> None:
        product, order = a_product(client, price=9_999_999_999.99, stock=10), an_order(client)
        assert_problem(add(client, order, product, 2), 400)
        detail = add(client, order, product, 1).json()
        assert_problem(put(client, detail, quantity=2), 400)
        assert_problem(add(client, order, a_product(client, price=0.01), 1), 400)
        assert_problem(add(client, order, product, 1), 400)
        assert stock_of(client, product) == 9
        assert totals_of(client, order) == (Decimal("9999999999.99"), Decimal("9999999999.99"))

    def test_hundreds_of_cents_add_up_exactly(self, client: httpx.Client) -> None:
        order = an_order(client)
        add(client, order, a_product(client, price=0.1, stock=1000), 999)
        add(client, order, a_product(client, price=0.07, stock=1000), 777)
        assert totals_of(client, order)[0] == Decimal("154.29")


class TestFixed:
    def test_a_detail_stays_with_its_order(self, client: httpx.Client) -> None:
        detail = an_order_detail(client)
        for order_id in (an_order(client)["id_key"], 10**30):
            assert_problem(put(client, detail, order_id=order_id), 409)
        assert put(client, detail, order_id=detail["order_id"]).status_code == 200

    def test_an_order_with_details_stays_with_its_client_and_its_bill(self, client: httpx.Client) -> None:
        order = an_order(client)
        other = an_order(client)
        url = f"/orders/{order['id_key']}"
        add(client, order, a_product(client), 1)
        assert_problem(client.put(url, json={"client_id": other["client_id"]}), 409)
        assert_problem(client.put(url, json={"bill_id": a_bill(client)["id_key"]}), 409)
        same = {"client_id": order["client_id"], "bill_id": order["bill_id"]}
        assert client.put(url, json=same).status_code == 200

    def test_an_order_without_details_does_not(self, client: httpx.Client) -> None:
        order, bill = an_order(client), a_bill(client)
        response = client.put(f"/orders/{order['id_key']}", json={"bill_id": bill["id_key"]})
        assert response.json()["bill_id"] == bill["id_key"]
