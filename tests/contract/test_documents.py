"""Documents: what was billed stays, what is undone is answered by a credit bill, and never more than was to be paid."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.builders import a_bill, a_client, a_product, an_address, an_order, unique
from tests.contract.answers import assert_problem, exact

pytestmark = pytest.mark.integration

Row = dict[str, Any]


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    """One that coverage sees: nothing else reaches all of these rules in the services."""
    return traced_client


class Shop:
    """The orders, bills and credit bills of one client."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.client_id = a_client(http)["id_key"]

    def bought(self, *prices: float, **fields: Any) -> Row:
        """The order of a checkout with a line at each of these prices."""
        products = [a_product(self.http, price=price) for price in prices]
        lines = [{"product_id": product["id_key"], "quantity": 2} for product in products]
        body = {"client_id": self.client_id, "delivery_method": 1, "payment_type": "card", "lines": lines, **fields}
        answer = self.http.post("/checkout", json=body)
        assert answer.status_code == 201, answer.text
        row: Row = answer.json()
        return row

    def classic(self, total: float = 20, **bill: Any) -> Row:
        """An order with a line of 2 · 9.99 and a bill that the client numbered."""
        order = an_order(self.http, client_id=self.client_id, bill_id=a_bill(self.http, total=total, **bill)["id_key"])
        line = {"order_id": order["id_key"], "product_id": a_product(self.http)["id_key"], "quantity": 2}
        assert self.http.post("/order_details", json=line).status_code == 201
        row: Row = self.http.get(f"/orders/{order['id_key']}", params={"expand": "order_details,bill"}).json()
        return row

    def moved(self, order: Row, *moves: str) -> Row:
        for move in moves:
            assert self.http.post(f"/orders/{order['id_key']}/{move}").status_code == 200
        return order

    def returned(self, order: Row, line: int = 0, quantity: int = 2) -> Row:
        lines = [{"order_detail_id": order["order_details"][line]["id_key"], "quantity": quantity}]
        answer = self.http.post(f"/orders/{order['id_key']}/returns", json={"lines": lines})
        assert answer.status_code == 201, answer.text
        row: Row = exact(answer)
        return row

    def bill(self, order: Row) -> Row:
        row: Row = exact(self.http.get(f"/bills/{order['bill_id']}"))
        return row

    def credits(self, order: Row) -> list[Row]:
        rows: list[Row] = exact(self.http.get("/bills", params={"refunds_bill_id": order["bill_id"]}))
        return rows

    def earned(self) -> Decimal:
        """Sale bills less credit bills of the client."""
        bills = exact(self.http.get("/bills", params={"client_id": self.client_id, "limit": 1000}))
        return sum((bill["total"] if bill["kind"] == "sale" else -bill["total"] for bill in bills), Decimal(0))


@pytest.fixture
def shop(client: httpx.Client) -> Shop:
    return Shop(client)


def assert_unchanged(after: Row, before: Row) -> None:
    """The bill says what it said, but for what was given back of it."""
    moving = {"refunded": 0, "payment_status": None, "updated_at": 0}
    assert {**after, **moving} == {**before, **moving}


CANCELING: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "cancel": lambda http, order: http.post(f"{order}/cancel"),
    "put": lambda http, order: http.put(order, json={"status": 4}),
    "patch": lambda http, order: http.patch(order, json={"status": "CANCELED"}),
}


class TestCancellation:
    @pytest.mark.parametrize("way", CANCELING)
    @pytest.mark.parametrize("moves", [(), ("advance",)], ids=["pending", "in_progress"])
    def test_makes_a_credit_bill_over_all_of_it(self, shop: Shop, way: str, moves: tuple[str, ...]) -> None:
        order = shop.moved(shop.bought(39.95), *moves)
        sale = shop.bill(order)
        for _ in range(2):
            assert CANCELING[way](shop.http, f"/orders/{order['id_key']}").status_code == 200
        (credit,) = shop.credits(order)
        assert (credit["total"], credit["reason"], credit["kind"]) == (Decimal("79.90"), "canceled", "credit")
        assert (credit["client_id"], credit["payment_type"]) == (shop.client_id, sale["payment_type"])
        assert credit["bill_number"].startswith("CREDIT-")
        assert_unchanged(shop.bill(order), sale)
        assert shop.bill(order)["refunded"] == sale["total"] == Decimal("79.90")
        assert shop.earned() == 0

    def test_of_a_bill_that_the_client_numbered_does_so_too(self, shop: Shop) -> None:
        order = shop.moved(shop.classic(), "cancel")
        assert [(row["total"], row["reason"]) for row in shop.credits(order)] == [(Decimal("19.98"), "canceled")]
        assert shop.earned() == 0

    def test_of_an_order_without_lines_gives_back_what_its_bill_says(self, shop: Shop) -> None:
        bill = a_bill(shop.http, total=20)
        order = an_order(shop.http, client_id=shop.client_id, bill_id=bill["id_key"])
        shop.moved(order, "cancel")
        assert [row["total"] for row in shop.credits(order)] == [20]

    def test_of_a_bill_at_nothing_makes_none(self, shop: Shop) -> None:
        order = shop.moved(shop.bought(10, discount=20), "cancel")
        assert shop.bill(order)["total"] == 0
        assert shop.credits(order) == []

    def test_with_another_bill_at_once_gives_back_that_one(self, shop: Shop) -> None:
        first, second = a_bill(shop.http, total=20), a_bill(shop.http, total=30)
        order = an_order(shop.http, client_id=shop.client_id, bill_id=first["id_key"])
        change = {"bill_id": second["id_key"], "status": 4}
        assert shop.http.patch(f"/orders/{order['id_key']}", json=change).status_code == 200
        assert shop.credits({"bill_id": first["id_key"]}) == []
        assert [row["total"] for row in shop.credits({"bill_id": second["id_key"]})] == [30]


