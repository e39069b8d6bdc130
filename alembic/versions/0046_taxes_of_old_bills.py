"""Bills of before say that all of their totals was taxed at the rate 0, where their orders went to.

Revision ID: 0046
Revises: 0045
"""

from alembic import op
from infrastructure.database.migration_steps import in_portions

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

# Nothing else of a bill may change without its taxes.
_BILLS = """
    UPDATE bills SET taxes = CASE
        WHEN total IN (0, 'NaN') THEN '[]'
        ELSE concat('[{"country":"', coalesce((
                SELECT ship_to ->> 'country' FROM orders WHERE orders.bill_id = coalesce(bills.refunds_bill_id, bills.id_key)
            ), shop_country()), '","rate":', 0.000, ',"vat_category":"Z","net":', total, ',"tax":', 0.00, ',"gross":', total, '}]')
    END::json
    WHERE taxes IS NULL AND id_key BETWEEN :first AND :last
"""
_CHECKS = (
    ("order_details", "tax_included_not_negative"),
    ("order_details", "tax_included_is_a_number"),
    ("orders", "shipping_tax_rate_known"),
    ("return_lines", "tax_included_is_a_number"),
    ("bill_lines", "tax_included_is_a_number"),
)


def upgrade() -> None:
    in_portions(op.get_context(), "bills", _BILLS)
    # These read the tables, and let others write to them.
    for table, name in _CHECKS:
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT ck_{table}_{name}")
    op.execute("ALTER TABLE bills ADD CONSTRAINT taxes_are_there CHECK (taxes IS NOT NULL) NOT VALID")
    op.execute("ALTER TABLE bills VALIDATE CONSTRAINT taxes_are_there")
    # With what is validated, nothing has to be read while the table is locked.
    op.execute("ALTER TABLE bills ALTER COLUMN taxes SET NOT NULL")
    op.execute("ALTER TABLE bills DROP CONSTRAINT taxes_are_there")


def downgrade() -> None:
    op.execute("ALTER TABLE bills ALTER COLUMN taxes DROP NOT NULL")
