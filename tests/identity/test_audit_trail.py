"""The audit trail: every write of staff, administrators and keys, once, and nobody else's."""

from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url

from infrastructure.embedded.servers import ServerUrls
from tests.builders import a_category, a_client, a_product, unique
from tests.guarded_shop import Caller, GuardedShop, guarded_shop
from tests.jobs.queue_rows import a_job
from tests.race.databases import connected, execute, new_database

pytestmark = pytest.mark.integration

Entry = dict[str, Any]


@pytest.fixture(scope="module")
def admin(shop: GuardedShop) -> Caller:
    return shop.user("admin")


def made(shop: GuardedShop, admin: Caller, path: str, **body: Any) -> Any:
    response = shop(admin, "POST", path, json=body)
    assert response.status_code == 201, response.text
    return response.json()


@pytest.fixture(scope="module")
def product(shop: GuardedShop, admin: Caller) -> Any:
    category = made(shop, admin, "/categories", **a_category.sample())
    return made(shop, admin, "/products", **a_product.sample() | {"category_id": category["id_key"], "stock": 1000})


@pytest.fixture(scope="module")
def buyer(shop: GuardedShop, admin: Caller) -> Any:
    return made(shop, admin, "/clients", **a_client.sample())


@pytest.fixture(autouse=True)
def from_here_on(shop: GuardedShop, product: Any, buyer: Any) -> None:
    shop.entries()


def order_of(buyer: Any, product: Any, quantity: int = 1) -> Any:
    line = {"product_id": product["id_key"], "quantity": quantity}
    return {"client_id": buyer["id_key"], "delivery_method": 1, "payment_type": "cash", "lines": [line]}


def the_one(shop: GuardedShop) -> Entry:
    (entry,) = shop.entries()
    return entry


def test_a_new_row_by_a_single_statement(shop: GuardedShop, admin: Caller) -> None:
    name = unique("50 % 'off': a\\b")
    response = shop(admin, "POST", "/categories", json={"name": name})
    assert the_one(shop) == {
        "actor": f"user:{admin.id}",
        "action": "create_category",
        "resource": "categories",
        "resource_id": response.json()["id_key"],
        "changes": {"name": [None, name]},
        "request_id": response.headers["X-Request-ID"],
        "address": "127.0.0.1",
    }


def test_a_change_names_what_changed_and_nothing_else(shop: GuardedShop, product: Any) -> None:
    staff = shop.user("staff")
    body = {"price": 12.5, "name": product["name"]}
    response = shop(staff, "PATCH", f"/products/{product['id_key']}", json=body)
    assert response.status_code == 200
    entry = the_one(shop)
    assert (entry["actor"], entry["action"]) == (f"user:{staff.id}", "patch_product")
    assert entry["changes"] == {"price": [product["price"], 12.5]}
    shop(staff, "PUT", f"/products/{product['id_key']}", json={"price": product["price"]})
    assert the_one(shop)["action"] == "update_product"
    # What equals the stored value is no change.
    assert shop(staff, "PATCH", f"/products/{product['id_key']}", json={"price": product["price"]}).status_code == 200
    assert shop.entries() == []


def test_a_deletion_keeps_what_was_there(shop: GuardedShop, admin: Caller) -> None:
    category = made(shop, admin, "/categories", **a_category.sample())
    shop.entries()
    assert shop(admin, "DELETE", f"/categories/{category['id_key']}").status_code == 204
    entry = the_one(shop)
    assert (entry["action"], entry["resource_id"]) == ("delete_category", category["id_key"])
    assert entry["changes"] == {"name": [category["name"], None]}


def test_many_rows_have_an_entry_each(shop: GuardedShop, admin: Caller) -> None:
    rows = shop(admin, "POST", "/categories/bulk", json=[a_category.sample() for _ in range(2500)]).json()
    entries = shop.entries()
    assert [entry["resource_id"] for entry in entries] == [row["id_key"] for row in rows]
    assert {entry["action"] for entry in entries} == {"create_categories_in_bulk"}
    changes = [{"id_key": row["id_key"], "name": unique("Changed")} for row in rows[:2]]
    changes.append({"id_key": rows[2]["id_key"], "name": rows[2]["name"]})
    assert shop(admin, "PATCH", "/categories/bulk", json=changes).status_code == 200
    assert [(entry["resource_id"], entry["changes"]) for entry in shop.entries()] == [
        (row["id_key"], {"name": [row["name"], change["name"]]})
        for row, change in zip(rows[:2], changes[:2], strict=True)
    ]
    assert shop(admin, "POST", "/categories/bulk_delete", json=[{"id_key": rows[0]["id_key"]}]).status_code == 204
    assert the_one(shop)["changes"] == {"name": [changes[0]["name"], None]}


def test_many_rows_of_which_one_is_refused_have_no_entry(shop: GuardedShop, admin: Caller) -> None:
    taken = made(shop, admin, "/categories", **a_category.sample())
    shop.entries()
    bodies = [a_category.sample(), {"name": taken["name"]}]
    assert shop(admin, "POST", "/categories/bulk", json=bodies).status_code == 409
    assert shop.entries() == []


