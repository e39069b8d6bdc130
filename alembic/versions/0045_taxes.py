"""Lines, shipping and bills say what tax is in them.

Revision ID: 0045
Revises: 0044
"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

_MONEY = sa.Numeric(12, 2)
# No row is written, and the constraints are looked at by the next revision. What is there was sold at the rate 0.
_COLUMNS = (
    ("order_details", "vat_category", sa.String(2), "Z"),
    ("order_details", "tax_included", _MONEY, "0"),
    ("orders", "shipping_tax_rate", sa.Numeric(6, 3), "0"),
    ("orders", "shipping_vat_category", sa.String(2), "Z"),
    ("return_lines", "tax_included", _MONEY, "0"),
    ("bill_lines", "vat_category", sa.String(2), "Z"),
    ("bill_lines", "tax_included", _MONEY, "0"),
)
_CHECKS = (
    ("order_details", "tax_included_not_negative", "tax_included >= 0"),
    ("order_details", "tax_included_is_a_number", "tax_included <> 'NaN'"),
    ("orders", "shipping_tax_rate_known", "shipping_tax_rate BETWEEN 0 AND 100"),
    ("return_lines", "tax_included_is_a_number", "tax_included <> 'NaN'"),
    ("bill_lines", "tax_included_is_a_number", "tax_included <> 'NaN'"),
)
# Rows may be restored without a search path, so the function names the schema of the other.
_SET_TAXES = """
DO $do$ BEGIN EXECUTE format($function$
CREATE FUNCTION set_taxes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.tax := 0;
    NEW.taxes := CASE
        WHEN NEW.total IN (0, 'NaN') THEN '[]'
        ELSE concat('[{"country":"', %1$I.shop_country(), '","rate":', 0.000, ',"vat_category":"Z","net":', NEW.total,
            ',"tax":', 0.00, ',"gross":', NEW.total, '}]')
    END;
    RETURN NEW;
END
$$
$function$, current_schema()); END $do$
"""
# Those who know of taxes give them with the total.
_TRIGGERS = (
    ("set_taxes_of_new", "BEFORE INSERT", "NEW.taxes IS NULL"),
    (
        "set_taxes",
        "BEFORE UPDATE OF total",
        "OLD.total <> NEW.total AND OLD.taxes::text IS NOT DISTINCT FROM NEW.taxes::text",
    ),
)


def upgrade() -> None:
    for table, name, kind, value in _COLUMNS:
        op.add_column(table, sa.Column(name, kind, server_default=value, nullable=False))
    for table, name, condition in _CHECKS:
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({condition}) NOT VALID")
    op.add_column("bills", sa.Column("taxes", sa.JSON(), nullable=True))
    op.execute(_SET_TAXES)
    for name, moment, when in _TRIGGERS:
        op.execute(
            f"CREATE TRIGGER {name} {moment} ON bills FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION set_taxes()"
        )


def downgrade() -> None:
    for name, *_ in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON bills")
    op.execute("DROP FUNCTION set_taxes()")
    op.drop_column("bills", "taxes")
    for table, name, *_ in reversed(_COLUMNS):
        op.drop_column(table, name)
