"""Rules 1 and 6, and what the fields say: references, uniqueness, deletions, the numbers of bills."""

import datetime as dt
import re
from typing import Any

import httpx
import pytest

from tests.builders import (
    Builder,
    Row,
    a_bill,
    a_category,
    a_client,
    a_product,
    a_review,
    an_address,
    an_order,
    an_order_detail,
    unique,
)
from tests.contract.answers import assert_malformed, assert_problem

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    """One that coverage sees: nothing else reaches all of these rules in the services."""
    return traced_client


class TestUnique:
    # E-mail has rules of its own (test_fields.py), and so has the bill of an order (test_order_status.py).
    FIELDS = [(a_category, "name"), (a_product, "sku"), (a_bill, "bill_number"), (a_client, "email")]
    each_field = pytest.mark.parametrize(("resource", "name"), FIELDS, ids=[field[1] for field in FIELDS])

    @each_field
    def test_a_value_that_another_row_has(self, client: httpx.Client, resource: Builder, name: str) -> None:
        taken, other = resource(client), resource(client)
        message = f"{resource.thing} with {name} '{taken[name]}' already exists"
        body = resource.body(client, **{name: taken[name]})
        assert assert_problem(client.post(resource.path, json=body), 409, message)["code"] == "already_exists"
        url = f"{resource.path}/{other['id_key']}"
        assert_problem(client.put(url, json={name: taken[name]}), 409, message)
        assert client.get(url).json() == other

    @each_field
    def test_its_own_value_is_in_nobodys_way(self, client: httpx.Client, resource: Builder, name: str) -> None:
        row = resource(client)
        assert client.put(f"{resource.path}/{row['id_key']}", json={name: row[name]}).json() == row

    @each_field
    def test_is_free_again_after_a_deletion(self, client: httpx.Client, resource: Builder, name: str) -> None:
        row = resource(client)
        assert client.delete(f"{resource.path}/{row['id_key']}").status_code == 204
        assert resource(client, **{name: row[name]})["id_key"] != row["id_key"]

    def test_products_without_a_sku_are_many(self, client: httpx.Client) -> None:
        for sku in (None, "", "  "):
            assert not a_product(client, sku=sku)["sku"]


class TestDeletion:
    def gone(self, client: httpx.Client, path: str, row: Row) -> bool:
        return client.get(f"{path}/{row['id_key']}").status_code == 404

    def test_of_a_client_takes_its_addresses(self, client: httpx.Client) -> None:
        address = an_address(client)
        assert client.delete(f"/clients/{address['client_id']}").status_code == 204
        assert self.gone(client, "/addresses", address)

    def test_of_a_client_with_an_order_or_a_bill_is_refused(self, client: httpx.Client) -> None:
        for row in (an_order(client), a_bill(client, client_id=a_client(client)["id_key"])):
            address = an_address(client, client_id=row["client_id"])
            assert_problem(client.delete(f"/clients/{row['client_id']}"), 409)
            assert not self.gone(client, "/addresses", address)

    def test_of_a_category_with_products_is_refused(self, client: httpx.Client) -> None:
        product = a_product(client)
        url = f"/categories/{product['category_id']}"
        assert_problem(client.delete(url), 409)
        client.delete(f"/products/{product['id_key']}")
        assert client.delete(url).status_code == 204

    def test_of_a_product_takes_its_reviews(self, client: httpx.Client) -> None:
        review = a_review(client)
        assert client.delete(f"/products/{review['product_id']}").status_code == 204
        assert self.gone(client, "/reviews", review)

    def test_of_a_product_that_was_sold_is_refused(self, client: httpx.Client) -> None:
        detail = an_order_detail(client)
        product, order = detail["product_id"], f"/orders/{detail['order_id']}"
        message = (
            f"Cannot delete product {product}: product has associated sales history. "
            "Consider marking as inactive instead of deleting."
        )
        assert_problem(client.delete(f"/products/{product}"), 409, message)
        client.put(order, json={"status": 4})
        assert_problem(client.delete(f"/products/{product}"), 409, message)
        assert client.put(f"/products/{product}", json={"active": False}).status_code == 200

    def test_of_a_bill_that_an_order_points_to_is_refused(self, client: httpx.Client) -> None:
        order = an_order(client)
        url = f"/bills/{order['bill_id']}"
        assert_problem(client.delete(url), 409)
        client.delete(f"/orders/{order['id_key']}")
        assert client.delete(url).status_code == 204

    def test_of_a_bill_that_the_server_numbered_is_refused(self, client: httpx.Client) -> None:
        bill = numbered_bill(client)
        assert_problem(client.delete(f"/bills/{bill['id_key']}"), 409)

    def test_of_an_address_leaves_the_orders_that_went_there(self, client: httpx.Client) -> None:
        address = an_address(client)
        order = an_order(client, client_id=address["client_id"], address_id=address["id_key"])
        response = client.delete(f"/addresses/{address['id_key']}")
        assert response.status_code in (204, 409)
        shown = client.get(f"/orders/{order['id_key']}").json()["address_id"]
        assert shown == (None if response.status_code == 204 else address["id_key"])


