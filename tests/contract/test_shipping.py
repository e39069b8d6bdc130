"""What the delivery of an order costs: by its rate, in what is to be paid, and given back only where it is said."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.builders import a_client, a_product, an_address, an_order, an_order_detail, unique
from tests.contract.answers import assert_malformed, assert_problem
from tests.race.databases import breaches, execute, new_database
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

DRIVE_THRU, ON_HAND, HOME = 1, 2, 3


@pytest.fixture(scope="module")
def database(servers: ServerUrls) -> str:
    """A database of its own: a rate for every country is for all orders of a shop."""
    return new_database(servers.database_url)


@pytest.fixture(scope="module")
def shop(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    environment = environment_of(database, None, tmp_path_factory.mktemp("shipping"))
    with shop_in_thread(environment) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(autouse=True)
def _rates(shop: httpx.Client, database: str) -> None:
    """HOME_DELIVERY: 5 to Spain, free from 50; 9 to elsewhere. DRIVE_THRU: 1 in Spain, where the shop is. ON_HAND has none."""
    execute(database, "DELETE FROM shipping_rates")
    for method, country, price, free_from in (
        ("HOME_DELIVERY", "ES", 5, 50),
        (HOME, None, 9, None),
        (1, "es", 1, 0.01),
    ):
        rate = {"delivery_method": method, "country": country, "price": price, "free_from": free_from}
        assert shop.post("/shipping_rates", json=rate).status_code == 201


def cart(shop: httpx.Client, price: float = 10, quantity: int = 1, country: str | None = None, **given: Any) -> Any:
    """The body of a checkout of one product; it goes to an address in the country, if one is named."""
    client = a_client(shop)["id_key"]
    lines = [{"product_id": a_product(shop, price=price, stock=50)["id_key"], "quantity": quantity}]
    body = {"client_id": client, "delivery_method": HOME, "payment_type": "card", "lines": lines, **given}
    if country is not None:
        body["address_id"] = an_address(shop, client_id=client, country=country)["id_key"]
    return body


def bought(shop: httpx.Client, **given: Any) -> Any:
    placed = shop.post("/checkout", json=cart(shop, **given))
    assert placed.status_code == 201, placed.text
    return placed.json()


def state(shop: httpx.Client, order: Any) -> Any:
    """The order as it is now, with its bill, of which it shows the figures."""
    now = shop.get(f"/orders/{order['id_key']}?expand=bill,order_details").json()
    bill = now["bill"]
    assert (now["shipping"], now["to_pay"], now["discount"]) == (bill["shipping"], bill["total"], bill["discount"])
    if now["order_details"]:
        assert now["to_pay"] == round(max(0, now["total"] - now["discount"]) + now["shipping"], 2)
    else:
        assert now["shipping"] == 0
    return now


def change(shop: httpx.Client, path: str, **fields: Any) -> None:
    response = shop.patch(path, json=fields)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("given", "shipping"),
    [
        ({"country": "ES"}, 5),
        ({"country": "ES", "price": 49.99}, 5),
        ({"country": "ES", "price": 50}, 0),
        ({"country": "ES", "price": 60, "discount": 10}, 0),
        ({"country": "ES", "price": 60, "discount": 10.01}, 5),
        ({"country": "FR", "price": 1000}, 9),
        # Without an address it goes to where the shop is.
        ({}, 5),
        ({"delivery_method": DRIVE_THRU, "price": 0.5}, 0),
        ({"delivery_method": DRIVE_THRU, "price": 0.5, "discount": 0.5}, 1),
        ({"delivery_method": DRIVE_THRU, "country": "FR"}, 0),
        ({"delivery_method": ON_HAND, "country": "ES"}, 0),
    ],
)
def test_a_checkout_adds_the_rate_that_matches(shop: httpx.Client, given: dict[str, Any], shipping: float) -> None:
    body = cart(shop, **given)
    quote = shop.post("/checkout/quote", json=body).json()
    to_pay = round(quote["total"] - quote["discount"] + shipping, 2)
    assert (quote["shipping"], quote["to_pay"]) == (shipping, to_pay)
    for wrong in {round(to_pay - shipping, 2), round(to_pay + 1, 2)} - {to_pay}:
        for path in ("/checkout", "/checkout/quote"):
            refused = shop.post(path, json=body | {"expected_total": wrong})
            assert_problem(refused, 400, f"Total mismatch. Expected {to_pay:.2f}, got {wrong:.2f}")
    order = shop.post("/checkout", json=body | {"expected_total": to_pay}).json()
    assert (order["shipping"], order["to_pay"], order["net"], order["bill"]["shipping"]) == (
        shipping,
        to_pay,
        to_pay,
        shipping,
    )
    assert (order["bill"]["total"], order["payment_status"]) == (to_pay, "unpaid" if to_pay else "paid")
    assert state(shop, order)["to_pay"] == to_pay


def test_it_goes_to_the_default_address(shop: httpx.Client) -> None:
    client = a_client(shop)["id_key"]
    an_address(shop, client_id=client, country="FR", is_default=True)
    assert bought(shop, client_id=client)["shipping"] == 9
    assert bought(shop, client_id=client, address_id=None)["shipping"] == 5


def test_all_of_it_is_paid_and_given_back_when_the_order_is_canceled_or_deleted(shop: httpx.Client) -> None:
    for undo in ("canceled", "deleted"):
        order = bought(shop, country="ES")
        bill = f"/bills/{order['bill_id']}"
        assert shop.post(f"{bill}/payments", json={"amount": 15.01, "method": "card"}).status_code == 409
        assert shop.post(f"{bill}/payments", json={"amount": 15, "method": "card"}).json()["amount"] == 15
        path = f"/orders/{order['id_key']}"
        assert (shop.post(f"{path}/cancel") if undo == "canceled" else shop.delete(path)).is_success
        (credit,) = shop.get(f"/bills?refunds_bill_id={order['bill_id']}").json()
        assert (credit["total"], credit["shipping"], credit["reason"]) == (15, 5, undo)
        stored = shop.get(bill).json()
        assert (stored["total"], stored["shipping"], stored["refunded"]) == (15, 5, 15)


def test_a_placed_order_keeps_its_rate(shop: httpx.Client) -> None:
    order = bought(shop, price=20, country="ES")
    (rate,) = shop.get("/shipping_rates?country=ES&delivery_method=HOME_DELIVERY").json()
    change(shop, f"/shipping_rates/{rate['id_key']}", price=7, free_from=None)
    line = f"/order_details/{order['order_details'][0]['id_key']}"
    change(shop, line, quantity=2)
    assert state(shop, order)["to_pay"] == 45
    change(shop, line, quantity=3)
    assert state(shop, order)["to_pay"] == 60
    change(shop, f"/bills/{order['bill_id']}", discount=10.01)
    assert state(shop, order)["to_pay"] == 54.99
    wrong = shop.patch(f"/bills/{order['bill_id']}", json={"total": 49.99})
    assert_problem(wrong, 400, "Total mismatch. Expected 54.99, got 49.99")
    shop.delete(f"/shipping_rates/{rate['id_key']}")
    change(shop, line, quantity=1)
    assert state(shop, order)["to_pay"] == 14.99
    assert bought(shop, price=20, country="ES")["shipping"] == 9


def test_nothing_is_charged_without_lines(shop: httpx.Client) -> None:
    order = bought(shop, country="ES")
    line = order["order_details"][0]
    assert shop.delete(f"/order_details/{line['id_key']}").status_code == 204
    now = state(shop, order)
    assert (now["shipping"], now["to_pay"], now["payment_status"]) == (0, 0, "paid")
    change(shop, f"/orders/{order['id_key']}", delivery_method=DRIVE_THRU)
    change(shop, f"/orders/{order['id_key']}", delivery_method=HOME)
    assert state(shop, order)["shipping"] == 0
    again = {"order_id": order["id_key"], "product_id": line["product_id"], "quantity": 2}
    assert shop.post("/order_details", json=again).status_code == 201
    assert state(shop, order)["to_pay"] == 25


def test_a_pending_order_that_goes_elsewhere_takes_the_rate_of_there(shop: httpx.Client) -> None:
    order = bought(shop, price=60, country="ES")
    path, client = f"/orders/{order['id_key']}", order["client_id"]
    abroad = an_address(shop, client_id=client, country="FR")["id_key"]
    for fields, shipping in (
        ({"address_id": abroad}, 9),
        ({"delivery_method": ON_HAND}, 0),
        ({"delivery_method": HOME, "address_id": order["address_id"]}, 0),
        ({"address_id": None}, 0),
        ({"date": "2026-01-01T00:00:00Z"}, 0),
        ({"delivery_method": DRIVE_THRU, "address_id": abroad}, 0),
        ({"delivery_method": HOME}, 9),
    ):
        changed = shop.patch(path, json=fields)
        assert (changed.status_code, changed.json()["shipping"], changed.json()["to_pay"]) == (
            200,
            shipping,
            60 + shipping,
        )
        assert state(shop, order)["updated_at"] == changed.json()["updated_at"]
    # What becomes of the address is of no matter, nor what the delivery costs by now.
    change(shop, f"/addresses/{abroad}", country="ES")
    assert shop.delete(f"/addresses/{abroad}").status_code == 204
    assert state(shop, order)["shipping"] == 9
    assert shop.post(f"{path}/advance").status_code == 200
    assert shop.patch(path, json={"delivery_method": ON_HAND}).status_code == 409


def test_classic_orders_have_none(shop: httpx.Client) -> None:
    client = a_client(shop)["id_key"]
    order = an_order(shop, client_id=client, delivery_method=HOME, total=0)
    product = a_product(shop, price=10)["id_key"]
    an_order_detail(shop, order_id=order["id_key"], product_id=product, quantity=2)
    change(shop, f"/orders/{order['id_key']}", address_id=an_address(shop, client_id=client)["id_key"])
    now = state(shop, order)
    assert (now["shipping"], now["to_pay"]) == (0, 20)


@pytest.fixture
def sent(shop: httpx.Client) -> Any:
    """An order of three pieces of 10 and its shipping of 5, less 3, on its way."""
    order = bought(shop, quantity=3, country="ES", discount=3)
    assert shop.post(f"/orders/{order['id_key']}/advance").status_code == 200
    return order


def give_back(shop: httpx.Client, order: Any, quantity: int, **more: Any) -> httpx.Response:
    lines = [{"order_detail_id": order["order_details"][0]["id_key"], "quantity": quantity}]
    return shop.post(f"/orders/{order['id_key']}/returns", json={"lines": lines, **more})


def test_a_return_gives_back_goods_alone(shop: httpx.Client, sent: Any) -> None:
    credits = [give_back(shop, sent, quantity).json() for quantity in (1, 2)]
    assert [(credit["total"], credit["shipping"]) for credit in credits] == [(9, 0), (18, 0)]
    now = state(shop, sent)
    assert (now["returned_total"], now["refunded"], now["net"]) == (27, 27, 5)


def test_the_last_return_may_give_back_the_shipping(shop: httpx.Client, sent: Any) -> None:
    early = give_back(shop, sent, 2, refund_shipping=True)
    assert_problem(
        early,
        409,
        f"The shipping of order {sent['id_key']} is given back with the last of its goods: 1 of them stay with the client",
    )
    assert early.json()["code"] == "shipping_not_refundable"
    assert give_back(shop, sent, 2).status_code == 201
    assert_malformed(give_back(shop, sent, 1, refund_shipping="yes"), "body", "refund_shipping")
    credit = give_back(shop, sent, 1, refund_shipping=True).json()
    assert (credit["total"], credit["shipping"]) == (14, 5)
    returned = shop.get(f"/returns/{credit['return_id']}").json()
    assert [line["amount"] for line in returned["lines"]] == [9]
    now = state(shop, sent)
    assert (now["returned_total"], now["refunded"], now["net"], now["payment_status"]) == (27, 32, 0, "refunded")


def test_reports_tell_it_apart(shop: httpx.Client, sent: Any) -> None:
    day = shop.get(f"/bills/{sent['bill_id']}").json()["date"]

    def sums(group: str) -> Any:
        report = shop.get("/reports/sales", params={"from": day, "to": day, "group": group}).json()
        return report["totals"], report["rows"]

    before, _ = sums("day")
    canceled, deleted = (f"/orders/{bought(shop, country='ES')['id_key']}" for _ in range(2))
    assert shop.post(f"{canceled}/cancel").is_success
    assert shop.delete(deleted).is_success
    assert give_back(shop, sent, 3, refund_shipping=True).status_code == 201
    after, _ = sums("day")
    assert round(after["shipping"] - before["shipping"], 2) == 10
    assert round(after["refunded"] - before["refunded"], 2) == 62
    for group in ("product", "country", "client"):
        totals, rows = sums(group)
        assert totals == after
        for name in ("gross", "discount", "shipping", "refunded", "net"):
            assert round(sum(row[name] for row in rows), 2) == after[name], (group, name)


def test_what_is_too_much_is_refused(shop: httpx.Client) -> None:
    body = cart(shop, price=9_999_999_999.99, country="ES")
    body["delivery_method"], rate = ON_HAND, {"delivery_method": ON_HAND, "price": 0.01}
    key = shop.post("/shipping_rates", json=rate).json()["id_key"]
    assert shop.post("/checkout", json=body).json()["code"] == "amount_too_large"
    body["discount"] = 0.01
    assert shop.post("/checkout", json=body).json()["to_pay"] == 9_999_999_999.99
    assert shop.delete(f"/shipping_rates/{key}").status_code == 204


def test_one_rate_is_for_the_same_orders(shop: httpx.Client) -> None:
    for country, taken in (("ES", "country 'ES'"), (None, "delivery_method '3'")):
        again = shop.post("/shipping_rates", json={"delivery_method": "home_delivery", "country": country, "price": 1})
        assert_problem(again, 409, f"ShippingRate with {taken} already exists")
        other = shop.post("/shipping_rates", json={"delivery_method": ON_HAND, "country": country, "price": 1}).json()
        assert (other["country"], other["free_from"]) == (country, None)
        moved = shop.patch(f"/shipping_rates/{other['id_key']}", json={"delivery_method": HOME})
        assert moved.json()["code"] == "already_exists"


@pytest.mark.parametrize(
    ("field", "refused"),
    [("price", -1), ("price", None), ("free_from", "x"), ("country", "ESP"), ("country", "XX"), ("delivery_method", 4)],
)
def test_what_no_rate_has(shop: httpx.Client, field: str, refused: Any) -> None:
    rate = {"delivery_method": HOME, "country": "IT", "price": 1}
    assert_malformed(shop.post("/shipping_rates", json=rate | {field: refused}), "body", field)


def test_the_books_hold(shop: httpx.Client, database: str) -> None:
    order = bought(shop, country="ES", bill_number=unique("INV"))
    assert breaches(database) == []
    for damage, told in (
        ("UPDATE bills SET shipping = 4, total = 14", "has shipping 4.00, but by its rate it is 5.00"),
        ("UPDATE bills SET total = 10", "total 10.00, but 15.00 is to be paid"),
    ):
        execute(database, f"{damage} WHERE id_key = {order['bill_id']}")
        assert told in "; ".join(breaches(database))
        execute(database, f"UPDATE bills SET shipping = 5, total = 15 WHERE id_key = {order['bill_id']}")
    execute(database, f"DELETE FROM order_details WHERE order_id = {order['id_key']}")
    assert "has shipping 5.00, but the order has no lines" in "; ".join(breaches(database))
