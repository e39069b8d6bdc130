"""The tables as the database sees them: types, keys, checks, unique values, and an index where one is needed."""

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2 import errors

from infrastructure.embedded.servers import ServerUrls
from tests.alembic_migrations.history import OLD_ROWS, TABLES, return_goods
from tests.race.databases import execute, new_database

pytestmark = pytest.mark.integration

ROWS = TABLES["0001"] - {"bill_counters"} | {"returns", "shipments", "payments", "shipping_rates", "tax_classes"}
MONEY = {
    ("products", "price"),
    ("price_changes", "price"),
    ("price_changes", "old_price"),
    ("order_details", "price"),
    ("orders", "total"),
    ("orders", "returned_total"),
    ("bills", "total"),
    ("bills", "discount"),
    *(("orders", name) for name in ["discount", "shipping", "tax_included", "to_pay", "refunded", "net", "paid"]),
    *(("bills", name) for name in ["refunded", "shipping", "tax", "paid"]),
    *(("orders", name) for name in ["shipping_price", "shipping_free_from"]),
    *(("shipping_rates", name) for name in ["price", "free_from"]),
    ("order_details", "tax_included"),
    ("return_lines", "tax_included"),
    ("bill_lines", "tax_included"),
    ("return_lines", "amount"),
    ("payments", "amount"),
    ("bill_lines", "price"),
    ("bill_lines", "discount"),
}
REFERENCES = {
    ("job_notes", "job_id", "procrastinate_jobs"),
    ("addresses", "client_id", "clients"),
    ("products", "category_id", "categories"),
    ("products", "tax_class_id", "tax_classes"),
    ("categories", "tax_class_id", "tax_classes"),
    ("reviews", "product_id", "products"),
    ("bills", "client_id", "clients"),
    ("bills", "refunds_bill_id", "bills"),
    ("orders", "client_id", "clients"),
    ("orders", "bill_id", "bills"),
    ("orders", "address_id", "addresses"),
    ("order_details", "order_id", "orders"),
    ("order_details", "product_id", "products"),
    ("stock_movements", "product_id", "products"),
    ("returns", "order_id", "orders"),
    ("shipments", "order_id", "orders"),
    ("shipment_lines", "shipment_id", "shipments"),
    ("shipment_lines", "order_detail_id", "order_details"),
    ("returns", "credit_bill_id", "bills"),
    ("payments", "bill_id", "bills"),
    ("bill_lines", "bill_id", "bills"),
    ("bill_lines", "product_id", "products"),
    ("return_lines", "return_id", "returns"),
    ("return_lines", "order_detail_id", "order_details"),
    ("return_lines", "product_id", "products"),
    ("price_changes", "product_id", "products"),
    ("reviews", "client_id", "clients"),
    ("users", "client_id", "clients"),
    ("user_sessions", "user_id", "users"),
    ("account_tokens", "user_id", "users"),
    ("outgoing_mails", "token_id", "account_tokens"),
    ("webhook_endpoints", "user_id", "users"),
    ("webhook_deliveries", "endpoint_id", "webhook_endpoints"),
    ("notifications", "client_id", "clients"),
}
INDEXED = {
    ("products", "name"),
    ("products", "price"),
    ("clients", "name"),
    ("clients", "lastname"),
    ("addresses", "street"),
    ("orders", "date"),
    ("orders", "status"),
}
BROKEN_CHECKS = [
    "UPDATE products SET stock = -1",
    "UPDATE products SET price = 0",
    "UPDATE order_details SET quantity = 0",
    "UPDATE order_details SET price = 0",
    *(f"UPDATE order_details SET tax_rate = {rate}" for rate in ("-0.001", "100.001", "'NaN'")),
    "UPDATE order_details SET returned_quantity = quantity + 1",
    "UPDATE orders SET total = -0.01",
    "UPDATE orders SET returned_total = -0.01",
    "UPDATE orders SET status = 5",
    "UPDATE orders SET delivery_method = 0",
    "UPDATE bills SET total = -0.01",
    "UPDATE bills SET discount = -0.01",
    "UPDATE bills SET shipping = -0.01",
    "UPDATE bills SET tax = -0.01",
    "UPDATE order_details SET tax_included = -0.01",
    "UPDATE orders SET shipping_tax_rate = 100.001",
    "UPDATE bills SET paid = -0.01",
    "UPDATE orders SET payment_status = 'owed'",
    "UPDATE bills SET payment_type = 'gold'",
    "UPDATE bills SET refunded = -0.01",
    "UPDATE bills SET reason = 'luck'",
    "UPDATE bills SET kind = 'credit'",
    "UPDATE reviews SET rating = 5.01",
    "UPDATE reviews SET rating = -0.01",
    *(f"UPDATE {table} SET {column} = 'NaN'" for table, column in sorted(MONEY)),
    "UPDATE reviews SET rating = 'NaN'",
    "UPDATE payments SET amount = 0",
    "UPDATE bill_lines SET quantity = 0",
    "UPDATE bill_lines SET tax_rate = 100.001",
    "UPDATE payments SET method = 'gold'",
    "UPDATE return_lines SET quantity = 0",
    "UPDATE shipment_lines SET quantity = 0",
    "UPDATE shipping_rates SET price = -0.01",
    "UPDATE shipping_rates SET free_from = -0.01",
    "UPDATE shipping_rates SET delivery_method = 4",
    "UPDATE orders SET shipping_price = -0.01",
    "UPDATE return_lines SET shipped_quantity = quantity + 1",
    "UPDATE shipments SET delivered_at = shipped_at - interval '1 second'",
    "UPDATE return_lines SET amount = -0.01",
    "INSERT INTO stock_movements (product_id, delta, reason) VALUES (1, 0, 'edit')",
    "INSERT INTO stock_movements (product_id, delta, reason) VALUES (1, 1, 'luck')",
]
TAKEN = [
    "INSERT INTO clients (name, lastname, email, email_key) VALUES ('A', 'L', 'ADA@X.ORG', 'another')",
    "INSERT INTO clients (name, lastname, email, email_key) VALUES ('A', 'L', 'b@x.org', 'ada@x.org')",
    "INSERT INTO categories (name) VALUES ('Lighting')",
    "INSERT INTO bills (bill_number, total, payment_type) VALUES ('OLD-2', 1, 'card')",
    "INSERT INTO orders (delivery_method, client_id, bill_id) VALUES (1, 1, 1)",
    "UPDATE products SET sku = 'one for all'",
    "INSERT INTO returns (order_id, credit_bill_id) VALUES (1, 3)",
    "INSERT INTO return_lines SELECT * FROM return_lines",
    "INSERT INTO shipping_rates (delivery_method, price) VALUES (3, 1)",
    "INSERT INTO shipping_rates (delivery_method, price, country) VALUES (3, 1, 'PT')",
    "INSERT INTO bill_lines SELECT * FROM bill_lines",
]


