"""Returns are rows: the order that they are of, the money for each line, and what became of the goods."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.contract.answers import assert_malformed, assert_problem
from tests.race.databases import breaches
from tests.race.goods import Goods, exact

pytestmark = pytest.mark.integration

Json = dict[str, Any]


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    """One that coverage sees: nothing else reaches all of these rules in the services."""
    return traced_client


@pytest.fixture(scope="module")
def goods(client: httpx.Client) -> Goods:
    return Goods(client)


@pytest.fixture
def sound(database_url: str) -> Iterator[None]:
    """Nothing that the test has done breaks an invariant; rows that other tests have made by SQL may."""
    before = lasting_breaches(database_url)
    yield
    assert not lasting_breaches(database_url) - before


def lasting_breaches(database_url: str) -> set[str]:
    """But for connections, which may be in a transaction for a moment."""
    return {breach for breach in breaches(database_url) if not breach.startswith("connection ")}


def sold(goods: Goods, *lines: tuple[int, int], **fields: object) -> Json:
    """An order of these lines that is on its way."""
    order = goods.bought(*lines, **fields)
    assert goods.http.post(f"/orders/{order['id_key']}/advance").status_code == 200
    return order


def lines_of(order: Json, *quantities: int) -> list[Json]:
    """The body of a return of so many pieces of each line."""
    keys = [detail["id_key"] for detail in order["order_details"]]
    pairs = zip(keys, quantities, strict=True)
    return [{"order_detail_id": key, "quantity": quantity} for key, quantity in pairs if quantity]


def returned(client: httpx.Client, order: Json, *quantities: int, **fields: object) -> Json:
    """The credit bill of a return."""
    body = {"lines": lines_of(order, *quantities), **fields}
    response = client.post(f"/orders/{order['id_key']}/returns", json=body)
    assert response.status_code == 201, response.text
    credit: Json = exact(response)
    return credit


def test_a_return_is_kept_with_its_reason_and_its_lines(client: httpx.Client, goods: Goods, sound: None) -> None:
    lamp, chair = goods.product(stock=10, price=9.99), goods.product(stock=10, price=100)
    order = sold(goods, (lamp, 3), (chair, 2), discount=30)
    credit = returned(client, order, 2, 1, reason="  Broken on arrival ")
    row = exact(client.get(f"/returns/{credit['return_id']}"))
    assert {name: row[name] for name in ("order_id", "credit_bill_id", "reason", "restock")} == {
        "order_id": order["id_key"],
        "credit_bill_id": credit["id_key"],
        "reason": "Broken on arrival",
        "restock": True,
    }
    assert [(line["order_detail_id"], line["product_id"], line["quantity"]) for line in row["lines"]] == [
        (order["order_details"][0]["id_key"], lamp, 2),
        (order["order_details"][1]["id_key"], chair, 1),
    ]
    # 119.98 of 229.97 less 30: 104.33, which is 17.37 and 86.96 by what the goods cost.
    assert credit["total"] == Decimal("104.33")
    assert [line["amount"] for line in row["lines"]] == [Decimal("17.37"), Decimal("86.96")]
    plain = {name: value for name, value in row.items() if name != "lines"}
    for path in ("/returns", f"/orders/{order['id_key']}/returns"):
        listed = client.get(path, params={"order_id": order["id_key"]} if path == "/returns" else None)
        assert (exact(listed), listed.headers["X-Total-Count"]) == ([plain], "1")
    bill = exact(client.get(f"/bills/{credit['id_key']}"))
    assert [(line["quantity"], line["amount"]) for line in bill.pop("bill_lines")] == [
        (2, Decimal("17.37")),
        (1, Decimal("86.96")),
    ]
    assert {**bill, "return_id": credit["return_id"]} == credit


def test_the_amounts_of_the_lines_are_those_of_the_credit_bills(
    client: httpx.Client, goods: Goods, sound: None
) -> None:
    """Three equal lines and a discount that nobody can divide by three, piece by piece."""
    products = [goods.product(stock=10, price=3.33) for _ in range(3)]
    order = sold(goods, *((product, 2) for product in products), discount=1)
    for quantities in ((1, 1, 1), (0, 1, 0), (1, 0, 0), (0, 0, 1)):
        credit = returned(client, order, *quantities)
        row = exact(client.get(f"/returns/{credit['return_id']}"))
        assert sum(line["amount"] for line in row["lines"]) == credit["total"]
        if quantities == (1, 1, 1):
            # 9.49 among three: the cent that is left goes to the first line.
            assert [line["amount"] for line in row["lines"]] == [Decimal("3.17"), Decimal("3.16"), Decimal("3.16")]
    all_of_them = exact(client.get(f"/orders/{order['id_key']}/returns"))
    assert [row["id_key"] for row in all_of_them] == sorted(row["id_key"] for row in all_of_them)
    given_back = [exact(client.get(f"/returns/{row['id_key']}"))["lines"] for row in all_of_them]
    assert sum(line["amount"] for lines in given_back for line in lines) == order["bill"]["total"]


def test_a_line_that_is_named_twice_is_one(client: httpx.Client, goods: Goods, sound: None) -> None:
    order = sold(goods, (goods.product(stock=5, price=2), 5))
    lines = lines_of(order, 2) * 2
    response = client.post(f"/orders/{order['id_key']}/returns", json={"lines": lines})
    row = exact(client.get(f"/returns/{response.json()['return_id']}"))
    assert [(line["quantity"], line["amount"]) for line in row["lines"]] == [(4, 8)]


def test_what_cannot_be_sold_again_is_written_off(client: httpx.Client, goods: Goods, sound: None) -> None:
    product = goods.product(stock=3, price=5)
    order = sold(goods, (product, 3))
    before = client.get(f"/products/{product}").json()
    credit = returned(client, order, 2, restock=False)
    assert credit["total"] == 10
    assert client.get(f"/products/{product}").json() == before
    assert [(row["delta"], row["reason"]) for row in goods.ledger(product)] == [
        (3, "initial"),
        (-3, "sale"),
        (2, "return"),
        (-2, "write_off"),
    ]
    assert client.get(f"/returns/{credit['return_id']}").json()["restock"] is False
    # Nobody was told that there is some again.
    about = client.get("/events", params={"resource_id": product, "type": "stock.*", "limit": 1000}).json()
    assert [event["type"] for event in about if event["resource"] == "products"] == ["stock.out"]
    assert client.get(f"/order_details/{order['order_details'][0]['id_key']}").json()["returned_quantity"] == 2
    returned(client, order, 1, restock=True)
    assert goods.stock(product) == 1
    found = client.get(f"/products/{product}/stock_movements", params={"reason": "WRITE_OFF"}).json()
    assert [row["delta"] for row in found] == [-2]


def test_by_hand_nothing_is_written_off(client: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=3)
    response = client.post(f"/products/{product}/stock", json={"delta": -1, "reason": "write_off"})
    assert_malformed(response, "body", "reason")


def test_goods_that_cost_nothing_come_back_too(client: httpx.Client, goods: Goods, sound: None) -> None:
    order = sold(goods, (goods.product(stock=2, price=5), 2), discount=10)
    credit = returned(client, order, 1)
    row = exact(client.get(f"/returns/{credit['return_id']}"))
    assert (credit["total"], row["lines"][0]["amount"], row["credit_bill_id"]) == (0, 0, credit["id_key"])


@pytest.mark.parametrize(
    ("reason", "kept"),
    [(None, None), ("", None), (" \t ", None), ("x" * 500, "x" * 500), (" é\u202e'; --", "é\u202e'; --")],
)
def test_reasons(client: httpx.Client, goods: Goods, reason: str | None, kept: str | None) -> None:
    credit = returned(client, sold(goods, (goods.product(stock=1), 1)), 1, reason=reason)
    assert client.get(f"/returns/{credit['return_id']}").json()["reason"] == kept


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": "x" * 501},
        {"reason": 7},
        {"reason": "a\x00b"},
        {"restock": "no"},
        {"restock": None},
        {"restock": 0},
        {"credit_bill_id": 1},
    ],
)
def test_bodies_that_are_refused(client: httpx.Client, goods: Goods, wrong: Json) -> None:
    order = sold(goods, (goods.product(stock=1), 1))
    body = {"lines": lines_of(order, 1), **wrong}
    assert_malformed(client.post(f"/orders/{order['id_key']}/returns", json=body), "body", next(iter(wrong)))
    assert client.get(f"/orders/{order['id_key']}/returns").json() == []


def test_what_is_refused_leaves_no_return(client: httpx.Client, goods: Goods, sound: None) -> None:
    pending, other = goods.bought((goods.product(stock=1), 1)), sold(goods, (goods.product(stock=2), 2))
    for order, lines, status in (
        (pending, lines_of(pending, 1), 409),
        (other, lines_of(pending, 1), 404),
        (other, lines_of(other, 3), 400),
        (other, [*lines_of(other, 1), *lines_of(other, 2)], 400),
        (other, lines_of(other, 1_000_000), 400),
    ):
        assert_problem(client.post(f"/orders/{order['id_key']}/returns", json={"lines": lines}), status)
        assert client.get(f"/orders/{order['id_key']}/returns").json() == []


def test_a_repeat_makes_no_second_return(client: httpx.Client, goods: Goods) -> None:
    order = sold(goods, (goods.product(stock=2), 2))
    body, headers = {"lines": lines_of(order, 1)}, {"Idempotency-Key": f"return-{order['id_key']}"}
    first, again = (client.post(f"/orders/{order['id_key']}/returns", json=body, headers=headers) for _ in range(2))
    assert (first.content, first.headers["ETag"]) == (again.content, again.headers["ETag"])
    assert len(client.get(f"/orders/{order['id_key']}/returns").json()) == 1


def test_lists_are_filtered_sorted_and_paged(client: httpx.Client, goods: Goods) -> None:
    buyer = Goods(client)
    orders = [sold(buyer, (buyer.product(stock=3), 3)) for _ in range(2)]
    keys = [returned(client, order, 1)["return_id"] for order in (*orders, orders[0])]
    rows = client.get("/returns", params={"client_id": buyer.client_id}).json()
    assert [row["id_key"] for row in rows] == keys
    both = f"{orders[0]['id_key']},{orders[1]['id_key']}"
    assert client.get("/returns", params={"order_id": both}).json() == rows
    assert (
        client.get("/returns", params={"client_id": [buyer.client_id, goods.client_id], "id_key": keys}).json() == rows
    )
    of_one = client.get(f"/orders/{orders[0]['id_key']}/returns", params={"limit": 1, "sort": "-created_at"})
    assert ([row["id_key"] for row in of_one.json()], of_one.headers["X-Total-Count"]) == ([keys[2]], "2")
    second = client.get(of_one.links["next"]["url"]).json()
    assert [row["id_key"] for row in second] == [keys[0]]
    for name, found in (("date_from", keys[1:]), ("date_to", keys[:2])):
        moment = rows[1]["created_at"]
        seen = client.get("/returns", params={"client_id": buyer.client_id, name: moment}).json()
        assert [row["id_key"] for row in seen] == found
    day = rows[1]["created_at"][:10]
    assert (
        len(
            client.get("/returns", params={"order_id": both, "date_from": day, "date_to": rows[2]["created_at"]}).json()
        )
        == 3
    )
    assert client.get("/returns", params={"order_id": both, "date_to": "2001-01-01"}).json() == []
    assert client.get("/returns", params={"client_id": buyer.client_id, "fields": "reason"}).json()[0] == {
        "id_key": keys[0],
        "reason": None,
    }
    assert set(client.get(f"/returns/{keys[0]}", params={"fields": "lines"}).json()) == {"id_key", "lines"}
    for name in ("fields", "sort"):
        assert_malformed(client.get("/returns", params={name: "lines"}), "query", name)
    assert_malformed(client.get(f"/orders/{orders[0]['id_key']}/returns", params={"order_id": 1}), "query", "order_id")


def test_there_is_none_of_an_order_that_is_missing(client: httpx.Client) -> None:
    for path in ("/orders/999999999/returns", "/returns/999999999", f"/returns/{2**70}"):
        assert_problem(client.get(path), 404)
    for path in ("/orders/x/returns", "/returns/x"):
        assert_malformed(client.get(path), "path", "id_key")


def test_a_return_never_changes(client: httpx.Client, goods: Goods) -> None:
    credit = returned(client, sold(goods, (goods.product(stock=1), 1)), 1)
    path = f"/returns/{credit['return_id']}"
    etag = client.get(path).headers["ETag"]
    for method in ("PUT", "PATCH", "DELETE", "POST"):
        assert_problem(client.request(method, path, json={"reason": "x"}), 405)
    assert_problem(client.post("/returns", json={}), 405)
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
