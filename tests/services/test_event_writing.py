"""Which events the writes of the shop tell, and that each shows what a GET shows in that moment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.embedded.servers import ServerUrls
from services.event_writing import MOST_EVENTS, KeyRanges
from tests.builders import (
    BUILDERS,
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
from tests.identity.accounts import registration
from tests.race.databases import execute, new_database
from tests.told_shop import ToldShop, told_shop

pytestmark = pytest.mark.integration

ODD = 'Grün "50 %" \\ / 日本 \U0001f4a1 {row} :name %(rows)s\u2028é'


@pytest.fixture(scope="module")
def shop(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToldShop]:
    with told_shop(new_database(servers.database_url), tmp_path_factory.mktemp("told")) as shop:
        yield shop


@pytest.fixture(autouse=True)
def from_here_on(shop: ToldShop) -> None:
    shop.events()


def placed(shop: ToldShop, **more: Any) -> Any:
    """An order of a checkout, of two products."""
    lines = [{"product_id": a_product(shop.http)["id_key"], "quantity": quantity} for quantity in (2, 1)]
    body = {"client_id": a_client(shop.http)["id_key"], "delivery_method": 1, "payment_type": "card", "lines": lines}
    shop.events()
    answer = shop.http.post("/checkout", json=body | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


THINGS = {"/clients": "client", "/categories": "category", "/products": "product", "/reviews": "review"}


@pytest.mark.parametrize("path", THINGS)
def test_a_row_comes_changes_and_goes(shop: ToldShop, path: str) -> None:
    thing, builder = THINGS[path], BUILDERS[path]
    row = builder(shop.http)
    event = shop.events()[-1]
    at = f"{path}/{row['id_key']}"
    assert (event["type"], event["data"]) == (f"{thing}.created", shop.shown(at))
    assert (event["resource"], event["resource_id"], event["client_id"]) == (path[1:], row["id_key"], None)
    change = builder.change(row)
    answer = shop.http.patch(at, json=change)
    event = shop.the_one()
    assert (event["type"], event["data"]) == (f"{thing}.updated", shop.shown(at))
    assert event["request_id"] == answer.headers["X-Request-ID"]
    last = shop.shown(at)
    assert shop.http.patch(at, json=change).status_code == 200
    assert shop.events() == []
    assert shop.http.delete(at).status_code == 204
    event = shop.the_one()
    assert (event["type"], event["resource_id"], event["data"]) == (f"{thing}.deleted", row["id_key"], last)


def test_texts_of_any_kind(shop: ToldShop) -> None:
    name = unique(ODD)
    row = a_product(shop.http, name=name, description=ODD, sku=None, image=None, price=9999999999.99)
    event = shop.events()[-1]
    assert event["data"] == shop.shown(f"/products/{row['id_key']}")
    assert (event["data"]["name"], event["data"]["sku"], event["data"]["price"]) == (name, None, "9999999999.99")
    shop.http.patch(f"/products/{row['id_key']}", json={"description": ODD * 2})
    assert shop.the_one()["data"]["description"] == ODD * 2


def test_prices_and_stocks_of_a_product(shop: ToldShop) -> None:
    row = a_product(shop.http)
    at = f"/products/{row['id_key']}"
    shop.events()
    shop.http.patch(at, json={"price": 12.5, "name": row["name"]})
    event = shop.the_one()
    assert event["type"] == "product.price_changed"
    assert event["data"] == {**shop.shown(at), "old_price": "9.99", "new_price": "12.50"}
    shop.http.put(at, json={"price": 13, "stock": 7})
    assert shop.types() == ["product.updated", "product.price_changed"]
    shop.http.post(f"{at}/stock", json={"delta": 5})
    event = shop.the_one()
    assert (event["type"], event["data"]) == ("product.updated", shop.shown(at))
    assert shop.http.post(f"{at}/stock", json={"delta": -100}).status_code == 400
    assert shop.events() == []


def test_an_order_from_its_checkout_on(shop: ToldShop) -> None:
    order = placed(shop, discount=1.5)
    event = shop.the_one()
    assert (event["type"], event["resource"], event["resource_id"]) == ("order.created", "orders", order["id_key"])
    assert (event["data"], event["client_id"]) == (shop.order(order["id_key"]), order["client_id"])
    assert event["actor"] is None
    detail = order["order_details"][0]
    changes = [
        ("PATCH", f"/order_details/{detail['id_key']}", {"quantity": 1}),
        ("PATCH", f"/bills/{order['bill_id']}", {"discount": 2, "payment_type": "cash"}),
        ("PATCH", f"/orders/{order['id_key']}", {"delivery_method": 2}),
        ("DELETE", f"/order_details/{detail['id_key']}", None),
    ]
    for method, path, body in changes:
        answer = shop.http.request(method, path, json=body)
        assert answer.is_success, answer.text
        event = shop.the_one()
        assert (event["type"], event["data"]) == ("order.updated", shop.order(order["id_key"])), path
        assert event["client_id"] == order["client_id"]
    product = a_product(shop.http)
    shop.events()
    body = {"order_id": order["id_key"], "product_id": product["id_key"], "quantity": 3}
    assert shop.http.post("/order_details", json=body).status_code == 201
    event = shop.the_one()
    assert (event["type"], event["data"]) == ("order.updated", shop.order(order["id_key"]))
    shop.http.post(f"/orders/{order['id_key']}/advance")
    event = shop.the_one()
    assert event["type"] == "order.status_changed"
    assert event["data"] == {**shop.order(order["id_key"]), "old_status": 1, "new_status": 2}
    shop.http.post(f"/orders/{order['id_key']}/cancel")
    event = shop.the_one()
    assert (event["type"], event["data"]) == ("order.canceled", shop.order(order["id_key"]))
    last = shop.order(order["id_key"])
    assert shop.http.delete(f"/orders/{order['id_key']}").status_code == 204
    event = shop.the_one()
    assert (event["type"], event["data"], event["client_id"]) == ("order.deleted", last, order["client_id"])


def test_an_open_order_as_it_was_before_it_was_deleted(shop: ToldShop) -> None:
    order = placed(shop)
    last = shop.order(order["id_key"])
    shop.events()
    assert shop.http.delete(f"/orders/{order['id_key']}").status_code == 204
    event = shop.the_one()
    assert (event["type"], event["data"]) == ("order.deleted", last)
    assert event["data"]["bill"]["total"] == "29.97"


def test_goods_that_come_back(shop: ToldShop) -> None:
    order = placed(shop)
    shop.http.post(f"/orders/{order['id_key']}/advance")
    shop.events()
    lines = [{"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}]
    answer = shop.http.post(f"/orders/{order['id_key']}/returns", json={"lines": lines})
    credit_bill = shop.shown(f"/bills/{answer.json()['id_key']}") | {"return_id": answer.json()["return_id"]}
    event = shop.the_one()
    assert (event["type"], event["resource_id"]) == ("order.returned", order["id_key"])
    # Its lines are those of the return, which has a resource of its own.
    del credit_bill["bill_lines"]
    assert event["data"] == {**shop.order(order["id_key"]), "credit_bill": credit_bill}


def test_an_order_that_is_made_step_by_step(shop: ToldShop) -> None:
    bill = a_bill(shop.http)
    assert shop.events() == []
    shop.http.patch(f"/bills/{bill['id_key']}", json={"total": 30})
    assert shop.events() == []
    order = an_order(shop.http, bill_id=bill["id_key"])
    event = shop.events()[-1]
    assert (event["type"], event["data"]) == ("order.created", shop.order(order["id_key"]))
    assert (event["data"]["order_details"], event["client_id"]) == ([], order["client_id"])
    an_order_detail(shop.http, order_id=order["id_key"])
    event = shop.events()[-1]
    assert (event["type"], event["data"]) == ("order.updated", shop.order(order["id_key"]))


def test_orders_that_lose_their_address(shop: ToldShop) -> None:
    address = an_address(shop.http)
    order = an_order(shop.http, client_id=address["client_id"], address_id=address["id_key"])
    an_order(shop.http, client_id=address["client_id"])
    shop.events()
    assert shop.http.delete(f"/addresses/{address['id_key']}").status_code == 204
    event = shop.the_one()
    assert (event["type"], event["resource_id"]) == ("order.updated", order["id_key"])
    assert event["data"] == shop.order(order["id_key"])


@pytest.mark.parametrize("many", [False, True])
def test_rows_in_bulk(shop: ToldShop, many: bool) -> None:
    count = MOST_EVENTS + 1 if many else 3
    rows = shop.http.post("/categories/bulk", json=[{"name": unique("Bulk")} for _ in range(count)]).json()
    keys = [row["id_key"] for row in rows]
    nothing = {"rows": 0, "keys": []}
    everything = {"rows": count, "keys": [[keys[0], keys[-1]]]}
    as_one = {"resource": "categories", "created": nothing, "updated": nothing, "deleted": nothing}

    def is_told(happened: str, shown: list[Any]) -> None:
        events = shop.events()
        if many:
            (event,) = events
            assert (event["type"], event["resource"], event["resource_id"]) == ("catalog.imported", "categories", None)
            assert event["data"] == as_one | {happened: everything}
        else:
            assert [event["type"] for event in events] == [f"category.{happened}"] * count
            assert [event["data"] for event in events] == shown

    is_told("created", rows)
    changes = [{"id_key": key, "name": unique("Other")} for key in keys]
    changed = shop.http.patch("/categories/bulk", json=changes).json()
    is_told("updated", changed)
    assert shop.http.patch("/categories/bulk", json=changes).status_code == 200
    assert shop.events() == []
    assert shop.http.post("/categories/bulk_delete", json=[{"id_key": key} for key in keys]).status_code == 204
    is_told("deleted", changed)


def test_nothing_is_told_of_what_is_refused(shop: ToldShop) -> None:
    category, order = a_category(shop.http), placed(shop)
    shop.events()
    refused = [
        ("POST", "/categories", {"name": category["name"]}),
        ("POST", "/checkout", {**order_body(order), "lines": [{"product_id": 1 << 40, "quantity": 1}]}),
        ("DELETE", f"/clients/{order['client_id']}", None),
        ("DELETE", f"/products/{order['order_details'][0]['product_id']}", None),
        ("PATCH", f"/bills/{order['bill_id']}", {"total": 1}),
        ("POST", "/categories/bulk", [{"name": unique("One")}, {"name": category["name"]}]),
        ("POST", "/categories/bulk_delete", [{"id_key": category["id_key"]}, {"id_key": 1 << 40}]),
    ]
    for method, path, body in refused:
        assert shop.http.request(method, path, json=body).status_code in (400, 404, 409), path
        assert shop.events() == [], path


def order_body(order: Any) -> dict[str, Any]:
    lines = [{"product_id": line["product_id"], "quantity": 1} for line in order["order_details"]]
    return {"client_id": order["client_id"], "delivery_method": 1, "payment_type": "card", "lines": lines}


@pytest.mark.parametrize("path", ["/checkout", "/categories", "/categories/bulk"])
def test_a_repeated_request_tells_nothing_more(shop: ToldShop, path: str) -> None:
    bodies = {"/checkout": order_body(placed(shop)), "/categories": a_category.sample()}
    body = bodies.get(path, [a_category.sample()])
    shop.events()
    for told in (1, 0):
        answer = shop.http.post(path, json=body, headers={"Idempotency-Key": f"once-{path}"})
        assert (answer.status_code, len(shop.events())) == (201, told)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, None),
        ("nonsense", None),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", None),
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        (
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ],
)
def test_the_request_and_its_trace(shop: ToldShop, sent: str | None, kept: str | None) -> None:
    order = order_body(placed(shop))
    shop.events()
    category = a_category(shop.http)
    headers = {"X-Request-ID": "mine-1"} | ({} if sent is None else {"traceparent": sent})
    shop.events()
    for method, path, body in (
        ("POST", "/checkout", order),
        ("POST", "/categories", a_category.sample()),
        ("PATCH", f"/categories/{category['id_key']}", a_category.sample()),
    ):
        assert shop.http.request(method, path, json=body, headers=headers).is_success
        event = shop.the_one()
        assert (event["request_id"], event["trace_parent"]) == ("mine-1", kept)


FAR = {"10000-01-01 00:00:00.5Z": "5874897-12-31", "0044-03-15 12:00:00Z BC": "0044-03-15 BC", "infinity": "-infinity"}


@pytest.mark.parametrize("moment", FAR)
def test_dates_that_python_does_not_know(shop: ToldShop, moment: str) -> None:
    order = placed(shop)
    for table, key, columns in (
        ("orders", order["id_key"], f"date = '{moment}', created_at = '{moment}'"),
        ("bills", order["bill_id"], f"date = '{FAR[moment]}', created_at = '{moment}'"),
    ):
        execute(shop.database_url, f"UPDATE {table} SET {columns} WHERE id_key = {key}")
    shop.events()
    assert shop.http.post(f"/orders/{order['id_key']}/cancel").status_code == 200
    assert shop.the_one()["data"] == shop.order(order["id_key"])


@given(st.lists(st.integers(1, 60), unique=True))
def test_ranges_of_keys(keys: list[int]) -> None:
    ranges = KeyRanges()
    ranges.add(keys[:10])
    ranges.add(keys[10:])
    assert ranges.count == len(keys)
    assert [key for first, last in ranges.ranges() for key in range(first, last + 1)] == sorted(keys)


def test_so_many_ranges_that_some_become_one() -> None:
    ranges = KeyRanges()
    ranges.add([*range(1, 9000, 3), 20_000, 30_000])
    shown = ranges.ranges()
    assert len(shown) <= 1000
    assert shown[-2:] == [(20_000, 20_000), (30_000, 30_000)]
    assert all(any(first <= key <= last for first, last in shown) for key in range(1, 9000, 3))


def test_reviews_are_told_of(shop: ToldShop) -> None:
    review = a_review(shop.http, rating=4.25, comment=None)
    assert shop.events()[-1]["data"] == shop.shown(f"/reviews/{review['id_key']}")


def test_positions_have_the_order_of_the_changes(shop: ToldShop) -> None:
    order = placed(shop)
    product = a_product(shop.http, stock=1000)
    shop.events()
    at, line = f"/orders/{order['id_key']}", {"order_id": order["id_key"], "product_id": product["id_key"]}

    def change(number: int) -> None:
        changes = [
            ("POST", "/order_details", {**line, "quantity": 1}),
            ("PATCH", f"/bills/{order['bill_id']}", {"discount": number / 100}),
            ("PATCH", at, {"delivery_method": number % 3 + 1}),
        ]
        for method, path, body in changes:
            assert shop.http.request(method, path, json=body).is_success

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(change, range(1, 25)))
    events = [event["data"] for event in shop.events() if event["resource"] == "orders"]
    lines = [len(data["order_details"]) for data in events]
    assert (lines[-1], lines) == (26, sorted(lines))
    versions = [(data["updated_at"], data["bill"]["updated_at"]) for data in events]
    assert versions == sorted(versions)
    assert len(set(versions)) == len(versions)
    assert events[-1] == shop.order(order["id_key"])


def test_a_registration_that_nobody_may_see_the_end_of(
    servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("verify")
    with told_shop(new_database(servers.database_url), folder, REGISTRATION="verify") as shop:
        body = registration()
        for told in (["client.created", "user.registered"], []):
            assert shop.http.post("/auth/register", json=body).is_success
            # The second fails in a savepoint, and is answered the same.
            assert shop.types() == told
