"""Daily sales, and the days whose bills have changed.

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_IN_SCHEMA = "DO $do$ BEGIN EXECUTE format($function${text}$function$, current_schema()); END $do$"
_FUNCTION = (
    "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$"
    " BEGIN {statements} RETURN NULL; END $$"
)
_NOTE = "INSERT INTO %1$I.sales_changes (day) "
_OF_ORDERS = (
    _NOTE + "SELECT DISTINCT bills.date FROM {rows} JOIN %1$I.bills"
    " ON bills.id_key = {rows}.bill_id OR bills.refunds_bill_id = {rows}.bill_id;"
)
_OF_LINES = (
    _NOTE + "SELECT DISTINCT bills.date FROM changed JOIN %1$I.orders ON orders.id_key = changed.order_id JOIN %1$I.bills"
    " ON bills.id_key = orders.bill_id OR bills.refunds_bill_id = orders.bill_id;"
)
# What happens, to which table, and what is written down then: for all rows of a statement at once. A new order has no lines
# yet, or its bill is as new as it is; to add a line to an order, or to remove one, changes the order.
_OLD, _NEW = "REFERENCING OLD TABLE AS gone", "REFERENCING NEW TABLE AS changed"
_TRIGGERS = (
    ("note_new_bills", "bills", "INSERT", _NEW, _NOTE + "SELECT DISTINCT date FROM changed;"),
    (
        "note_changed_bills",
        "bills",
        "UPDATE",
        f"{_OLD} NEW TABLE AS changed",
        _NOTE + "SELECT date FROM gone UNION SELECT date FROM changed;",
    ),
    ("note_gone_bills", "bills", "DELETE", _OLD, _NOTE + "SELECT DISTINCT date FROM gone;"),
    ("note_changed_orders", "orders", "UPDATE", _NEW, _OF_ORDERS.format(rows="changed")),
    ("note_gone_orders", "orders", "DELETE", _OLD, _OF_ORDERS.format(rows="gone")),
    ("note_changed_lines", "order_details", "UPDATE", _NEW, _OF_LINES),
)


def upgrade() -> None:
    sums = ("gross", "discount", "shipping", "refunded", "tax")
    op.create_table(
        "daily_sales",
        sa.Column("dimension", sa.String(length=12), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("key", sa.String(length=20), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("orders", "units", "returned_units")),
        *(sa.Column(name, sa.Numeric(20, 2), nullable=False) for name in sums),
        sa.PrimaryKeyConstraint("dimension", "day", "key", name=op.f("pk_daily_sales")),
    )
    of_clients = sa.text("dimension = 'client' AND orders > 0")
    op.create_index("ix_daily_sales_client", "daily_sales", ["key", "day"], postgresql_where=of_clients)
    op.create_table("sales_changes", sa.Column("day", sa.Date(), nullable=False))
    op.create_index("ix_sales_changes_day", "sales_changes", ["day"])
    for name, table, event, rows, statements in _TRIGGERS:
        op.execute(_IN_SCHEMA.format(text=_FUNCTION.format(name=name, statements=statements)))
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON {table} {rows} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )
    # What is there already is computed by the background process, or when a report asks for it.
    op.execute("INSERT INTO sales_changes (day) SELECT DISTINCT date FROM bills")


def downgrade() -> None:
    for name, table, *_ in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
        op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("sales_changes")
    op.drop_table("daily_sales")