@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize("key", [None, "once"])
def test_a_checkout(shop: GuardedShop, admin: Caller, product: Any, buyer: Any, lines: int, key: str | None) -> None:
    body = order_of(buyer, product)
    if lines == 2:
        other = made(shop, admin, "/products", **a_product.sample() | {"category_id": product["category_id"]})
        body["lines"].append({"product_id": other["id_key"], "quantity": 1})
        shop.entries()
    headers = {} if key is None else {"Idempotency-Key": unique(key).replace(" ", "-")}
    order = shop(admin, "POST", "/checkout", json=body, headers=headers).json()
    entry = the_one(shop)
    assert (entry["action"], entry["resource"], entry["resource_id"]) == ("checkout", "orders", order["id_key"])
    assert entry["changes"]["client_id"] == [None, buyer["id_key"]]
    assert entry["changes"]["total"] == [None, order["total"]]
    if key is not None:
        again = shop(admin, "POST", "/checkout", json=body, headers=headers)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        assert shop.entries() == []


def test_a_checkout_of_several_statements(shop: GuardedShop, admin: Caller, product: Any, buyer: Any) -> None:
    address = made(shop, admin, "/addresses", street="High Street", city="London", client_id=buyer["id_key"])
    shop.entries()
    body = {**order_of(buyer, product), "address_id": address["id_key"]}
    order = made(shop, admin, "/checkout", **body)
    entry = the_one(shop)
    assert (entry["resource_id"], entry["changes"]["address_id"]) == (order["id_key"], [None, address["id_key"]])


def test_an_address_becomes_the_default_and_another_loses_it(
    shop: GuardedShop, admin: Caller, product: Any, buyer: Any
) -> None:
    where = {"street": "High Street", "city": "London", "client_id": buyer["id_key"]}
    first = made(shop, admin, "/addresses", **where, is_default=True)
    second = made(shop, admin, "/addresses", **where)
    shop.entries()
    shop(admin, "PATCH", f"/addresses/{second['id_key']}", json={"is_default": True, "country": "gb"})
    assert {(entry["resource"], entry["resource_id"]): entry["changes"] for entry in shop.entries()} == {
        ("addresses", first["id_key"]): {"is_default": [True, False]},
        ("addresses", second["id_key"]): {"is_default": [False, True], "country": ["ES", "GB"]},
    }
    third = made(shop, admin, "/addresses", **where, is_default=True)
    entries = {entry["resource_id"]: entry["changes"] for entry in shop.entries()}
    assert entries.keys() == {second["id_key"], third["id_key"]}
    assert entries[second["id_key"]] == {"is_default": [True, False]}
    order = made(shop, admin, "/checkout", **order_of(buyer, product) | {"delivery_method": 3})
    assert the_one(shop)["changes"]["address_id"] == [None, third["id_key"]] == [None, order["address_id"]]
    bill = made(shop, admin, "/bills", total=0, payment_type="cash")
    classic = made(shop, admin, "/orders", client_id=buyer["id_key"], bill_id=bill["id_key"], delivery_method=3)
    shop.entries()
    shop(admin, "PATCH", f"/orders/{classic['id_key']}", json={"address_id": first["id_key"]})
    changes = the_one(shop)["changes"]
    assert changes["address_id"] == [None, first["id_key"]]
    assert (changes["ship_to"][0], changes["ship_to"][1]["street"]) == (None, "High Street")


def test_what_happens_to_an_order(shop: GuardedShop, admin: Caller, product: Any, buyer: Any) -> None:
    order = made(shop, admin, "/checkout", **order_of(buyer, product, 2))
    other = made(shop, admin, "/checkout", **order_of(buyer, product))
    shop.entries()
    path = f"/orders/{order['id_key']}"
    shop(admin, "POST", f"{path}/advance")
    assert (entry := the_one(shop))["action"] == "advance_order"
    assert entry["changes"] == {"status": [1, 2]}
    line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}
    credit = shop(admin, "POST", f"{path}/returns", json={"lines": [line], "reason": "Broken"}).json()
    entries = shop.entries()
    assert [(entry["resource"], entry["resource_id"]) for entry in entries] == [
        ("orders", order["id_key"]),
        ("bills", credit["id_key"]),
        ("returns", credit["return_id"]),
    ]
    assert entries[2]["changes"]["reason"] == [None, "Broken"]
    assert entries[0]["changes"] == {"returned_total": [0, product["price"]]}
    shop(admin, "POST", f"/orders/{other['id_key']}/cancel")
    credit_entry, entry = shop.entries()
    assert (entry["action"], entry["changes"]) == ("cancel_order", {"status": [1, 4]})
    assert (credit_entry["action"], credit_entry["resource"]) == ("cancel_order", "bills")
    assert credit_entry["changes"]["reason"] == [None, "canceled"]


def test_a_change_of_the_stock_by_a_key(shop: GuardedShop, product: Any) -> None:
    key = shop.key("stock:write")
    stock = shop(None, "GET", f"/products/{product['id_key']}").json()["stock"]
    body = {"delta": 5, "reason": "receipt"}
    assert shop(key, "POST", f"/products/{product['id_key']}/stock", json=body).status_code == 200
    entry = the_one(shop)
    assert (entry["actor"], entry["action"]) == (f"key:{key.id}", "change_product_stock")
    assert entry["changes"] == {"stock": [stock, stock + 5]}


