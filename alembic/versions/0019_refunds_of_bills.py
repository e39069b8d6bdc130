"""Refunds of bills: why a credit bill was made, and how much of a sale bill has been given back.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# Rows may be restored without a search path, so the function names the schema of the table.
_IN_SCHEMA = "DO $do$ BEGIN EXECUTE format($function${text}$function$, current_schema()); END $do$"
# The sale bill is locked by its change, so that two credit bills of one moment both count.
_ADD_REFUNDS = """
CREATE FUNCTION add_refunds() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE %1$I.bills SET refunded = refunded - OLD.total WHERE id_key = OLD.refunds_bill_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        UPDATE %1$I.bills SET refunded = refunded + NEW.total WHERE id_key = NEW.refunds_bill_id;
    END IF;
    RETURN NULL;
END
$$
"""
# Bills of sales call no function.
_TRIGGERS = {
    "add_refunds_of_new": "AFTER INSERT ON bills FOR EACH ROW WHEN (NEW.refunds_bill_id IS NOT NULL)",
    "add_refunds_of_changed": "AFTER UPDATE OF total, refunds_bill_id ON bills FOR EACH ROW"
    " WHEN ((OLD.refunds_bill_id IS NOT NULL OR NEW.refunds_bill_id IS NOT NULL)"
    " AND (OLD.total, OLD.refunds_bill_id) IS DISTINCT FROM (NEW.total, NEW.refunds_bill_id))",
    "add_refunds_of_deleted": "AFTER DELETE ON bills FOR EACH ROW WHEN (OLD.refunds_bill_id IS NOT NULL)",
}
_FILL_REFUNDED = """
    UPDATE bills SET refunded = credit.total FROM (
        SELECT refunds_bill_id, sum(total) AS total FROM bills WHERE refunds_bill_id IS NOT NULL GROUP BY refunds_bill_id
    ) AS credit WHERE bills.id_key = credit.refunds_bill_id
"""


def upgrade() -> None:
    op.add_column("bills", sa.Column("reason", sa.String(length=10), nullable=True))
    op.add_column("bills", sa.Column("refunded", sa.Numeric(12, 2), server_default="0", nullable=False))
    op.add_column("bills", sa.Column("order_deleted", sa.Boolean(), server_default="false", nullable=False))
    known = "reason IN ('canceled', 'deleted', 'returned')"
    op.create_check_constraint(op.f("ck_bills_reason_known"), "bills", known)
    op.create_check_constraint(op.f("ck_bills_refunded_not_negative"), "bills", "refunded >= 0")
    op.create_check_constraint(op.f("ck_bills_refunded_is_a_number"), "bills", "refunded <> 'NaN'")
    # Until now credit bills were made by returns alone.
    op.execute("UPDATE bills SET reason = 'returned' WHERE refunds_bill_id IS NOT NULL")
    op.execute(_FILL_REFUNDED)
    op.execute(_IN_SCHEMA.format(text=_ADD_REFUNDS))
    for name, moment in _TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {moment} EXECUTE FUNCTION add_refunds()")


def downgrade() -> None:
    for name in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON bills")
    op.execute("DROP FUNCTION add_refunds()")
    op.drop_column("bills", "order_deleted")
    op.drop_column("bills", "refunded")
    op.drop_column("bills", "reason")
