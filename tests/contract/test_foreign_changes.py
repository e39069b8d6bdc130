"""Rows that the shop has not changed itself: by SQL, or by an action of a foreign key. Versions and cached answers move."""

from collections.abc import Callable

import httpx
import pytest

from tests.builders import Builder, a_category, a_client, a_product, a_review, an_address, an_order
from tests.contract.answers import assert_problem, cached
from tests.infrastructure.processes import wait_for
from tests.race.databases import execute

pytestmark = pytest.mark.integration

# Columns that SQL changes below, with the new value, where it is not the column that tests usually change.
CHANGES = {
    "/products": ("price", 7.77),
    "/reviews": ("rating", 1.5),
    "/bills": ("total", 7.77),
    "/orders": ("total", 7.77),
    "/order_details": ("price", 7.77),
}


def seen_everywhere(client: httpx.Client, path: str, is_new: Callable[[httpx.Response], bool]) -> None:
    """Wait until the change is there, and then make sure that no worker gives the old answer any more."""
    wait_for(lambda: is_new(client.get(path)), "the change to be seen")
    for _ in range(20):
        assert is_new(client.get(path))


def test_sql_moves_the_version(client: httpx.Client, database_url: str, resource: Builder) -> None:
    row = resource(client)
    path = f"{resource.path}/{row['id_key']}"
    before = client.get(path)
    column, value = CHANGES.get(resource.path) or next(iter(resource.change(row).items()))
    execute(
        database_url,
        f"UPDATE {resource.path.removeprefix('/')} SET {column} = %s WHERE id_key = %s",
        value,
        row["id_key"],
    )
    seen_everywhere(client, path, lambda answer: answer.json()[column] == value)
    after = client.get(path, headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.json()["updated_at"] > row["updated_at"]
    assert_problem(client.put(path, json=resource.change(row), headers={"If-Match": before.headers["ETag"]}), 412)
    assert_problem(client.put(path, json=resource.change(row) | {"updated_at": row["updated_at"]}), 409)


@pytest.mark.parametrize("version", ["", ", updated_at = now()", ", updated_at = clock_timestamp()"])
def test_cached_answers_follow_sql(client: httpx.Client, database_url: str, version: str) -> None:
    product = a_product(client, price=5)
    path, page = f"/products/{product['id_key']}", f"/products?category_id={product['category_id']}"
    assert cached(client, path).json()["price"] == 5
    assert cached(client, page).json()[0]["price"] == 5
    execute(database_url, f"UPDATE products SET price = 6{version} WHERE id_key = {product['id_key']}")
    seen_everywhere(client, path, lambda answer: answer.json()["price"] == 6)
    seen_everywhere(client, page, lambda answer: answer.json()[0]["price"] == 6)


def test_cached_answers_follow_rows_that_sql_adds_and_removes(client: httpx.Client, database_url: str) -> None:
    category = a_category(client)
    path, page = f"/categories/{category['id_key']}", f"/products?category_id={category['id_key']}"
    assert cached(client, path).json() == category
    assert cached(client, page).json() == []
    make = "INSERT INTO products (name, price, category_id) VALUES ('Lamp', 5, %s)"
    execute(database_url, make, category["id_key"])
    seen_everywhere(client, page, lambda answer: answer.headers["X-Total-Count"] == "1")
    execute(database_url, "DELETE FROM products WHERE category_id = %s", category["id_key"])
    seen_everywhere(client, page, lambda answer: answer.headers["X-Total-Count"] == "0")
    execute(database_url, "DELETE FROM categories WHERE id_key = %s", category["id_key"])
    seen_everywhere(client, path, lambda answer: answer.status_code == 404)


def test_what_is_not_cached_is_seen_at_once(client: httpx.Client, database_url: str) -> None:
    review = a_review(client)
    path, page = f"/reviews/{review['id_key']}", f"/reviews?product_id={review['product_id']}"
    assert client.get(page).json() == [review]
    execute(database_url, "DELETE FROM reviews WHERE id_key = %s", review["id_key"])
    assert client.get(page).json() == []
    assert client.get(path).status_code == 404


def test_a_clients_deletion_moves_the_orders_that_used_its_addresses(client: httpx.Client, database_url: str) -> None:
    other = a_client(client)
    address = an_address(client, client_id=other["id_key"])
    order = an_order(client)
    path = f"/orders/{order['id_key']}"
    # The API gives no order another client's address; a program may.
    execute(database_url, f"UPDATE orders SET address_id = {address['id_key']} WHERE id_key = {order['id_key']}")
    before = client.get(path)
    assert before.json()["address_id"] == address["id_key"]
    assert client.delete(f"/clients/{other['id_key']}").status_code == 204

    after = client.get(path, headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status_code, after.json()["address_id"]) == (200, None)
    assert after.json()["updated_at"] > before.json()["updated_at"]
    change = {"delivery_method": 1}
    assert_problem(client.put(path, json=change, headers={"If-Match": before.headers["ETag"]}), 412)
    assert client.put(path, json=change, headers={"If-Match": after.headers["ETag"]}).status_code == 200