@pytest.fixture(scope="module")
def filled(servers: ServerUrls) -> Iterator[psycopg2.extensions.connection]:
    """A connection to a migrated database with some rows, which never commits."""
    url = new_database(servers.database_url)
    execute(url, OLD_ROWS)
    return_goods(url)
    execute(url, "INSERT INTO returns (order_id, credit_bill_id) VALUES (1, 3)")
    execute(url, "INSERT INTO shipments (order_id) VALUES (1); INSERT INTO shipment_lines VALUES (1, 1, 1)")
    execute(url, "INSERT INTO return_lines VALUES (1, 1, 1, 1, 10)")
    execute(url, "INSERT INTO shipping_rates (delivery_method, country, price) VALUES (3, NULL, 5), (3, 'PT', 7)")
    execute(url, "INSERT INTO payments (bill_id, amount, method) VALUES (1, 1, 'cash')")
    execute(url, "INSERT INTO bill_lines VALUES (1, 1, 1, 'Lamp', NULL, 1, 10, 0, 0)")
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    yield connection
    connection.close()


def rows(connection: psycopg2.extensions.connection, query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    connection.rollback()
    return found


def columns(connection: psycopg2.extensions.connection) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Type, digits, decimals and identity of every column."""
    found = rows(
        connection,
        "SELECT table_name, column_name, data_type, numeric_precision, numeric_scale, is_identity, is_nullable "
        "FROM information_schema.columns WHERE table_schema = 'public'",
    )
    return {(table, column): tuple(rest) for table, column, *rest in found}


def test_keys_are_identities_of_64_bits(filled: psycopg2.extensions.connection) -> None:
    of = columns(filled)
    for table in ROWS | {"stock_movements"}:
        assert of[table, "id_key"][0] == "bigint", table
        assert of[table, "id_key"][3] == "YES", table
    keys = rows(filled, "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'p'")
    assert {table for (table,) in keys} >= ROWS


def test_money_is_numeric(filled: psycopg2.extensions.connection) -> None:
    of = columns(filled)
    assert {column for column, kind in of.items() if kind[:3] == ("numeric", 12, 2)} == MONEY


def test_times_have_a_time_zone(filled: psycopg2.extensions.connection) -> None:
    of = columns(filled)
    assert not [column for column, kind in of.items() if kind[0] == "timestamp without time zone"]
    for table in ROWS:
        for name in ("created_at", "updated_at"):
            assert of[table, name][0] == "timestamp with time zone"
            assert of[table, name][4] == "NO"
    assert of["orders", "date"][0] == "timestamp with time zone"
    assert of["bills", "date"][0] == "date"


def test_references_are_declared_and_each_has_an_index(filled: psycopg2.extensions.connection) -> None:
    found = rows(
        filled,
        "SELECT c.conrelid::regclass::text, a.attname, c.confrelid::regclass::text FROM pg_constraint c "
        "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f' "
        # The indexes of the queue are the library's affair.
        "AND c.conrelid::regclass::text NOT LIKE 'procrastinate%'",
    )
    assert set(found) == REFERENCES
    assert {(table, column) for table, column, _ in found} <= led_by_an_index(filled)


def test_what_lists_filter_and_sort_by_has_an_index(filled: psycopg2.extensions.connection) -> None:
    assert led_by_an_index(filled) >= INDEXED
    trigram = rows(filled, "SELECT indexdef FROM pg_indexes WHERE tablename = 'products' AND indexdef LIKE '%gin%'")
    assert any("gin_trgm_ops" in definition for (definition,) in trigram)


def led_by_an_index(connection: psycopg2.extensions.connection) -> set[tuple[str, str]]:
    """The columns that stand first in some B-tree."""
    found = rows(
        connection,
        "SELECT i.indrelid::regclass::text, a.attname FROM pg_index i "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
        "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam WHERE m.amname = 'btree'",
    )
    return {(table, column) for table, column in found}


@pytest.mark.parametrize("statement", BROKEN_CHECKS)
def test_the_database_checks_too(filled: psycopg2.extensions.connection, statement: str) -> None:
    with filled.cursor() as cursor, pytest.raises(errors.CheckViolation):
        cursor.execute(statement)
    filled.rollback()


@pytest.mark.parametrize("statement", TAKEN)
def test_unique_is_unique_in_the_database(filled: psycopg2.extensions.connection, statement: str) -> None:
    with filled.cursor() as cursor, pytest.raises(errors.UniqueViolation):
        cursor.execute(statement)
    filled.rollback()


def test_a_clients_addresses_and_a_products_reviews_go_with_them(filled: psycopg2.extensions.connection) -> None:
    with filled.cursor() as cursor:
        cursor.execute(
            "UPDATE bills SET client_id = NULL; DELETE FROM returns; DELETE FROM bill_lines; DELETE FROM shipments; DELETE FROM order_details; DELETE FROM orders; DELETE FROM clients; DELETE FROM products"
        )
        cursor.execute("SELECT (SELECT count(*) FROM addresses), (SELECT count(*) FROM reviews)")
        assert cursor.fetchone() == (0, 0)
    filled.rollback()


@pytest.mark.parametrize("table", ["clients", "categories", "products", "bills"])
def test_what_others_point_to_stays(filled: psycopg2.extensions.connection, table: str) -> None:
    with filled.cursor() as cursor, pytest.raises((errors.RestrictViolation, errors.ForeignKeyViolation)):
        cursor.execute(f"DELETE FROM {table}")
    filled.rollback()


@pytest.mark.parametrize("table", sorted(ROWS))
@pytest.mark.parametrize(
    "change", ["created_at = now()", "created_at = now(), updated_at = now()", "updated_at = '-infinity'"]
)
def test_whoever_changes_a_row_moves_its_version_on(
    filled: psycopg2.extensions.connection, table: str, change: str
) -> None:
    with filled.cursor() as cursor:
        versions = []
        for _ in range(5):
            cursor.execute(f"UPDATE {table} SET {change} WHERE id_key = 1 RETURNING updated_at")
            versions.append(cursor.fetchall()[0][0])
        assert versions == sorted(set(versions))
    filled.rollback()


@pytest.mark.parametrize("version", ["infinity", "294276-12-31 23:59:59.999999Z", "9999-06-01", "0044-03-15 BC"])
def test_the_version_moves_from_wherever_it_is(filled: psycopg2.extensions.connection, version: str) -> None:
    with filled.cursor() as cursor:
        cursor.execute("UPDATE orders SET updated_at = %s WHERE id_key = 1", (version,))
        cursor.execute(
            "UPDATE orders SET total = 1 WHERE id_key = 1 RETURNING clock_timestamp() - updated_at < '1 minute'"
        )
        assert cursor.fetchall() == [(True,)]
    filled.rollback()


def test_what_the_shop_moved_itself_stays_as_it_moved_it(filled: psycopg2.extensions.connection) -> None:
    with filled.cursor() as cursor:
        cursor.execute(
            "UPDATE orders SET updated_at = '2100-01-01Z' WHERE id_key = 1 RETURNING updated_at = '2100-01-01Z'"
        )
        assert cursor.fetchall() == [(True,)]
    filled.rollback()


def test_actions_of_foreign_keys_move_versions_too(filled: psycopg2.extensions.connection) -> None:
    with filled.cursor() as cursor:
        cursor.execute("UPDATE orders SET address_id = 1 WHERE id_key = 1 RETURNING updated_at")
        before = cursor.fetchall()
        cursor.execute("DELETE FROM addresses")
        cursor.execute("SELECT updated_at FROM orders WHERE id_key = 1 AND address_id IS NULL")
        assert cursor.fetchall() > before
    filled.rollback()


def test_a_line_of_a_release_that_names_none_is_named_as_its_product(filled: psycopg2.extensions.connection) -> None:
    with filled.cursor() as cursor:
        cursor.execute("UPDATE products SET sku = 'LAMP-9' WHERE id_key = 1")
        line = "INSERT INTO order_details (quantity, price, order_id, product_id{0}) VALUES (1, 1, 1, 1{1}) RETURNING name, sku"
        cursor.execute("SELECT name, sku FROM products WHERE id_key = 1")
        product = cursor.fetchone()
        cursor.execute(line.format("", ""))
        assert cursor.fetchone() == product
        cursor.execute(line.format(", name", ", 'As sold'"))
        assert cursor.fetchone() == ("As sold", None)
    filled.rollback()
