"""A database with so many rows that PostgreSQL's planner has a choice."""

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import session_on_rows

ROWS = 4000

# Every value of a filter is rare; 1 in 1000 has the rare status, method and payment type, is sold out, low or inactive.
_MANY_ROWS = f"""
    INSERT INTO clients (name, lastname, email, email_key)
    SELECT 'Name ' || n, 'Lastname ' || n, 'a' || n || '@x.org', 'a' || n || '@x.org' FROM generate_series(1, {ROWS}) n;
    INSERT INTO addresses (street, city, postcode, country, client_id)
    SELECT 'Street ' || n, 'City ' || n, 'PC ' || n, CASE WHEN n % 1000 = 0 THEN 'GB' ELSE 'ES' END, n FROM generate_series(1, {ROWS}) n;
    INSERT INTO categories (name) SELECT 'Category ' || n FROM generate_series(1, {ROWS}) n;
    INSERT INTO products (name, sku, price, stock, category_id, active, reorder_level)
    SELECT md5(n::text) || ' ' || md5((n * 7)::text), 'SKU-' || n, n, (n % 1000 <> 7)::int, n, n % 1000 <> 3, 0
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO reviews (rating, product_id)
    SELECT CASE WHEN n % 1000 = 0 THEN 5 ELSE n % 4 END, n FROM generate_series(1, {ROWS}) n;
    INSERT INTO bills (bill_number, date, total, payment_type, client_id)
    SELECT 'INV-' || n, '2020-01-01'::date + n, n, CASE WHEN n % 1000 = 0 THEN 'cash' ELSE 'card' END, n
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO orders (date, total, delivery_method, status, client_id, bill_id)
    SELECT '2020-01-01Z'::timestamptz + n * interval '1 hour', n, CASE WHEN n % 1000 = 0 THEN 2 ELSE 1 END,
        CASE WHEN n % 1000 = 0 THEN 4 ELSE 3 END, n, n
    FROM generate_series(1, {ROWS}) n;
    INSERT INTO bills (bill_number, date, total, payment_type, kind, refunds_bill_id)
    SELECT 'CR-' || n, '2020-01-01'::date + n, n, 'card', 'credit', n FROM generate_series(1000, {ROWS}, 1000) n;
    INSERT INTO order_details (quantity, price, name, order_id, product_id)
    SELECT 1, 1, 'Lamp', n, n FROM generate_series(1, {ROWS}) n;
    INSERT INTO stock_movements (product_id, delta, reason) SELECT n, 1, 'initial' FROM generate_series(1, {ROWS}) n;
"""
_TABLES = ("addresses", "bills", "categories", "clients", "order_details", "orders", "products", "reviews")
# Rows are made one after the other.
_MOMENTS = ";".join(
    f"UPDATE {table} SET created_at = '2020-01-01Z'::timestamptz + id_key * interval '1 minute'" for table in _TABLES
)


@pytest.fixture(scope="module")
def session(servers: ServerUrls) -> Iterator[Session]:
    """A session on a shop with thousands of rows of every kind, which the planner knows of."""
    with session_on_rows(servers, _MANY_ROWS, _MOMENTS) as session:
        yield session
