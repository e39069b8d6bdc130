"""History does not rewrite itself: an order keeps where it goes, and its lines what was sold."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import Row, a_bill, a_client, a_product, an_address, an_order, an_order_detail, unique
from tests.contract.answers import assert_problem

pytestmark = pytest.mark.integration

FIELDS = ("recipient", "street", "number", "city", "postcode", "region", "country", "telephone")

ANY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
FILLED = ANY_TEXT.map(lambda text: f"x{text}x")
ADDRESSES = st.fixed_dictionaries(
    {"street": FILLED, "city": FILLED},
    optional={
        "recipient": FILLED,
        "postcode": FILLED.map(lambda text: text[:18] + "x"),
        "region": FILLED,
        "country": st.sampled_from(["ES", "gb", "Ie"]),
        "telephone": st.sampled_from(["+442071234567", None]),
    },
)


def copy_of(address: Row) -> dict[str, Any]:
    return {name: address[name] for name in FIELDS}


def checkout(client: httpx.Client, product: Row, **given: Any) -> Row:
    body = {
        "client_id": None,
        "delivery_method": 3,
        "payment_type": "card",
        "lines": [{"product_id": product["id_key"], "quantity": 1}],
        **given,
    }
    response = client.post("/checkout", json=body)
    assert response.status_code == 201, response.text
    order: Row = response.json()
    return order


def event_of(client: httpx.Client, order: Row) -> Row:
    events = client.get("/events", params={"resource_id": order["id_key"], "type": "order.*", "wait": 5}).json()
    return next(event["data"] for event in events if event["type"] == "order.created")


def shown(client: httpx.Client, order: Row) -> Row:
    row: Row = client.get(f"/orders/{order['id_key']}").json()
    return row


def test_where_an_order_went_is_no_longer_the_addresses_affair(client: httpx.Client) -> None:
    """Input 4 of the books: the street changes, then the client is to, then the address goes, then the client is to."""
    address = an_address(client)
    url, owner = f"/addresses/{address['id_key']}", address["client_id"]
    orders = [
        checkout(client, a_product(client), client_id=owner, address_id=address["id_key"]),
        an_order(client, client_id=owner, address_id=address["id_key"]),
    ]
    assert client.post(f"/orders/{orders[0]['id_key']}/advance").status_code == 200
    kept = copy_of(address)
    assert [order["ship_to"] for order in orders] == [kept, kept]
    assert client.patch(url, json={"street": "Low Street", "country": "FR"}).status_code == 200
    assert_problem(client.patch(url, json={"client_id": a_client(client)["id_key"]}), 409)
    before = [client.get(f"/orders/{order['id_key']}") for order in orders]
    assert client.delete(url).status_code == 204
    assert_problem(client.delete(f"/clients/{owner}"), 409)
    for order, earlier in zip(orders, before, strict=True):
        now = client.get(f"/orders/{order['id_key']}", headers={"If-None-Match": earlier.headers["ETag"]})
        assert (now.status_code, now.json()["ship_to"], now.json()["address_id"]) == (200, kept, None)
        assert now.json()["updated_at"] > earlier.json()["updated_at"]
        assert client.get("/orders", params={"id_key": order["id_key"]}).json() == [now.json()]


def test_another_address_of_a_pending_order_is_copied(client: httpx.Client) -> None:
    first = an_address(client)
    second = an_address(client, client_id=first["client_id"], recipient=None, region=None)
    order = an_order(client, client_id=first["client_id"], address_id=first["id_key"])
    url = f"/orders/{order['id_key']}"
    client.patch(f"/addresses/{first['id_key']}", json={"street": "Low Street"})
    # What is sent back as it was read copies nothing.
    assert client.put(url, json=order).json() == order
    moved = client.patch(url, json={"address_id": second["id_key"]}).json()
    assert moved["ship_to"] == copy_of(second)
    assert client.patch(url, json={"delivery_method": 2}).json()["ship_to"] == copy_of(second)
    assert_problem(client.patch(url, json={"address_id": an_address(client)["id_key"]}), 400)
    assert client.patch(url, json={"address_id": None}).json()["ship_to"] is None
    back = client.patch(url, json={"address_id": first["id_key"]}).json()
    assert back["ship_to"]["street"] == "Low Street"


def test_nobody_writes_a_copy(client: httpx.Client) -> None:
    order = an_order(client, ship_to={"street": "Nowhere"})
    assert order["ship_to"] is None
    assert client.patch(f"/orders/{order['id_key']}", json={"ship_to": {"street": "x"}}).json() == order
    line = an_order_detail(client, name="Nothing", sku="N", tax_rate=7)
    product = client.get(f"/products/{line['product_id']}").json()
    assert (line["name"], line["sku"], line["tax_rate"]) == (product["name"], product["sku"], 0)
    url = f"/order_details/{line['id_key']}"
    assert client.patch(url, json={"name": "x", "sku": None, "tax_rate": 3}).json() == line


def test_lines_keep_what_was_sold(client: httpx.Client) -> None:
    product, other = a_product(client), a_product(client, sku=None)
    order = checkout(client, product, client_id=a_client(client)["id_key"], delivery_method=1)
    (line,) = order["order_details"]
    assert (line["name"], line["sku"], line["tax_rate"]) == (product["name"], product["sku"], 0)
    client.patch(f"/products/{product['id_key']}", json={"name": unique("Renamed"), "sku": unique("NEW")})
    url = f"/order_details/{line['id_key']}"
    assert client.get(url).json() == line
    # More of the same is the same line.
    more = client.patch(url, json={"quantity": 2}).json()
    assert (more["name"], more["sku"]) == (product["name"], product["sku"])
    changed = client.patch(url, json={"product_id": other["id_key"]}).json()
    assert (changed["name"], changed["sku"]) == (other["name"], None)
    expanded = client.get(f"/orders/{order['id_key']}", params={"expand": "order_details"}).json()
    assert expanded["order_details"] == [changed]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(place=ADDRESSES, name=FILLED, sku=st.none() | FILLED)
def test_copies_are_exact_by_every_way(client: httpx.Client, place: dict[str, Any], name: str, sku: str | None) -> None:
    owner = a_client(client)["id_key"]
    made = client.post("/addresses", json={**place, "client_id": owner})
    assert made.status_code == 201, made.text
    product = a_product(client, name=name, sku=None if sku is None else unique(sku)[:64])
    kept, sold = copy_of(made.json()), (product["name"], product["sku"])
    placed = checkout(client, product, client_id=owner, address_id=made.json()["id_key"])
    classic = an_order(client, client_id=owner, address_id=made.json()["id_key"], bill_id=a_bill(client)["id_key"])
    line = an_order_detail(client, order_id=classic["id_key"], product_id=product["id_key"])
    assert [placed["ship_to"], classic["ship_to"], event_of(client, placed)["ship_to"]] == [kept] * 3
    assert event_of(client, classic)["ship_to"] == kept
    for detail in (line, *placed["order_details"], *event_of(client, placed)["order_details"]):
        assert (detail["name"], detail["sku"]) == sold
    for order in (placed, classic):
        assert shown(client, order)["ship_to"] == kept


class TestDefaultAddress:
    """Where a checkout goes that does not say where."""

    def test_home_deliveries_go_there(self, client: httpx.Client) -> None:
        other = an_address(client, is_default=True)
        address = an_address(client, is_default=True)
        plain = an_address(client, client_id=address["client_id"])
        product, owner = a_product(client), address["client_id"]
        for method in (3, "HOME_DELIVERY", "home_delivery"):
            order = checkout(client, product, client_id=owner, delivery_method=method)
            assert (order["address_id"], order["ship_to"]) == (address["id_key"], copy_of(address))
            assert shown(client, order)["ship_to"] == event_of(client, order)["ship_to"] == copy_of(address)
        chosen = checkout(client, product, client_id=owner, address_id=plain["id_key"])
        assert (chosen["address_id"], chosen["ship_to"]) == (plain["id_key"], copy_of(plain))
        assert checkout(client, product, client_id=other["client_id"])["address_id"] == other["id_key"]

    def test_nothing_else_does(self, client: httpx.Client) -> None:
        address = an_address(client, is_default=True)
        product, owner = a_product(client), address["client_id"]
        without = an_address(client)["client_id"]
        orders = [
            *(checkout(client, product, client_id=owner, delivery_method=method) for method in (1, "ON_HAND")),
            checkout(client, product, client_id=owner, address_id=None),
            checkout(client, product, client_id=without),
        ]
        assert client.delete(f"/addresses/{address['id_key']}").status_code == 204
        orders.append(checkout(client, product, client_id=owner))
        assert [(order["address_id"], order["ship_to"]) for order in orders] == [(None, None)] * 5

    def test_another_default_is_for_later_orders(self, client: httpx.Client) -> None:
        address = an_address(client, is_default=True)
        product, owner = a_product(client), address["client_id"]
        body = {
            "client_id": owner,
            "delivery_method": 3,
            "payment_type": "cash",
            "lines": [{"product_id": product["id_key"], "quantity": 1}],
        }
        key = {"Idempotency-Key": f"default-address-{owner}"}
        first = client.post("/checkout", json=body, headers=key)
        second = an_address(client, client_id=owner, is_default=True)
        assert client.post("/checkout", json=body, headers=key).json() == first.json()
        assert client.post("/checkout", json=body).json()["ship_to"] == copy_of(second)
        assert shown(client, first.json())["ship_to"] == copy_of(address)

    def test_a_refusal_stays_a_refusal(self, client: httpx.Client) -> None:
        address, product = an_address(client, is_default=True), a_product(client, stock=1)
        body = {"delivery_method": 3, "payment_type": "card"}
        line = {"product_id": product["id_key"], "quantity": 2}
        nobody = {**body, "client_id": 2**63 - 1, "lines": [line]}
        assert_problem(client.post("/checkout", json=nobody), 404, f"Client with id {2**63 - 1} not found")
        short = {**body, "client_id": address["client_id"], "lines": [line]}
        assert_problem(client.post("/checkout", json=short), 400)
