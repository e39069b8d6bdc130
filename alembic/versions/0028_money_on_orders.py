"""Orders show the figures of their bills, and bills what is shipping, tax and paid.

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_MONEY = sa.Numeric(12, 2)
# Column of `orders`, and the SQL of the same figure of a bill.
_FIGURES = {
    "discount": "discount",
    "shipping": "shipping",
    "tax_included": "tax",
    "to_pay": "total",
    "refunded": "refunded",
    "net": "total - {bill}refunded",
    "paid": "paid",
    "payment_status": "payment_status",
}
_AMOUNTS = [name for name in _FIGURES if name != "payment_status"]
_OF_BILLS = ("shipping", "tax", "paid")
_KNOWN = "payment_status IN ('unpaid', 'partly_paid', 'paid', 'refunded')"

# Rows may be restored without a search path, so the functions name the schema of the tables.
_IN_SCHEMA = "DO $do$ BEGIN EXECUTE format($function${text}$function$, current_schema()); END $do$"
_SECURE = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"
_SET_PAYMENT_STATUS = """
CREATE FUNCTION set_payment_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.payment_status := CASE
        WHEN NEW.refunded > 0 AND NEW.refunded >= NEW.total THEN 'refunded'
        WHEN NEW.paid >= NEW.total - NEW.refunded THEN 'paid'
        WHEN NEW.paid > 0 THEN 'partly_paid'
        ELSE 'unpaid'
    END;
    RETURN NEW;
END
$$
"""
# The bill is locked against changes, so that none is missed that is under way.
_TAKE_FIGURES = f"""
CREATE FUNCTION take_figures() RETURNS trigger {_SECURE} AS $$
BEGIN
    SELECT {", ".join(of_bill.format(bill="") for of_bill in _FIGURES.values())}
    INTO {", ".join(f"NEW.{name}" for name in _FIGURES)}
    FROM %1$I.bills WHERE id_key = NEW.bill_id FOR SHARE;
    IF NOT FOUND THEN
        -- The foreign key refuses it.
        {" ".join(f"NEW.{name} := 0;" for name in _AMOUNTS)} NEW.payment_status := 'unpaid';
    END IF;
    RETURN NEW;
END
$$
"""
_CARRY_FIGURES = f"""
CREATE FUNCTION carry_figures() RETURNS trigger {_SECURE} AS $$
BEGIN
    UPDATE %1$I.orders SET {", ".join(f"{name} = NEW.{of_bill.format(bill='NEW.')}" for name, of_bill in _FIGURES.items())}
    WHERE bill_id = NEW.id_key;
    RETURN NULL;
END
$$
"""
_CARRIED = ("discount", "shipping", "tax", "total", "refunded", "paid", "payment_status")
_DECIDING = ("total", "refunded", "paid")


def _differ(*columns: str) -> str:
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    return f"({old}) IS DISTINCT FROM ({new})"


# The checkout gives all figures, and calls no function.
_TRIGGERS = (
    ("bills", "set_status_of_new", "BEFORE INSERT", "NEW.payment_status IS NULL", "set_payment_status"),
    ("bills", "set_status", f"BEFORE UPDATE OF {', '.join(_DECIDING)}", _differ(*_DECIDING), "set_payment_status"),
    ("orders", "take_figures_of_new", "BEFORE INSERT", "NEW.to_pay IS NULL", "take_figures"),
    ("orders", "take_figures", "BEFORE UPDATE OF bill_id", "OLD.bill_id <> NEW.bill_id", "take_figures"),
    ("bills", "carry_figures", f"AFTER UPDATE OF {', '.join(_CARRIED)}", _differ(*_CARRIED), "carry_figures"),
)


def upgrade() -> None:
    for name in _OF_BILLS:
        op.add_column("bills", sa.Column(name, _MONEY, server_default="0", nullable=False))
        op.create_check_constraint(op.f(f"ck_bills_{name}_not_negative"), "bills", f"{name} >= 0")
        op.create_check_constraint(op.f(f"ck_bills_{name}_is_a_number"), "bills", f"{name} <> 'NaN'")
    for table, names in (("bills", ["payment_status"]), ("orders", list(_FIGURES))):
        for name in names:
            kind, value = (sa.String(11), "unpaid") if name == "payment_status" else (_MONEY, "0")
            # The rows that are there have the constant until the next migration: none of them is written by this one.
            op.add_column(table, sa.Column(name, kind, server_default=value, nullable=False))
            op.alter_column(table, name, server_default=None)
        op.create_check_constraint(op.f(f"ck_{table}_payment_status_known"), table, _KNOWN)
    op.create_check_constraint(op.f("ck_orders_figures_are_numbers"), "orders", f"'NaN' NOT IN ({', '.join(_AMOUNTS)})")
    op.execute(_SET_PAYMENT_STATUS)
    op.execute(_IN_SCHEMA.format(text=_TAKE_FIGURES))
    op.execute(_IN_SCHEMA.format(text=_CARRY_FIGURES))
    for table, name, moment, when, function in _TRIGGERS:
        op.execute(f"CREATE TRIGGER {name} {moment} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {function}()")


def downgrade() -> None:
    for table, name, *_ in reversed(_TRIGGERS):
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for function in ("carry_figures", "take_figures", "set_payment_status"):
        op.execute(f"DROP FUNCTION {function}()")
    for name in reversed(_FIGURES):
        op.drop_column("orders", name)
    for name in ("payment_status", *reversed(_OF_BILLS)):
        op.drop_column("bills", name)