def numbered_bill(client: httpx.Client, **fields: Any) -> Row:
    """A bill whose number the server gave."""
    body = a_bill.body(client, **fields)
    del body["bill_number"]
    response = client.post("/bills", json=body)
    assert response.status_code == 201, response.text
    row: Row = response.json()
    return row


class TestBillNumbers:
    def test_are_consecutive_within_the_year_of_the_servers_clock(self, client: httpx.Client) -> None:
        # The date of the bill is the client's to choose, and does not matter.
        numbers = [numbered_bill(client, date=date)["bill_number"] for date in ("2026-11-16", "1999-12-31")]
        matches = [re.fullmatch(r"BILL-(\d{4})-(\d{6,})", number) for number in numbers]
        first, second = (match for match in matches if match is not None)
        assert first[1] == second[1] == str(dt.datetime.now(dt.UTC).year)
        assert int(second[2]) == int(first[2]) + 1

    def test_leave_no_gap_when_a_bill_is_refused(self, client: httpx.Client) -> None:
        before = numbered_bill(client)["bill_number"]
        body = a_bill.body(client, client_id=10**12)
        del body["bill_number"]
        assert client.post("/bills", json=body).status_code == 404
        assert client.post("/bills", json=body | {"total": -1}).status_code == 422
        after = numbered_bill(client)["bill_number"]
        assert int(after.rpartition("-")[2]) == int(before.rpartition("-")[2]) + 1

    @pytest.mark.parametrize(
        "number", ["BILL-2026-000001", "CREDIT-2026-000001", "BILL-0000-000000", " BILL-2026-1234567 "]
    )
    def test_of_the_servers_form_are_the_servers_alone(self, client: httpx.Client, number: str) -> None:
        assert_malformed(client.post("/bills", json=a_bill.body(client, bill_number=number)), "body", "bill_number")
        url = f"/bills/{a_bill(client)['id_key']}"
        assert_malformed(client.put(url, json={"bill_number": number}), "body", "bill_number")
        lines = [{"product_id": a_product(client)["id_key"], "quantity": 1}]
        checkout = {
            "client_id": a_client(client)["id_key"],
            "delivery_method": 1,
            "payment_type": "card",
            "lines": lines,
        }
        response = client.post("/checkout", json=checkout | {"bill_number": number})
        assert_malformed(response, "body", "bill_number")

    @pytest.mark.parametrize("number", ["BILL-26-{}", "BILL-2026-12345", "XBILL-2026-000001", "INV {}"])
    def test_of_any_other_form_are_the_clients(self, client: httpx.Client, number: str) -> None:
        number = number.replace("{}", unique(""))
        bill = a_bill(client, bill_number=number)
        assert bill["bill_number"] == number
        assert client.delete(f"/bills/{bill['id_key']}").status_code == 204

    def test_are_taken_back_with_the_whole_bill(self, client: httpx.Client) -> None:
        bill = numbered_bill(client)
        changed = client.put(f"/bills/{bill['id_key']}", json=bill | {"payment_type": "cash"})
        assert changed.status_code == 200
        assert changed.json()["bill_number"] == bill["bill_number"]


def test_the_ledger_tells_every_movement_of_a_products_stock(client: httpx.Client) -> None:
    product = a_product(client, stock=10)
    url = f"/products/{product['id_key']}"
    detail = an_order_detail(client, product_id=product["id_key"], quantity=4)
    client.put(f"/order_details/{detail['id_key']}", json={"quantity": 6})
    client.put(f"/order_details/{detail['id_key']}", json={"quantity": 1})
    client.delete(f"/order_details/{detail['id_key']}")
    client.post(f"{url}/stock", json={"delta": 5, "reason": "receipt"})
    client.put(url, json={"stock": 7})
    ledger = client.get(f"{url}/stock_movements").json()
    assert [(entry["delta"], entry["reason"]) for entry in ledger] == [
        (10, "initial"),
        (-4, "sale"),
        (-2, "sale"),
        (5, "cancel"),
        (1, "cancel"),
        (5, "receipt"),
        (-8, "edit"),
    ]
    assert sum(entry["delta"] for entry in ledger) == client.get(url).json()["stock"] == 7


def test_read_only_fields_of_bills_and_orders_are_ignored(client: httpx.Client) -> None:
    bill = a_bill(client, kind="credit", refunds_bill_id=1)
    assert (bill["kind"], bill["refunds_bill_id"]) == ("sale", None)
    assert an_order(client, returned_total=7)["returned_total"] == 0
    detail = an_order_detail(client)
    expanded = client.get(f"/orders/{detail['order_id']}", params={"expand": "order_details,bill,client"}).json()
    assert client.put(f"/orders/{detail['order_id']}", json=expanded).status_code == 200
