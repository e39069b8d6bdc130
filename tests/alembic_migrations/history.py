"""Moves a database along the history of its schema, and fills it with rows as old versions of the shop left them."""

import sys
from pathlib import Path

from alembic import command
from infrastructure.database.migrations import alembic_config, maintenance_connection
from tests.race.databases import execute, rows_of

_VERSIONS = Path(__file__).parents[2] / "alembic" / "versions"
REVISIONS = ("base", *sorted(path.name[:4] for path in _VERSIONS.glob("[0-9]*.py")))

TABLES = {
    "0001": {
        "addresses",
        "bill_counters",
        "bills",
        "categories",
        "clients",
        "order_details",
        "orders",
        "products",
        "reviews",
    },
}
TABLES["base"] = set()
TABLES["0002"] = TABLES["0001"]
TABLES["0003"] = TABLES["0002"] | {"stock_movements", "idempotency_keys"}
TABLES["0004"] = TABLES["0003"]
TABLES["0005"] = TABLES["0004"]
TABLES["0006"] = TABLES["0005"]
TABLES["0007"] = TABLES["0006"]
TABLES["0008"] = TABLES["0007"]
TABLES["0009"] = TABLES["0008"]
TABLES["0010"] = TABLES["0009"]
TABLES["0011"] = TABLES["0010"]
TABLES["0012"] = TABLES["0011"]
TABLES["0013"] = TABLES["0012"]
TABLES["0014"] = TABLES["0013"] | {"users", "user_sessions", "account_tokens", "api_keys", "audit_entries"}
TABLES["0015"] = TABLES["0014"] | {"outgoing_mails"}
TABLES["0016"] = TABLES["0015"]
TABLES["0017"] = TABLES["0016"] | {"events", "price_changes"}
TABLES["0018"] = TABLES["0017"] | {
    "job_notes",
    "job_schedules",
    "event_relays",
    "procrastinate_events",
    "procrastinate_jobs",
    "procrastinate_periodic_defers",
    "procrastinate_workers",
}
TABLES["0019"] = TABLES["0018"]
TABLES["0020"] = TABLES["0019"]
TABLES["0021"] = TABLES["0020"]
TABLES["0022"] = TABLES["0021"]
TABLES["0023"] = TABLES["0022"] | {"returns", "return_lines"}
TABLES["0024"] = TABLES["0023"]
TABLES["0025"] = TABLES["0024"]
TABLES["0026"] = TABLES["0025"]
TABLES["0027"] = TABLES["0026"]
TABLES["0028"] = TABLES["0027"]
TABLES["0029"] = TABLES["0028"]
TABLES["0030"] = TABLES["0029"] | {"daily_sales", "sales_changes"}
TABLES["0031"] = TABLES["0030"]
TABLES["0032"] = TABLES["0031"] | {"payments"}
TABLES["0033"] = TABLES["0032"]
TABLES["0034"] = TABLES["0033"]
TABLES["0035"] = TABLES["0034"]
TABLES["0036"] = TABLES["0035"]
TABLES["0037"] = TABLES["0036"] | {"shipments", "shipment_lines"}
TABLES["0038"] = TABLES["0037"] | {"shipping_rates"}
TABLES["0039"] = TABLES["0038"]
TABLES["0040"] = TABLES["0039"]
TABLES["0041"] = TABLES["0040"] | {"bill_lines"}
TABLES["0042"] = TABLES["0041"] | {"webhook_endpoints", "webhook_deliveries"}
TABLES["0043"] = TABLES["0042"]
TABLES["0044"] = TABLES["0043"] | {"tax_classes"}
TABLES["0045"] = TABLES["0044"]
TABLES["0046"] = TABLES["0045"]
TABLES["0047"] = TABLES["0046"] | {"notifications"}
TABLES["0048"] = TABLES["0047"] | {"releases"}

# An open order of 3 and a canceled one of 2 of the first product, of which 7 are left; none of the second was ever sold.
OLD_ROWS = """
    INSERT INTO clients (name, lastname, email, email_key) VALUES ('Ada', 'Lovelace', 'Ada@x.org', 'ada@x.org');
    INSERT INTO addresses (street, city, client_id) VALUES ('High Street', 'London', 1);
    INSERT INTO categories (name) VALUES ('Lighting');
    INSERT INTO products (name, price, stock, category_id) VALUES ('Lamp', 10, 7, 1), ('Shade', 5, 4, 1), ('Bulb', 1, 0, 1);
    INSERT INTO reviews (rating, product_id) VALUES (4.5, 1);
    INSERT INTO bills (bill_number, total, payment_type) VALUES ('BILL-2025-000001', 30, 'card'), ('OLD-2', 20, 'cash');
    INSERT INTO bill_counters (kind, year, last_number) VALUES ('sale', 2025, 1);
    INSERT INTO orders (total, delivery_method, status, client_id, bill_id) VALUES (30, 3, 2, 1, 1), (20, 1, 4, 1, 2);
    INSERT INTO order_details (quantity, price, order_id, product_id) VALUES (3, 10, 1, 1), (2, 10, 2, 1);
"""
# One piece of the open order came back, and a credit bill was made.
A_RETURN = """
    INSERT INTO bills (bill_number, total, payment_type, client_id, kind, refunds_bill_id)
    VALUES ('CREDIT-2026-000001', 10, 'card', 1, 'credit', 1);
    INSERT INTO bill_counters (kind, year, last_number) VALUES ('credit', 2026, 1);
    UPDATE order_details SET returned_quantity = 1 WHERE id_key = 1;
    UPDATE orders SET returned_total = 10 WHERE id_key = 1;
    UPDATE products SET stock = stock + 1 WHERE id_key = 1;
    INSERT INTO stock_movements (product_id, delta, reason, order_detail_id) VALUES (1, 1, 'return', 1);
"""


def move(url: str, revision: str) -> None:
    """Bring the database to `revision`, up or down."""
    with maintenance_connection(url) as connection:
        up = REVISIONS.index(revision) > REVISIONS.index(revision_of(url))
        (command.upgrade if up else command.downgrade)(alembic_config(connection), revision)


def revision_of(url: str) -> str:
    """Where the database stands; `base` when it holds nothing."""
    if not rows_of(url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public' AND tablename = 'alembic_version'"):
        return "base"
    versions = rows_of(url, "SELECT version_num FROM alembic_version")
    return str(versions[0][0]) if versions else "base"


def check(url: str) -> None:
    """Raise when the models and the database differ."""
    with maintenance_connection(url) as connection:
        config = alembic_config(connection)
        # Alembic's own is that of the moment of its import, perhaps of a test that is over.
        config.stdout = sys.stdout
        command.check(config)


def tables_of(url: str) -> set[str]:
    """The tables of the shop that are there."""
    names = rows_of(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in names} - {"alembic_version"}


def counts_of(url: str, tables: set[str]) -> dict[str, int]:
    """How many rows each of the tables has."""
    return {table: rows_of(url, f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def fill(url: str) -> None:
    """Put the old rows in."""
    execute(url, OLD_ROWS)


def return_goods(url: str) -> None:
    """Have a piece come back, as the newest shop books it."""
    execute(url, A_RETURN)
