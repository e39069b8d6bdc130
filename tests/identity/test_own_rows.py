"""What a customer may do with rows of their own, and that rows of others do not exist for them (A6, A8)."""

from typing import Any

import pytest

from tests.guarded_shop import Caller, GuardedShop
from tests.identity.shelf import Customer, Row, Shelf
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shelf(shop: GuardedShop) -> Shelf:
    return Shelf(shop)


@pytest.fixture(scope="module")
def other(shelf: Shelf) -> Customer:
    return shelf.a_customer()


@pytest.fixture
def own(shelf: Shelf) -> Customer:
    return shelf.a_customer()


def refused(response: Any, status: int, text: str = "", code: str = "") -> None:
    """Hold that the response is this refusal."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert text in str(response.json()["detail"])
    assert not code or response.json()["code"] == code


# -- clients and addresses -------------------------------------------------------------------------


def test_the_own_client_is_changed_by_patch_and_not_by_put(shop: GuardedShop, own: Customer, other: Customer) -> None:
    path = f"/clients/{own.client['id_key']}"
    assert shop(own.caller, "PATCH", path, json={"telephone": "+442071234568"}).json()["telephone"] == "+442071234568"
    refused(shop(own.caller, "PUT", path, json={"telephone": "+442071234568"}), 403, "clients:write")
    refused(shop(own.caller, "DELETE", path), 403)
    refused(shop(own.caller, "PATCH", f"/clients/{other.client['id_key']}", json={"name": "x"}), 404)


def test_a_customer_does_not_find_out_by_a_change_whose_address_is_whose(
    shop: GuardedShop, own: Customer, other: Customer
) -> None:
    path = f"/clients/{own.client['id_key']}"
    for email in (other.client["email"], "nobody@example.com"):
        refused(shop(own.caller, "PATCH", path, json={"email": email}), 403)
    whole = shop(own.caller, "GET", path).json()
    assert shop(own.caller, "PATCH", path, json=whole).json() == whole


def test_addresses_are_made_changed_and_removed(shop: GuardedShop, shelf: Shelf, own: Customer) -> None:
    explicit = shelf.made(own.caller, "/addresses", street="1", city="2", client_id=own.client["id_key"])
    path = f"/addresses/{explicit['id_key']}"
    assert explicit["client_id"] == own.client["id_key"] == own.address["client_id"]
    assert shop(own.caller, "PUT", path, json={**explicit, "street": "3"}).json()["street"] == "3"
    assert shop(own.caller, "GET", "/addresses").headers["x-total-count"] == "2"
    assert shop(own.caller, "DELETE", path).status_code == 204
    refused(shop(own.caller, "GET", path), 404)


def test_a_default_address_is_ones_own(shop: GuardedShop, shelf: Shelf, own: Customer, other: Customer) -> None:
    theirs = shelf.made(other.caller, "/addresses", street="1", city="2", is_default=True)
    mine = shelf.made(own.caller, "/addresses", street="1", city="2", is_default=True)
    for address in (theirs, other.address):
        refused(shop(own.caller, "PATCH", f"/addresses/{address['id_key']}", json={"is_default": True}), 404)
    sent = {"street": "1", "city": "2", "client_id": other.client["id_key"], "is_default": True}
    refused(shop(own.caller, "POST", "/addresses", json=sent), 403, "client_id must be your own")
    assert shop(other.caller, "GET", f"/addresses/{theirs['id_key']}").json() == theirs
    order = shelf.made(own.caller, "/checkout", **shelf.checkout(delivery_method=3))
    assert order["address_id"] == mine["id_key"]
    for address, caller in ((mine, own.caller), (theirs, other.caller)):
        assert shop(caller, "DELETE", f"/addresses/{address['id_key']}").status_code == 204


@pytest.mark.parametrize("client", ["other", "nobody"])
def test_an_address_is_not_given_to_another(shop: GuardedShop, own: Customer, other: Customer, client: str) -> None:
    client_id = other.client["id_key"] if client == "other" else 999_999
    sent = {"street": "1", "city": "2", "client_id": client_id}
    refused(shop(own.caller, "POST", "/addresses", json=sent), 403, "client_id must be your own")
    path = f"/addresses/{own.address['id_key']}"
    refused(shop(own.caller, "PATCH", path, json={"client_id": client_id}), 403, "client_id must be your own")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("resource", ["addresses", "reviews"])
def test_a_row_of_another_is_not_changed(
    shop: GuardedShop, own: Customer, other: Customer, resource: str, method: str
) -> None:
    row = other.address if resource == "addresses" else other.review
    body = None if method == "DELETE" else {"city": "x"} if resource == "addresses" else {"rating": 1}
    for headers in ({}, {"If-Match": "*"}, {"If-Match": '"1-1"'}):
        for_other = shop(own.caller, method, f"/{resource}/{row['id_key']}", json=body, headers=headers)
        for_nobody = shop(own.caller, method, f"/{resource}/999999", json=body, headers=headers)
        refused(for_other, 404, f"with id {row['id_key']} not found")
        assert _without_names(for_other.json()) == _without_names(for_nobody.json())


def _without_names(problem: Row) -> Row:
    return {
        name: value for name, value in problem.items() if name not in ("request_id", "instance", "detail", "message")
    }


# -- orders ----------------------------------------------------------------------------------------


def test_an_order_is_placed_for_oneself(shop: GuardedShop, shelf: Shelf, own: Customer, other: Customer) -> None:
    placed = shelf.placed(own.caller, client_id=own.client["id_key"], address_id=own.address["id_key"], discount=0)
    assert placed["client_id"] == own.client["id_key"] == own.order["client_id"] == own.bill["client_id"]
    before = shop(own.caller, "GET", "/orders").headers["x-total-count"]
    for client_id in (other.client["id_key"], 999_999):
        refused(shop(own.caller, "POST", "/checkout", json=shelf.checkout(client_id=client_id)), 403, "your own")
    for given in (
        {"discount": 0.01},
        {"bill_number": "INV-1"},
        {"bill_number": "BILL-2026-000001"},
        {"date": "2026-01-01"},
    ):
        refused(
            shop(own.caller, "POST", "/checkout", json=shelf.checkout(**given)), 403, "given by the shop", "forbidden"
        )
    assert shop(own.caller, "GET", "/orders").headers["x-total-count"] == before


def test_what_a_customer_may_not_do_comes_before_what_is_wrong_with_the_key(
    shop: GuardedShop, shelf: Shelf, own: Customer
) -> None:
    sent = {"json": shelf.checkout(discount=1), "headers": {"Idempotency-Key": "not visible"}}
    refused(shop(own.caller, "POST", "/checkout", **sent), 403, "given by the shop", "forbidden")


def test_staff_say_for_whom_they_order(shop: GuardedShop, shelf: Shelf, own: Customer) -> None:
    missing = shop(shelf.staff, "POST", "/checkout", json=shelf.checkout())
    assert missing.json()["detail"] == [{"loc": ["body", "client_id"], "msg": "Field required", "type": "missing"}]
    sent = shelf.checkout(client_id=own.client["id_key"], discount=1, bill_number="INV-OF-STAFF", date="2026-01-01")
    assert shop(shelf.staff, "POST", "/checkout", json=sent).status_code == 201


def test_an_address_of_another_does_not_exist(shop: GuardedShop, shelf: Shelf, own: Customer, other: Customer) -> None:
    address_id = other.address["id_key"]
    refused(
        shop(own.caller, "POST", "/checkout", json=shelf.checkout(address_id=address_id)),
        404,
        f"Address with id {address_id} not found",
    )
    sent = shelf.checkout(address_id=address_id, client_id=own.client["id_key"])
    refused(shop(shelf.staff, "POST", "/checkout", json=sent), 400, "is not one of client")


def test_a_product_that_is_not_on_sale_does_not_exist(shop: GuardedShop, shelf: Shelf, own: Customer) -> None:
    lines = {name: [{"product_id": key, "quantity": 1_000}] for name, key in _keys(shelf).items()}
    hidden, unknown = (shop(own.caller, "POST", "/checkout", json=shelf.checkout(lines=lines[name])) for name in lines)
    refused(hidden, 404, f"Product with id {shelf.hidden['id_key']} not found")
    assert _without_names(hidden.json()) == _without_names(unknown.json())
    wrong_price = [
        {**lines["hidden"][0], "price": 1, "quantity": 1},
        {"product_id": shelf.product["id_key"], "quantity": 1},
    ]
    refused(shop(own.caller, "POST", "/checkout", json=shelf.checkout(lines=wrong_price)), 404, "Product with id")
    sent = shelf.checkout(lines=lines["hidden"], client_id=own.client["id_key"])
    refused(shop(shelf.staff, "POST", "/checkout", json=sent), 400, "is not available")


def _keys(shelf: Shelf) -> dict[str, int]:
    return {"hidden": shelf.hidden["id_key"], "unknown": 999_999}


def test_a_customer_whose_client_is_not_known_yet_owns_nothing(shop: GuardedShop, shelf: Shelf) -> None:
    unverified = shop.user("customer")
    for path in ("/clients", "/addresses", "/orders", "/order_details", "/bills"):
        response = shop(unverified, "GET", path)
        assert (response.json(), response.headers["x-total-count"]) == ([], "0")
        refused(shop(unverified, "GET", f"{path}/1"), 404)
    bodies = {
        "/checkout": shelf.checkout(),
        "/addresses": {"street": "1", "city": "2"},
        "/reviews": {"rating": 1, "product_id": shelf.product["id_key"]},
    }
    for path, body in bodies.items():
        for headers in ({}, {"Idempotency-Key": f"before the mail {path}".replace(" ", "-")}):
            response = shop(unverified, "POST", path, json=body, headers=headers)
            refused(response, 409, "verified", "email_not_verified")
    # It is not kept: after the mail the same request does its work.
    client, _ = shelf.a_user()
    execute(shop.database_url, "DELETE FROM users WHERE client_id = %s", client["id_key"])
    execute(shop.database_url, "UPDATE users SET client_id = %s WHERE id_key = %s", client["id_key"], unverified.id)
    verified = shop.log_in(unverified.id)
    headers = {"Idempotency-Key": "before-the-mail-/checkout"}
    assert shop(verified, "POST", "/checkout", json=shelf.checkout(), headers=headers).status_code == 201


def test_an_order_is_canceled_while_it_is_pending(
    shop: GuardedShop, shelf: Shelf, own: Customer, other: Customer
) -> None:
    path = f"/orders/{own.order['id_key']}"
    refused(shop(own.caller, "POST", f"/orders/{other.order['id_key']}/cancel"), 404)
    refused(shop(own.caller, "POST", f"{path}/advance"), 403, "orders:write")
    refused(shop(own.caller, "POST", f"{path}/returns", json={"lines": []}), 403, "orders:write")
    stock = shop(None, "GET", f"/products/{shelf.product['id_key']}").json()["stock"]
    for _ in range(2):
        assert shop(own.caller, "POST", f"{path}/cancel").json()["status"] == 4
    assert shop(None, "GET", f"/products/{shelf.product['id_key']}").json()["stock"] == stock + 1


def test_returns_are_seen_by_whose_order_they_are_of(
    shop: GuardedShop, shelf: Shelf, own: Customer, other: Customer
) -> None:
    path = f"/orders/{own.order['id_key']}"
    assert shop(shelf.staff, "POST", f"{path}/advance").status_code == 200
    lines = [{"order_detail_id": own.detail["id_key"], "quantity": 1}]
    return_id = shelf.made(shelf.staff, f"{path}/returns", lines=lines)["return_id"]
    one, mine = f"/returns/{return_id}", f"/returns?client_id={own.client['id_key']}"
    for caller in (own.caller, shelf.staff):
        assert shop(caller, "GET", one).json()["lines"][0]["amount"] == own.bill["total"]
        for listed in (mine, f"/returns?order_id={own.order['id_key']}", f"{path}/returns"):
            assert [row["id_key"] for row in shop(caller, "GET", listed).json()] == [return_id]
    assert [row["id_key"] for row in shop(own.caller, "GET", "/returns").json()] == [return_id]
    refused(shop(other.caller, "GET", one), 404, f"Return with id {return_id} not found")
    refused(shop(other.caller, "GET", f"{path}/returns"), 404, f"Order with id {own.order['id_key']} not found")
    for listed in ("/returns", mine):
        assert shop(other.caller, "GET", listed).json() == []
        refused(shop(None, "GET", listed), 401)


def test_shipments_are_seen_by_whose_order_they_are_of(
    shop: GuardedShop, shelf: Shelf, own: Customer, other: Customer
) -> None:
    path = f"/orders/{own.order['id_key']}"
    refused(shop(own.caller, "POST", f"{path}/shipments", json={}), 403, "orders:write")
    shipment = shelf.shipped(own.order)
    one, mine = f"/shipments/{shipment['id_key']}", f"/shipments?client_id={own.client['id_key']}"
    refused(shop(own.caller, "PATCH", one, json={"delivered_at": "2100-01-01"}), 403, "orders:write")
    for caller in (own.caller, shelf.staff):
        assert shop(caller, "GET", one).json() == shipment
        for listed in (mine, f"/shipments?order_id={own.order['id_key']}", f"{path}/shipments"):
            assert shop(caller, "GET", listed).json() == [shipment]
    refused(shop(other.caller, "GET", one), 404, f"Shipment with id {shipment['id_key']} not found")
    refused(shop(other.caller, "GET", f"{path}/shipments"), 404, f"Order with id {own.order['id_key']} not found")
    for listed in ("/shipments", mine):
        assert shop(other.caller, "GET", listed).json() == []
        refused(shop(None, "GET", listed), 401)


def test_an_order_that_is_being_packed_is_canceled_by_staff_only(
    shop: GuardedShop, shelf: Shelf, own: Customer
) -> None:
    path = f"/orders/{own.order['id_key']}"
    assert shop(shelf.staff, "POST", f"{path}/advance").json()["status"] == 2
    refused(
        shop(own.caller, "POST", f"{path}/cancel"), 409, "cannot go from IN_PROGRESS to CANCELED", "status_conflict"
    )
    assert shop(shelf.staff, "POST", f"{path}/cancel").json()["status"] == 4


def test_orders_and_what_belongs_to_them_are_only_read(shop: GuardedShop, own: Customer) -> None:
    rows = {"orders": own.order, "order_details": own.detail, "bills": own.bill}
    for resource, row in rows.items():
        for method in ("PUT", "PATCH", "DELETE"):
            body = None if method == "DELETE" else row
            refused(
                shop(own.caller, method, f"/{resource}/{row['id_key']}", json=body),
                403,
                "orders:write" if resource != "bills" else "bills:write",
            )
        refused(shop(own.caller, "POST", f"/{resource}", json=row), 403)


def test_what_is_for_staff_stays_theirs(shop: GuardedShop, shelf: Shelf, own: Customer) -> None:
    stock = f"/products/{shelf.product['id_key']}"
    refused(shop(own.caller, "GET", f"{stock}/stock_movements"), 403, "stock:read")
    refused(shop(own.caller, "POST", f"{stock}/stock", json={"delta": 1}), 403, "stock:write")
    for resource in ("clients", "products", "categories"):
        sent = [{"id_key": own.client["id_key"], "name": "x"}]
        refused(shop(own.caller, "PATCH", f"/{resource}/bulk", json=sent), 403)
        refused(shop(own.caller, "POST", f"/{resource}/bulk", json=sent), 403)
        refused(shop(own.caller, "POST", f"/{resource}/bulk_delete", json=sent), 403)


def test_no_filter_and_no_expansion_shows_rows_of_others(shop: GuardedShop, own: Customer, other: Customer) -> None:
    theirs, mine = other.client["id_key"], own.client["id_key"]
    for path in (
        f"/orders?client_id={theirs}",
        f"/orders?id_key={other.order['id_key']}",
        f"/orders?bill_id={other.bill['id_key']}&expand=order_details,bill,client",
        f"/order_details?order_id={other.order['id_key']}",
        f"/bills?bill_number={other.bill['bill_number']}",
        f"/bills?client_id={theirs}&sort=-date",
        f"/addresses?client_id={theirs}",
        f"/addresses?city={other.canary}",
        f"/clients?id_key={theirs}",
        f"/clients?name={other.canary}",
        f"/clients?email={other.client['email']}",
    ):
        response = shop(own.caller, "GET", path)
        assert (response.status_code, response.json(), response.headers["x-total-count"]) == (200, [], "0"), path
    both = shop(own.caller, "GET", f"/orders?client_id={theirs},{mine}&expand=order_details,bill,client").json()
    assert [order["id_key"] for order in both] == [own.order["id_key"]]
    assert both[0]["client"]["id_key"] == mine
    assert both[0]["bill"]["id_key"] == own.bill["id_key"]
    assert both[0]["order_details"] == [own.detail]
    refused(shop(own.caller, "GET", f"/clients/{theirs}/orders"), 404, f"Client with id {theirs} not found")
    assert shop(own.caller, "GET", f"/clients/{mine}/orders").headers["x-total-count"] == "1"
    for path, row in (("addresses", own.address), ("bills", own.bill)):
        refused(shop(own.caller, "GET", f"/clients/{theirs}/{path}"), 404, f"Client with id {theirs} not found")
        assert shop(own.caller, "GET", f"/clients/{mine}/{path}").json() == [row]


def test_the_bill_of_an_order_is_that_of_its_client(
    shop: GuardedShop, shelf: Shelf, own: Customer, other: Customer
) -> None:
    for name, client_id in (("without a client", None), ("of another", other.client["id_key"])):
        bill = shelf.made(shelf.staff, "/bills", total=1, payment_type="cash")
        order = shelf.made(
            shelf.staff, "/orders", delivery_method=1, client_id=own.client["id_key"], bill_id=bill["id_key"]
        )
        # As earlier releases let it be.
        execute(shop.database_url, "UPDATE bills SET client_id = %s WHERE id_key = %s", client_id, bill["id_key"])
        shown = shop(own.caller, "GET", f"/orders/{order['id_key']}?expand=bill").json()["bill"]
        alone = shop(own.caller, "GET", f"/bills/{bill['id_key']}")
        is_own = name == "without a client"
        assert (shown, alone.status_code) == ((alone.json(), 200) if is_own else (None, 404))


def test_a_program_sees_inside_an_order_what_its_key_allows(shop: GuardedShop, own: Customer) -> None:
    reads_orders, reads_all = shop.key("orders:read"), shop.key("orders:read", "bills:read", "clients:read")
    for path in ("/orders?", f"/orders/{own.order['id_key']}?", f"/clients/{own.client['id_key']}/orders?"):
        assert shop(reads_orders, "GET", f"{path}expand=order_details").status_code == 200
        for name in ("bill", "client"):
            # Twice, because the second time the route is known.
            for _ in range(2):
                assert shop(reads_all, "GET", f"{path}expand={name}").status_code == 200
                refused(shop(reads_orders, "GET", f"{path}expand={name}"), 403, f"{name}s:read")


# -- reviews ---------------------------------------------------------------------------------------


def review(shop: GuardedShop, caller: Caller | None, product: Row, **given: Any) -> Any:
    return shop(caller, "POST", "/reviews", json={"rating": 3, "product_id": product["id_key"], **given})


def test_a_product_that_was_bought_is_reviewed_once(shop: GuardedShop, shelf: Shelf, own: Customer) -> None:
    assert own.review["client_id"] == own.client["id_key"]
    refused(review(shop, own.caller, shelf.product), 409, "already exists", "already_exists")
    refused(review(shop, own.caller, shelf.other), 403, "not among those that you have bought")
    refused(review(shop, own.caller, shelf.hidden), 404, "Product with id")
    refused(review(shop, own.caller, {"id_key": 999_999}), 404, "Product with id")
    refused(review(shop, None, shelf.product), 401)
    refused(review(shop, shelf.staff, shelf.product), 403)
    shown = shop(None, "GET", f"/reviews?product_id={shelf.product['id_key']}&limit=1000").json()
    assert own.review in shown


def test_what_was_canceled_was_not_bought(shop: GuardedShop, shelf: Shelf) -> None:
    _, caller = shelf.a_user()
    order = shelf.placed(caller)
    shop(caller, "POST", f"/orders/{order['id_key']}/cancel")
    refused(review(shop, caller, shelf.product), 403)
    shelf.placed(caller)
    assert review(shop, caller, shelf.product).status_code == 201


def test_a_review_stays_with_its_author_and_what_they_bought(
    shop: GuardedShop, shelf: Shelf, own: Customer, other: Customer
) -> None:
    path = f"/reviews/{own.review['id_key']}"
    whole = shop(own.caller, "GET", path).json()
    assert shop(own.caller, "PUT", path, json={**whole, "rating": 1}).json()["rating"] == 1
    for author in (other.client["id_key"], None):
        refused(shop(own.caller, "PATCH", path, json={"client_id": author}), 422)
    refused(shop(own.caller, "PATCH", path, json={"product_id": shelf.other["id_key"]}), 403)
    assert shop(own.caller, "DELETE", path).status_code == 204
    for author in (other.client["id_key"], 999_999):
        refused(review(shop, own.caller, shelf.product, client_id=author), 422)
    assert review(shop, own.caller, shelf.product, client_id=own.client["id_key"]).status_code == 201


def test_whoever_may_write_the_catalog_removes_reviews(shop: GuardedShop, shelf: Shelf, own: Customer) -> None:
    path = f"/reviews/{own.review['id_key']}"
    refused(shop(shop.key("orders:write"), "DELETE", path), 403, "catalog:write")
    refused(shop(shelf.staff, "PATCH", path, json={"rating": 1}), 403)
    assert shop(shop.key("catalog:write"), "DELETE", path).status_code == 204


def test_reviews_tell_nothing_of_products_that_are_not_on_sale(shop: GuardedShop, shelf: Shelf) -> None:
    own = shelf.a_customer()
    product = shelf.a_product()
    shelf.placed(own.caller, lines=[{"product_id": product["id_key"], "quantity": 1}])
    path = f"/reviews/{review(shop, own.caller, product).json()['id_key']}"
    listed = f"/reviews?product_id={product['id_key']}"
    for is_active, numbers in ((False, "010"), (True, "111")):
        shop(shelf.staff, "PATCH", f"/products/{product['id_key']}", json={"active": is_active})
        callers = (None, shelf.staff, own.caller)
        assert "".join(shop(caller, "GET", listed).headers["x-total-count"] for caller in callers) == numbers
        codes = [shop(caller, "GET", path).status_code for caller in callers]
        assert codes == ([200, 200, 200] if is_active else [404, 200, 404])
        below = f"/products/{product['id_key']}/reviews"
        assert [shop(caller, "GET", below).status_code for caller in callers] == codes
        among = f"/categories/{product['category_id']}/products?id_key={product['id_key']}"
        assert "".join(shop(caller, "GET", among).headers["x-total-count"] for caller in callers) == (
            "111" if is_active else "010"
        )
    # What one has written oneself one can take back all the same.
    shop(shelf.staff, "PATCH", f"/products/{product['id_key']}", json={"active": False})
    assert shop(own.caller, "DELETE", path).status_code == 204


# -- the rest --------------------------------------------------------------------------------------


def test_a_client_with_a_user_is_not_deleted(shop: GuardedShop, shelf: Shelf) -> None:
    client, caller = shelf.a_user()
    path = f"/clients/{client['id_key']}"
    refused(shop(shelf.staff, "DELETE", path), 409, "it still has users", "conflict")
    sent = [{"id_key": client["id_key"]}]
    refused(shop(shelf.staff, "POST", "/clients/bulk_delete", json=sent), 409, "it still has users", "conflict")
    execute(shop.database_url, "DELETE FROM users WHERE id_key = %s", caller.id)
    assert shop(shelf.staff, "DELETE", path).status_code == 204


def test_the_same_key_of_another_caller_is_another(
    shop: GuardedShop, shelf: Shelf, own: Customer, other: Customer
) -> None:
    for key in ("k1", "k" * 255):
        headers = {"Idempotency-Key": key}
        body = {"street": "1", "city": "2"}
        firsts = [
            shop(caller, "POST", "/addresses", json=body, headers=headers) for caller in (own.caller, other.caller)
        ]
        assert [first.json()["client_id"] for first in firsts] == [own.client["id_key"], other.client["id_key"]]
        for caller, first in zip((own.caller, other.caller), firsts, strict=True):
            again = shop(caller, "POST", "/addresses", json=body, headers=headers)
            assert (again.headers["idempotent-replayed"], again.json()) == ("true", first.json())
        orders = [
            shop(caller, "POST", "/checkout", json=shelf.checkout(), headers={"Idempotency-Key": f"o{key[1:]}"})
            for caller in (own.caller, other.caller, own.caller, other.caller)
        ]
        assert [order.status_code for order in orders] == [201] * 4
        assert [order.json()["client_id"] for order in orders] == [own.client["id_key"], other.client["id_key"]] * 2
        assert orders[0].json() == orders[2].json()
    kept = rows_of(shop.database_url, "SELECT key FROM idempotency_keys WHERE key LIKE %s", f"user:{own.caller.id} %")
    assert len(kept) == 4
    assert all(len(key) <= 255 for (key,) in kept)


def test_a_disabled_user_gets_no_kept_reply(shop: GuardedShop, shelf: Shelf, own: Customer) -> None:
    headers = {"Idempotency-Key": "kept"}
    assert shop(own.caller, "POST", "/checkout", json=shelf.checkout(), headers=headers).status_code == 201
    execute(shop.database_url, "UPDATE users SET is_active = false WHERE id_key = %s", own.caller.id)
    # The news of a change by another program takes a moment.
    while shop(own.caller, "POST", "/checkout", json=shelf.checkout(), headers=headers).status_code == 201:
        pass
    refused(shop(own.caller, "POST", "/checkout", json=shelf.checkout(), headers=headers), 401)
