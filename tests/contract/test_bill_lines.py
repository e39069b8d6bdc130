"""Lines of bills: as sold, with their share of the discount, before and after the order is deleted; and what reports say."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.builders import a_bill, a_client, a_product, an_address, an_order
from tests.contract.answers import assert_problem, exact

pytestmark = pytest.mark.integration

Row = dict[str, Any]
DAY = "2033-07-07"
SOLD = ("order_detail_id", "product_id", "name", "sku", "quantity", "price", "tax_rate", "vat_category", "tax_included")


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    """One that coverage sees."""
    return traced_client


def bought(http: httpx.Client, *prices: float, quantity: int = 1, **fields: Any) -> Row:
    lines = [{"product_id": a_product(http, price=price)["id_key"], "quantity": quantity} for price in prices]
    body = {"client_id": a_client(http)["id_key"], "delivery_method": 1, "payment_type": "card", "lines": lines}
    answer = http.post("/checkout", json=body | fields)
    assert answer.status_code == 201, answer.text
    row: Row = exact(answer)
    return row


def a_return(http: httpx.Client, order: Row, *lines: int) -> Row:
    moved = http.post(f"/orders/{order['id_key']}/advance")
    assert moved.status_code == 200, moved.text
    returned = [{"order_detail_id": order["order_details"][line]["id_key"], "quantity": 1} for line in lines]
    answer = http.post(f"/orders/{order['id_key']}/returns", json={"lines": returned})
    assert answer.status_code == 201, answer.text
    row: Row = exact(answer)
    return row


def bill_of(http: httpx.Client, bill_id: int) -> Row:
    """The bill, whose lines are also listed by themselves, and add up to its total."""
    shown = exact(http.get(f"/bills/{bill_id}"))
    # One without lines is as lists show it.
    assert shown.get("bill_lines") != []
    bill: Row = {"bill_lines": [], **shown}
    listed = http.get(f"/bills/{bill_id}/lines")
    assert (exact(listed), listed.headers["X-Total-Count"]) == (bill["bill_lines"], str(len(bill["bill_lines"])))
    for line in bill["bill_lines"]:
        assert line["amount"] == line["quantity"] * line["price"] - line["discount"]
    if bill["bill_lines"]:
        assert sum(line["amount"] for line in bill["bill_lines"]) + bill["shipping"] == bill["total"]
    return bill


def credit_of(http: httpx.Client, bill_id: int) -> Row:
    (credit,) = http.get("/bills", params={"refunds_bill_id": bill_id}).json()
    return bill_of(http, credit["id_key"])


def report(http: httpx.Client, **params: Any) -> Row:
    answer = http.get("/reports/sales", params={"from": DAY, "to": DAY, **params})
    assert answer.status_code == 200, answer.text
    found: Row = exact(answer)
    return found


def test_a_bill_shows_its_lines_with_their_shares_of_the_discount(client: httpx.Client) -> None:
    order = bought(client, 10, 10, 10, discount=10)
    bill = bill_of(client, order["bill_id"])
    # The cent that is left over goes to the first line.
    assert [line["discount"] for line in bill["bill_lines"]] == [Decimal("3.34"), Decimal("3.33"), Decimal("3.33")]
    for line, detail in zip(bill["bill_lines"], order["order_details"], strict=True):
        assert {name: line[name] for name in SOLD[1:]} == {name: detail[name] for name in SOLD[1:]}
        assert line["order_detail_id"] == detail["id_key"]


def test_more_discount_than_the_goods_cost_is_shared_as_far_as_it_counts(client: httpx.Client) -> None:
    order = bought(client, 10, 30, discount=30)
    assert client.delete(f"/order_details/{order['order_details'][1]['id_key']}").status_code == 204
    (line,) = bill_of(client, order["bill_id"])["bill_lines"]
    assert (line["discount"], line["amount"]) == (10, 0)


def test_the_lines_follow_a_pending_order(client: httpx.Client) -> None:
    order = bought(client, 10, 20)
    before = client.get(f"/bills/{order['bill_id']}")
    other = a_product(client, price=10)
    detail = order["order_details"][0]["id_key"]
    assert client.patch(f"/order_details/{detail}", json={"product_id": other["id_key"]}).status_code == 200
    after = client.get(f"/bills/{order['bill_id']}", headers={"If-None-Match": before.headers["ETag"]})
    # The total is the same, and so is the version; the lines are not.
    assert (after.status_code, after.json()["total"]) == (200, before.json()["total"])
    assert after.json()["bill_lines"][0]["product_id"] == other["id_key"]
    bill_of(client, order["bill_id"])


def test_a_document_keeps_its_lines_when_its_order_is_deleted(client: httpx.Client) -> None:
    order = bought(client, 10, 90, quantity=2, discount=33.33)
    before = bill_of(client, order["bill_id"])
    product = order["order_details"][0]["product_id"]
    assert client.patch(f"/products/{product}", json={"name": "Renamed", "price": 1}).status_code == 200
    assert client.delete(f"/orders/{order['id_key']}").status_code == 204
    after = bill_of(client, order["bill_id"])
    assert after["bill_lines"] == before["bill_lines"]
    assert (after["total"], after["refunded"]) == (before["total"], before["total"])
    # The credit bill answers all of it.
    assert credit_of(client, order["bill_id"])["bill_lines"] == before["bill_lines"]
    assert_problem(client.delete(f"/products/{product}"), 409)


@pytest.mark.parametrize("is_document", [True, False])
def test_what_was_canceled_keeps_its_lines_when_it_is_deleted(client: httpx.Client, is_document: bool) -> None:
    if is_document:
        order = bought(client, 10, 90)
    else:
        order = an_order(client, bill_id=a_bill(client, total=20)["id_key"])
        line = {"order_id": order["id_key"], "product_id": a_product(client, price=10)["id_key"], "quantity": 2}
        assert client.post("/order_details", json=line).status_code == 201
    before = bill_of(client, order["bill_id"])
    assert before["bill_lines"]
    assert client.post(f"/orders/{order['id_key']}/cancel").status_code == 200
    assert client.delete(f"/orders/{order['id_key']}").status_code == 204
    assert bill_of(client, order["bill_id"])["bill_lines"] == before["bill_lines"]
    assert credit_of(client, order["bill_id"])["bill_lines"] == before["bill_lines"]


def test_a_bill_of_the_client_has_no_lines_without_its_order(client: httpx.Client) -> None:
    order = an_order(client, bill_id=a_bill(client, total=20)["id_key"])
    assert bill_of(client, order["bill_id"])["bill_lines"] == []
    line = {"order_id": order["id_key"], "product_id": a_product(client)["id_key"], "quantity": 2}
    assert client.post("/order_details", json=line).status_code == 201
    assert client.delete(f"/orders/{order['id_key']}").status_code == 204
    bill = bill_of(client, order["bill_id"])
    assert (bill["total"], bill["bill_lines"]) == (0, [])
    assert client.delete(f"/bills/{order['bill_id']}").status_code == 204


def test_the_credit_bill_of_a_return_has_the_lines_that_came_back(client: httpx.Client) -> None:
    order = bought(client, 10, 90, discount=50)
    credit = a_return(client, order, 0)
    (line,) = bill_of(client, credit["id_key"])["bill_lines"]
    assert (line["price"], line["quantity"], line["discount"], line["amount"]) == (10, 1, 5, 5)
    assert line["order_detail_id"] == order["order_details"][0]["id_key"]
    assert len(bill_of(client, order["bill_id"])["bill_lines"]) == 2


def test_a_bill_that_was_read_can_be_sent_back(client: httpx.Client) -> None:
    bill = bought(client, 10)["bill"]
    read = client.get(f"/bills/{bill['id_key']}")
    answer = client.put(f"/bills/{bill['id_key']}", json=read.json(), headers={"If-Match": read.headers["ETag"]})
    assert (answer.status_code, answer.json()) == (200, read.json())
    assert answer.headers["ETag"] == read.headers["ETag"]
    some = client.get(f"/bills/{bill['id_key']}", params={"fields": "total"}).json()
    assert some == {"id_key": bill["id_key"], "total": 10}


def test_lines_of_no_bill(client: httpx.Client) -> None:
    assert_problem(client.get("/bills/999999999/lines"), 404)


def test_a_document_keeps_how_it_was_paid(client: httpx.Client) -> None:
    order = bought(client, 10)
    url = f"/bills/{order['bill_id']}"
    assert client.patch(url, json={"payment_type": "cash"}).status_code == 200
    assert client.post(f"/orders/{order['id_key']}/advance").status_code == 200
    assert client.patch(url, json={"payment_type": "cash"}).status_code == 200
    refused = assert_problem(client.patch(url, json={"payment_type": "card"}), 409)
    assert refused["code"] == "document_fixed"


def test_reports_count_what_was_sold_by_deleted_orders(client: httpx.Client) -> None:
    buyer = a_client(client)["id_key"]
    address = an_address(client, client_id=buyer, country="PT")["id_key"]
    at = {"client_id": buyer, "address_id": address, "delivery_method": 3, "date": f"{DAY}T12:00:00Z"}
    order = bought(client, 10, 5.55, quantity=2, discount=1.11, **at)
    product = order["order_details"][0]["product_id"]

    def sold(group: str) -> list[Row]:
        rows: list[Row] = report(client, group=group)["rows"]
        return rows

    groups = ("country", "product", "client", "payment_type", "category")
    before = {group: sold(group) for group in groups}
    assert before["country"][0]["key"] == "PT"
    assert {row["key"]: row["units"] for row in before["product"]}[product] == 2
    assert client.delete(f"/orders/{order['id_key']}").status_code == 204
    assert {group: sold(group) for group in groups} == before
    # The credit bill is one of today, with all pieces and the country of the order.
    credit = credit_of(client, order["bill_id"])
    days = {"from": credit["date"], "to": credit["date"], "limit": 10_000}
    rows = {row["key"]: row for row in report(client, group="product", **days)["rows"]}
    assert (rows[product]["returned_units"], rows[product]["refunded"]) == (2, Decimal("19.29"))
    countries = {row["key"]: row for row in report(client, group="country", **days)["rows"]}
    assert countries["PT"]["refunded"] >= credit["total"]