def test_a_repeat_writes_no_second_entry_and_a_refusal_none(
    shop: GuardedShop, admin: Caller, product: Any, buyer: Any
) -> None:
    headers = {"Idempotency-Key": unique("again").replace(" ", "-")}
    body = a_category.sample()
    for _ in range(3):
        assert shop(admin, "POST", "/categories", json=body, headers=headers).status_code == 201
    assert the_one(shop)["action"] == "create_category"
    assert shop(admin, "POST", "/categories", json=body).status_code == 409
    assert shop(admin, "POST", "/checkout", json=order_of(buyer, product, 100_000)).status_code == 400
    assert shop(admin, "DELETE", f"/categories/{product['category_id']}").status_code == 409
    assert shop(admin, "PATCH", f"/products/{product['id_key']}", json={"category_id": 10**9}).status_code == 404
    assert shop(shop.key("stock:read"), "POST", "/categories", json=a_category.sample()).status_code == 403
    assert shop.entries() == []


def test_with_auth_off_nothing_is_recorded(
    servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url, folder = new_database(servers.database_url), tmp_path_factory.mktemp("open")
    with guarded_shop(url, redis_url, folder) as guarded:
        admin = guarded.user("admin")
    with guarded_shop(url, redis_url, folder, AUTH="off") as shop:
        row = made(shop, admin, "/categories", **a_category.sample())
        assert shop(admin, "DELETE", f"/categories/{row['id_key']}").status_code == 204
        assert shop.entries() == []


def test_a_role_that_is_not_the_owner_only_adds_entries(
    servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    url = new_database(servers.database_url)
    role = f"shop_application_{make_url(url).database}"
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"CREATE ROLE {role} LOGIN PASSWORD 'of the tests';"
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};"
            f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}"
        )
    of_role = make_url(url).set(username=role, password="of the tests").render_as_string(hide_password=False)
    try:
        with guarded_shop(of_role, redis_url, tmp_path_factory.mktemp("role")) as shop:
            shop.database_url = url
            admin = shop.user("admin")
            row = made(shop, admin, "/categories", **a_category.sample())
            assert shop(admin, "PATCH", f"/categories/{row['id_key']}", json={"name": unique("x")}).status_code == 200
            for statement in (
                "UPDATE audit_entries SET actor = 'x'",
                "DELETE FROM audit_entries",
                "TRUNCATE audit_entries",
                "INSERT INTO audit_entries SELECT * FROM audit_entries ON CONFLICT (id_key) DO UPDATE SET actor = 'x'",
            ):
                with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.GeneratedAlways)):
                    execute(of_role, statement)
            assert [entry["action"] for entry in shop.entries()] == ["create_category", "patch_category"]
    finally:
        execute(url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_what_staff_does_to_their_own_account(shop: GuardedShop) -> None:
    staff = shop.user("staff")
    other = shop.log_in(staff.id)
    assert shop(staff, "PATCH", "/auth/me", json={"full_name": "Ada Lovelace"}).status_code == 200
    assert the_one(shop)["changes"] == {"full_name": [None, "Ada Lovelace"]}
    assert shop(staff, "DELETE", f"/auth/sessions/{other.session_id}").status_code == 204
    entry = the_one(shop)
    assert (entry["resource"], entry["resource_id"]) == ("user_sessions", other.session_id)
    # Login and logout are no entries: they change nothing but who is logged in.
    assert shop(staff, "POST", "/auth/logout").status_code == 204
    customer = shop.user("customer")
    assert shop(customer, "PATCH", "/auth/me", json={"full_name": "Ada"}).status_code == 200
    assert shop(customer, "POST", "/auth/logout").status_code == 204
    assert shop.entries() == []


def test_a_customer_leaves_no_entry(shop: GuardedShop, product: Any, buyer: Any) -> None:
    customer = shop.user("customer", buyer["id_key"])
    body = order_of(buyer, product)
    order = shop(customer, "POST", "/checkout", json=body)
    assert order.status_code == 201
    assert shop(customer, "POST", f"/orders/{order.json()['id_key']}/cancel").status_code == 200
    assert shop(customer, "PATCH", f"/clients/{buyer['id_key']}", json={"name": unique("Ada")}).status_code == 200
    assert shop(customer, "POST", "/reviews", json={"rating": 5, "product_id": product["id_key"]}).status_code in (
        201,
        403,
        409,
    )
    assert shop.entries() == []


def test_a_decision_about_a_job(shop: GuardedShop, admin: Caller) -> None:
    job = a_job(shop.database_url, "failed")["id_key"]
    assert shop(admin, "POST", f"/jobs/{job}/retry").status_code == 200
    entry = the_one(shop)
    assert (entry["action"], entry["resource"], entry["resource_id"]) == ("retry_job", "jobs", job)
    assert entry["changes"] == {"status": ["failed", "queued"]}