class TestDeletion:
    @pytest.mark.parametrize("moves", [(), ("advance",)], ids=["pending", "in_progress"])
    @pytest.mark.parametrize("number", [{}, {"bill_number": "own"}], ids=["numbered", "checkout"])
    def test_of_an_order_with_a_document_is_answered(
        self, shop: Shop, moves: tuple[str, ...], number: dict[str, str]
    ) -> None:
        own = {name: unique("INV") for name in number}
        order = shop.moved(shop.bought(39.95, **own), *moves)
        sale = shop.bill(order)
        assert shop.http.delete(f"/orders/{order['id_key']}").status_code == 204
        (credit,) = shop.credits(order)
        assert (credit["total"], credit["reason"]) == (Decimal("79.90"), "deleted")
        assert credit["client_id"] == shop.client_id
        assert_unchanged(shop.bill(order), sale)
        assert shop.earned() == 0
        for change in (
            {"total": 1},
            {"discount": 1},
            {"client_id": None},
            {"date": "2020-01-01"},
            {"bill_number": "X"},
        ):
            answer = shop.http.patch(f"/bills/{sale['id_key']}", json=change)
            assert assert_problem(answer, 409)["code"] == "document_fixed"
        for bill in (sale, credit):
            assert assert_problem(shop.http.delete(f"/bills/{bill['id_key']}"), 409)["code"] == "document_fixed"
        again = {"client_id": shop.client_id, "bill_id": sale["id_key"], "delivery_method": 1}
        assert assert_problem(shop.http.post("/orders", json=again), 409)["code"] == "document_fixed"

    def test_of_a_document_at_nothing_makes_no_credit_bill_and_fixes_it(self, shop: Shop) -> None:
        order = shop.bought(10, discount=20, bill_number=unique("INV"))
        assert shop.http.delete(f"/orders/{order['id_key']}").status_code == 204
        assert shop.credits(order) == []
        bill = f"/bills/{order['bill_id']}"
        assert assert_problem(shop.http.patch(bill, json={"total": 5}), 409)["code"] == "document_fixed"
        assert assert_problem(shop.http.delete(bill), 409)["code"] == "document_fixed"

    def test_of_a_canceled_order_gives_nothing_back_again(self, shop: Shop) -> None:
        order = shop.moved(shop.bought(39.95), "cancel")
        sale = shop.bill(order)
        assert shop.http.delete(f"/orders/{order['id_key']}").status_code == 204
        assert len(shop.credits(order)) == 1
        assert_unchanged(shop.bill(order), sale)

    def test_sets_a_bill_that_the_client_numbered_to_nothing(self, shop: Shop) -> None:
        order = shop.classic()
        assert shop.http.delete(f"/orders/{order['id_key']}").status_code == 204
        assert (shop.bill(order)["total"], shop.credits(order)) == (0, [])
        assert shop.http.delete(f"/bills/{order['bill_id']}").status_code == 204

    def test_leaves_a_bill_that_was_refunded_and_its_credit_bill(self, shop: Shop) -> None:
        order = shop.moved(shop.classic(), "cancel")
        assert shop.http.delete(f"/orders/{order['id_key']}").status_code == 204
        bill = shop.bill(order)
        assert bill["total"] == bill["refunded"] == Decimal("19.98")
        answer = shop.http.patch(f"/bills/{bill['id_key']}", json={"total": 1})
        assert assert_problem(answer, 409)["code"] == "refund_exceeds_payment"
        assert_problem(shop.http.delete(f"/bills/{bill['id_key']}"), 409)


