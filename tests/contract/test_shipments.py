"""Shipments: in parts, never more than was ordered, and the order moves on with the first and the last of them."""

from typing import Any

import httpx
import pytest

from models.order import OrderStatus
from tests.contract.answers import assert_malformed, assert_problem
from tests.contract.test_returns import lines_of, returned
from tests.race.goods import Goods, exact

pytestmark = pytest.mark.integration

Json = dict[str, Any]
LATER, EARLIER = "2100-01-01T00:00:00Z", "2001-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    """One that coverage sees: nothing else reaches all of these rules in the services."""
    return traced_client


@pytest.fixture(scope="module")
def goods(client: httpx.Client) -> Goods:
    return Goods(client)


@pytest.fixture
def order(goods: Goods) -> Json:
    """A new order of two lines, of three pieces and of two."""
    return goods.bought((goods.product(stock=10, price=10), 3), (goods.product(stock=10, price=5), 2))


def ship(client: httpx.Client, order: Json, *quantities: int, **fields: object) -> httpx.Response:
    body = {"lines": lines_of(order, *quantities), **fields} if quantities else fields
    return client.post(f"/orders/{order['id_key']}/shipments", json=body)


def shipped(client: httpx.Client, order: Json, *quantities: int, **fields: object) -> Json:
    response = ship(client, order, *quantities, **fields)
    assert response.status_code == 201, response.text
    row: Json = response.json()
    assert response.headers["Location"] == f"/shipments/{row['id_key']}"
    shown = client.get(response.headers["Location"])
    assert (shown.json(), shown.headers["ETag"]) == (row, response.headers["ETag"])
    return row


def deliver(client: httpx.Client, shipment: Json, at: str = LATER) -> Json:
    response = client.patch(f"/shipments/{shipment['id_key']}", json={"delivered_at": at})
    assert response.status_code == 200, response.text
    row: Json = response.json()
    return row


def status(client: httpx.Client, order: Json) -> OrderStatus:
    return OrderStatus(client.get(f"/orders/{order['id_key']}").json()["status"])


def test_in_parts_from_the_first_to_the_last(client: httpx.Client, order: Json) -> None:
    first = shipped(client, order, 2, 0, carrier=" Post ", tracking_number="P1", tracking_url="https://x.example/P1")
    keys = [detail["id_key"] for detail in order["order_details"]]
    assert first["lines"] == [{"order_detail_id": keys[0], "quantity": 2}]
    assert {name: first[name] for name in ("carrier", "tracking_number", "tracking_url", "delivered_at")} == {
        "carrier": "Post",
        "tracking_number": "P1",
        "tracking_url": "https://x.example/P1",
        "delivered_at": None,
    }
    assert status(client, order) is OrderStatus.IN_PROGRESS
    rest = shipped(client, order)
    assert rest["lines"] == [{"order_detail_id": keys[0], "quantity": 1}, {"order_detail_id": keys[1], "quantity": 2}]
    listed = client.get(f"/orders/{order['id_key']}/shipments")
    assert (listed.json(), listed.headers["X-Total-Count"]) == ([first, rest], "2")
    assert_problem(ship(client, order), 409, f"Nothing of order {order['id_key']} is left to ship")
    assert deliver(client, rest)["lines"] == rest["lines"]
    assert status(client, order) is OrderStatus.IN_PROGRESS
    deliver(client, first)
    assert status(client, order) is OrderStatus.DELIVERED


def test_what_has_arrived_is_not_all_while_something_is_left(client: httpx.Client, order: Json) -> None:
    shipped(client, order, 3, 1, delivered_at=LATER)
    assert status(client, order) is OrderStatus.IN_PROGRESS
    shipped(client, order, delivered_at=LATER)
    assert status(client, order) is OrderStatus.DELIVERED
    assert_problem(ship(client, order), 409, f"Order {order['id_key']} is DELIVERED: nothing of it can be shipped")


def test_all_at_once(client: httpx.Client, order: Json) -> None:
    row = shipped(client, order, shipped_at="2026-11-16", delivered_at="2026-11-16T00:00:00Z")
    assert (row["shipped_at"], row["delivered_at"]) == ("2026-11-16T00:00:00Z", "2026-11-16T00:00:00Z")
    assert status(client, order) is OrderStatus.DELIVERED


@pytest.mark.parametrize("quantities", [(4, 0), (3, 3), (1_000_000, 1)])
def test_never_more_than_was_ordered(client: httpx.Client, order: Json, quantities: tuple[int, int]) -> None:
    body = assert_problem(ship(client, order, *quantities), 409)
    assert body["code"] == "shipment_exceeds_order"
    assert status(client, order) is OrderStatus.PENDING
    assert client.get(f"/orders/{order['id_key']}/shipments").json() == []
    shipped(client, order, 2, 2)
    twice = client.post(f"/orders/{order['id_key']}/shipments", json={"lines": lines_of(order, 1, 0) * 2})
    assert_problem(
        twice,
        409,
        f"Cannot ship 2 of order detail {order['order_details'][0]['id_key']}. At most 1 are left to ship",
    )
    both = client.post(f"/orders/{order['id_key']}/shipments", json={"lines": lines_of(order, 1, 0)})
    assert both.status_code == 201


def test_what_was_given_back_before_it_left_is_not_shipped(client: httpx.Client, order: Json) -> None:
    shipped(client, order, 1, 0)
    returned(client, order, 2, 2)
    rest = shipped(client, order)
    assert [line["quantity"] for line in rest["lines"]] == [1]


def test_what_came_back_is_not_sent_again(client: httpx.Client, order: Json) -> None:
    """In whatever order pieces leave and come back: three of five are owed, and no more are sent."""
    client.post(f"/orders/{order['id_key']}/advance")
    returned(client, order, 1, 0)
    shipped(client, order, 1, 0)
    assert ship(client, order, 2, 0).json()["code"] == "shipment_exceeds_order"
    returned(client, order, 1, 1)
    rest = shipped(client, order, delivered_at=LATER)
    assert [line["quantity"] for line in rest["lines"]] == [1, 1]
    returned(client, order, 1, 1)
    assert ship(client, order).json()["code"] == "nothing_to_ship"
    assert status(client, order) is OrderStatus.IN_PROGRESS
    first = client.get(f"/orders/{order['id_key']}/shipments").json()[0]
    deliver(client, first)
    assert status(client, order) is OrderStatus.DELIVERED


def test_an_order_all_of_which_came_back_ships_nothing(client: httpx.Client, order: Json) -> None:
    client.post(f"/orders/{order['id_key']}/advance")
    returned(client, order, 3, 2)
    assert assert_problem(ship(client, order), 409)["code"] == "nothing_to_ship"


def test_other_orders_and_other_states(client: httpx.Client, goods: Goods, order: Json) -> None:
    other = goods.bought((goods.product(stock=1), 1))
    body = {"lines": lines_of(other, 1)}
    assert_problem(client.post(f"/orders/{order['id_key']}/shipments", json=body), 404)
    assert_problem(client.post("/orders/999999999/shipments", json={}), 404)
    client.post(f"/orders/{other['id_key']}/cancel")
    assert_problem(ship(client, other), 409, f"Order {other['id_key']} is CANCELED: nothing of it can be shipped")
    assert status(client, order) is OrderStatus.PENDING
    empty = {"id_key": goods.order(), "order_details": []}
    assert_problem(ship(client, empty), 409)
    assert status(client, empty) is OrderStatus.PENDING


def test_status_calls_work_beside_shipments(client: httpx.Client, order: Json) -> None:
    client.post(f"/orders/{order['id_key']}/advance")
    row = shipped(client, order, 1, 0)
    assert client.post(f"/orders/{order['id_key']}/advance").json()["status"] == OrderStatus.DELIVERED
    assert deliver(client, row)["delivered_at"] == LATER
    assert status(client, order) is OrderStatus.DELIVERED


def test_a_delivery_stays(client: httpx.Client, order: Json) -> None:
    row = shipped(client, order)
    path = f"/shipments/{row['id_key']}"
    early = client.patch(path, json={"delivered_at": EARLIER})
    assert_malformed(early, "body", "delivered_at")
    delivered = deliver(client, row)
    for other in ("2099-01-01T00:00:00Z", None):
        assert assert_problem(client.patch(path, json={"delivered_at": other}), 409)["code"] == "shipment_delivered"
    # What is known of the parcel may still be set right, and a row that was read goes back as it is.
    assert client.patch(path, json={**delivered, "carrier": "Other"}).json()["carrier"] == "Other"
    assert client.get(path).json()["delivered_at"] == LATER


def test_what_a_change_may_say(client: httpx.Client, order: Json) -> None:
    row = shipped(client, order, 1, 0, tracking_number="P1")
    path = f"/shipments/{row['id_key']}"
    etag = client.get(path).headers["ETag"]
    changed = client.patch(path, json={"tracking_number": "", "carrier": "x" * 100}, headers={"If-Match": etag})
    assert (changed.json()["tracking_number"], changed.json()["carrier"]) == (None, "x" * 100)
    assert changed.headers["ETag"] == client.get(path).headers["ETag"] != etag
    assert_problem(client.patch(path, json={}, headers={"If-Match": etag}), 412)
    # Neither the order nor the lines nor the time of the shipment change.
    kept = {"order_id": 1, "lines": [], "shipped_at": EARLIER, "id_key": 1}
    assert client.patch(path, json=kept).json() == changed.json()
    assert_problem(client.patch("/shipments/999999999", json={}), 404)
    for method in ("PUT", "DELETE"):
        assert_problem(client.request(method, path, json={}), 405)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lines": []},
        {"lines": None},
        {"lines": [{"order_detail_id": 1, "quantity": 0}]},
        {"lines": [{"order_detail_id": 1, "quantity": 1_000_001}]},
        {"lines": [{"order_detail_id": 1, "quantity": 1.5}]},
        {"lines": [{"order_detail_id": "1", "quantity": 1}]},
        {"lines": [{"quantity": 1}]},
        {"carrier": "x" * 101},
        {"carrier": "a\x00"},
        {"tracking_number": 7},
        {"tracking_url": "javascript:alert(1)"},
        {"tracking_url": "ftp://x.example/"},
        {"tracking_url": f"https://x.example/{'x' * 500}"},
        {"shipped_at": "yesterday"},
        {"shipped_at": None},
        {"delivered_at": 7},
        {"delivered_at": EARLIER},
        {"shipped_at": LATER, "delivered_at": EARLIER},
        {"weight": 1},
    ],
)
def test_bodies_that_are_refused(client: httpx.Client, order: Json, wrong: Json) -> None:
    response = client.post(f"/orders/{order['id_key']}/shipments", json=wrong)
    assert_malformed(response, "body", "delivered_at" if "delivered_at" in wrong else next(iter(wrong)))
    assert status(client, order) is OrderStatus.PENDING


def test_a_repeat_ships_once(client: httpx.Client, order: Json) -> None:
    headers = {"Idempotency-Key": f"ship-{order['id_key']}"}
    path = f"/orders/{order['id_key']}/shipments"
    first, again = (client.post(path, json={}, headers=headers) for _ in range(2))
    assert first.content == again.content
    assert len(client.get(path).json()) == 1


def test_lines_that_have_left_stay(client: httpx.Client, goods: Goods) -> None:
    """Of an order without a checkout, whose lines change also on the way."""
    order_id, product = goods.order(), goods.product(stock=10)
    detail = goods.detail(order_id, product, 3)
    path = f"/order_details/{detail}"
    shipped(client, {"id_key": order_id, "order_details": [{"id_key": detail}]}, 2)
    for change in ({"quantity": 1}, {"product_id": goods.product(stock=10)}):
        assert_problem(client.patch(path, json=change), 409)
    assert_problem(client.delete(path), 409)
    assert_problem(client.delete(f"/orders/{order_id}"), 409)
    assert goods.stock(product) == 7
    assert exact(client.get(f"/orders/{order_id}"))["total"] == 30


def test_events_tell_of_shipments(client: httpx.Client, order: Json) -> None:
    row = shipped(client, order)
    delivered = deliver(client, row)
    about = {"resource_id": order["id_key"], "type": "order.*", "limit": 1000}
    events = [event for event in client.get("/events", params=about).json() if event["resource"] == "orders"]
    assert [event["type"] for event in events] == [
        "order.created",
        "order.status_changed",
        "order.updated",
        "order.updated",
        "order.status_changed",
    ]
    assert (events[2]["data"]["shipment"], events[3]["data"]["shipment"]) == (row, delivered)
    assert events[4]["data"]["new_status"] == OrderStatus.DELIVERED


def test_lists_are_filtered_sorted_and_paged(client: httpx.Client) -> None:
    goods = Goods(client)
    orders = [goods.bought((goods.product(stock=3), 3)) for _ in range(2)]
    days = ("2026-11-14", "2026-11-16", "2026-11-15")
    rows = [shipped(client, order, 1, shipped_at=day) for order, day in zip((*orders, orders[0]), days, strict=True)]
    assert client.get("/shipments", params={"client_id": goods.client_id}).json() == rows
    both = f"{orders[0]['id_key']},{orders[1]['id_key']}"
    by_day = client.get("/shipments", params={"order_id": both, "sort": "shipped_at"})
    assert [row["shipped_at"][:10] for row in by_day.json()] == sorted(days)
    found = client.get("/shipments", params={"order_id": both, "date_from": "2026-11-15", "date_to": "2026-11-16"})
    assert found.json() == rows[1:]
    page = client.get(f"/orders/{orders[0]['id_key']}/shipments", params={"limit": 1})
    assert (page.json(), page.headers["X-Total-Count"]) == ([rows[0]], "2")
    assert client.get(page.links["next"]["url"]).json() == [rows[2]]
    some = client.get("/shipments", params={"client_id": goods.client_id, "fields": "lines"}).json()
    assert some == [{"id_key": row["id_key"], "lines": row["lines"]} for row in rows]
    assert_malformed(client.get("/shipments", params={"sort": "lines"}), "query", "sort")
    for path in ("/orders/999999999/shipments", "/shipments/999999999"):
        assert_problem(client.get(path), 404)