class TestFixed:
    def test_a_refund_never_exceeds_the_payment(self, shop: Shop) -> None:
        order = shop.bought(5, 45, discount=50)
        shop.moved(order, "advance")
        assert shop.returned(order)["total"] == 5
        other = f"/order_details/{order['order_details'][1]['id_key']}"
        answers = [
            shop.http.delete(other),
            shop.http.patch(other, json={"quantity": 1}),
            shop.http.patch(other, json={"product_id": a_product(shop.http, price=1)["id_key"]}),
            shop.http.patch(f"/bills/{order['bill_id']}", json={"discount": 98}),
        ]
        assert [assert_problem(answer, 409)["code"] for answer in answers] == ["document_fixed"] * 4

    @pytest.mark.parametrize("moves", [("advance",), ("advance", "advance"), ("cancel",)], ids=len)
    def test_before_any_other_rule(self, shop: Shop, moves: tuple[str, ...]) -> None:
        order = shop.moved(shop.bought(10), *moves)
        detail = f"/order_details/{order['order_details'][0]['id_key']}"
        new = {"order_id": order["id_key"], "product_id": 2**60, "quantity": 1}
        bill = shop.bill(order)
        answers = [
            shop.http.post("/order_details", json=new),
            shop.http.put(detail, json={"order_id": 2**60, "quantity": 10_000}),
            shop.http.patch(detail, json={"price": 3}),
            shop.http.delete(detail),
            *(
                shop.http.patch(f"/bills/{order['bill_id']}", json=change)
                for change in (
                    {"discount": 1},
                    {"total": 1},
                    {"bill_number": "BILL-2020-000001"},
                    {"client_id": 2**60},
                    {"date": "2020-01-01", "payment_type": "cash"},
                )
            ),
            shop.http.delete(f"/bills/{order['bill_id']}"),
        ]
        assert [assert_problem(answer, 409)["code"] for answer in answers] == ["document_fixed"] * len(answers)
        assert shop.bill(order) == bill
        # What was read and is put back is no change.
        assert shop.http.put(
            f"/bills/{order['bill_id']}", json=shop.http.get(f"/bills/{bill['id_key']}").json()
        ).is_success

    def test_not_while_the_order_is_pending(self, shop: Shop) -> None:
        order = shop.bought(10, bill_number=unique("INV"))
        detail = f"/order_details/{order['order_details'][0]['id_key']}"
        assert shop.http.patch(detail, json={"quantity": 3}).status_code == 200
        assert shop.http.patch(f"/bills/{order['bill_id']}", json={"discount": 5}).status_code == 200
        assert shop.bill(order)["total"] == 25

    def test_a_bill_that_the_client_numbered_changes_down_to_what_was_refunded(self, shop: Shop) -> None:
        order = shop.moved(shop.classic(), "advance")
        line = {"order_id": order["id_key"], "product_id": a_product(shop.http, price=10)["id_key"], "quantity": 2}
        added = shop.http.post("/order_details", json=line).json()
        assert shop.returned(order)["total"] == Decimal("19.98")
        detail, bill = f"/order_details/{added['id_key']}", f"/bills/{order['bill_id']}"
        assert shop.http.patch(bill, json={"discount": 20}).status_code == 200
        cheaper = a_product(shop.http, price=1)["id_key"]
        answers = [
            shop.http.patch(bill, json={"discount": 20.01}),
            shop.http.patch(detail, json={"quantity": 1}),
            shop.http.patch(detail, json={"product_id": cheaper}),
            shop.http.delete(detail),
        ]
        assert [assert_problem(answer, 409)["code"] for answer in answers] == ["refund_exceeds_payment"] * 4
        assert shop.http.patch(detail, json={"quantity": 3}).status_code == 200
        assert shop.bill(order)["total"] == Decimal("29.98")


class TestOneClient:
    def test_of_an_order_and_its_bill(self, shop: Shop) -> None:
        other = a_client(shop.http)["id_key"]
        foreign, nobodys = a_bill(shop.http, client_id=other), a_bill(shop.http)
        body = {"client_id": shop.client_id, "delivery_method": 1}
        answer = shop.http.post("/orders", json={**body, "bill_id": foreign["id_key"]})
        assert assert_problem(answer, 409)["code"] == "client_mismatch"
        order = shop.http.post("/orders", json={**body, "bill_id": nobodys["id_key"]}).json()
        assert shop.bill(order)["client_id"] == shop.client_id
        url = f"/orders/{order['id_key']}"
        for answer in (
            shop.http.patch(url, json={"bill_id": foreign["id_key"]}),
            shop.http.patch(url, json={"client_id": other}),
            shop.http.patch(f"/bills/{nobodys['id_key']}", json={"client_id": other}),
            shop.http.patch(f"/bills/{nobodys['id_key']}", json={"client_id": None}),
        ):
            assert assert_problem(answer, 409)["code"] == "client_mismatch"
        both = {"client_id": other, "bill_id": foreign["id_key"]}
        assert shop.http.patch(url, json=both).status_code == 200

    def test_of_a_bill_and_its_credit_bills(self, shop: Shop) -> None:
        order = shop.moved(shop.classic(), "cancel")
        assert shop.http.delete(f"/orders/{order['id_key']}").status_code == 204
        change = {"client_id": a_client(shop.http)["id_key"]}
        answer = shop.http.patch(f"/bills/{order['bill_id']}", json=change)
        assert assert_problem(answer, 409)["code"] == "client_mismatch"

    def test_of_an_address_for_ever(self, shop: Shop) -> None:
        address = an_address(shop.http, client_id=shop.client_id)
        change = {"client_id": a_client(shop.http)["id_key"]}
        assert_problem(shop.http.patch(f"/addresses/{address['id_key']}", json=change), 409)
        assert shop.http.put(f"/addresses/{address['id_key']}", json=address).json() == address

    def test_with_orders_or_bills_stays(self, shop: Shop) -> None:
        with_bill = a_bill(shop.http, client_id=shop.client_id)["client_id"]
        order = Shop(shop.http).classic()
        for key in (with_bill, order["client_id"]):
            assert_problem(shop.http.delete(f"/clients/{key}"), 409)
            assert_problem(shop.http.post("/clients/bulk_delete", json=[{"id_key": key}]), 409)


class TestOnItsWay:
    @pytest.mark.parametrize("total", [0, 123456])
    def test_an_order_without_lines_goes_nowhere_but_away(self, shop: Shop, total: float) -> None:
        order = an_order(shop.http, client_id=shop.client_id, total=total)
        url = f"/orders/{order['id_key']}"
        for answer in (
            shop.http.post(f"{url}/advance"),
            shop.http.put(url, json={"status": 2}),
            shop.http.patch(url, json={"status": "IN_PROGRESS", "delivery_method": 2}),
        ):
            assert assert_problem(answer, 409)["code"] == "order_is_empty"
        assert shop.http.post(f"{url}/cancel").status_code == 200

    def test_nor_one_whose_lines_were_deleted_on_its_way(self, shop: Shop) -> None:
        order = shop.moved(shop.classic(), "advance")
        assert shop.http.delete(f"/order_details/{order['order_details'][0]['id_key']}").status_code == 204
        answer = shop.http.post(f"/orders/{order['id_key']}/advance")
        assert assert_problem(answer, 409)["code"] == "order_is_empty"

    @pytest.mark.parametrize("moves", [("advance",), ("advance", "advance"), ("cancel",)], ids=len)
    def test_where_when_and_whose_it_is_is_fixed(self, shop: Shop, moves: tuple[str, ...]) -> None:
        address = an_address(shop.http, client_id=shop.client_id)["id_key"]
        bill = a_bill(shop.http, client_id=shop.client_id)["id_key"]
        for order in (shop.bought(10), shop.classic()):
            url = f"/orders/{shop.moved(order, *moves)['id_key']}"
            before = shop.http.get(url).json()
            for change in (
                {"date": "2020-01-01T00:00:00Z"},
                {"delivery_method": 2},
                {"address_id": address},
                {"client_id": a_client(shop.http)["id_key"]},
                {"bill_id": bill},
            ):
                assert_problem(shop.http.patch(url, json=change), 409)
            assert shop.http.put(url, json=before).json() == before

    def test_what_changes_with_the_status_changes(self, shop: Shop) -> None:
        order = shop.classic()
        change = {"status": 2, "delivery_method": 3}
        assert shop.http.patch(f"/orders/{order['id_key']}", json=change).status_code == 200

    def test_the_deletion_of_its_address_moves_its_version(self, shop: Shop) -> None:
        address = an_address(shop.http, client_id=shop.client_id)["id_key"]
        order = shop.moved(shop.bought(10, delivery_method=3, address_id=address), "advance")
        before = shop.http.get(f"/orders/{order['id_key']}").json()
        assert shop.http.delete(f"/addresses/{address}").status_code == 204
        after = shop.http.get(f"/orders/{order['id_key']}").json()
        assert after["address_id"] is None
        assert after["updated_at"] > before["updated_at"]


def test_a_product_that_was_ever_sold_stays(shop: Shop) -> None:
    order = shop.bought(10)
    detail = order["order_details"][0]
    assert shop.http.delete(f"/order_details/{detail['id_key']}").status_code == 204
    product = f"/products/{detail['product_id']}"
    ledger = shop.http.get(f"{product}/stock_movements").json()
    assert assert_problem(shop.http.delete(product), 409)["code"] == "product_has_sales"
    bulk = shop.http.post("/products/bulk_delete", json=[{"id_key": detail["product_id"]}])
    assert assert_problem(bulk, 409)["code"] == "product_has_sales"
    assert shop.http.get(f"{product}/stock_movements").json() == ledger
    assert [row["delta"] for row in ledger] == [100, -2, 2]
