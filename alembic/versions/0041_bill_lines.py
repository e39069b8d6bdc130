"""Bills keep the lines of an order that is deleted, and the country that it went to.

Revision ID: 0041
Revises: 0040
"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

# A worker of the release before does not name its lines. The foreign key says where there is no such product.
_NAME_LINE = """
DO $do$ BEGIN EXECUTE format($function$
CREATE FUNCTION name_line() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT name, sku INTO NEW.name, NEW.sku FROM %1$I.products WHERE id_key = NEW.product_id;
    NEW.name := coalesce(NEW.name, '');
    RETURN NEW;
END $$
$function$, current_schema()); END $do$
"""


def upgrade() -> None:
    op.add_column("bills", sa.Column("ship_to_country", sa.String(length=2), nullable=True))
    op.create_table(
        "bill_lines",
        sa.Column("bill_id", sa.BigInteger(), nullable=False),
        sa.Column("order_detail_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price", sa.Numeric(12, 2), nullable=False),
        sa.Column("discount", sa.Numeric(12, 2), nullable=False),
        sa.Column("tax_rate", sa.Numeric(6, 3), nullable=False),
        sa.CheckConstraint("discount <> 'NaN'", name=op.f("ck_bill_lines_discount_is_a_number")),
        sa.CheckConstraint("price <> 'NaN'", name=op.f("ck_bill_lines_price_is_a_number")),
        sa.CheckConstraint("price > 0", name=op.f("ck_bill_lines_price_positive")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_bill_lines_quantity_positive")),
        sa.CheckConstraint("tax_rate BETWEEN 0 AND 100", name=op.f("ck_bill_lines_tax_rate_known")),
        sa.ForeignKeyConstraint(
            ["bill_id"], ["bills.id_key"], name=op.f("fk_bill_lines_bill_id_bills"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id_key"], name=op.f("fk_bill_lines_product_id_products"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("bill_id", "order_detail_id", name=op.f("pk_bill_lines")),
    )
    op.create_index("ix_bill_lines_product_id", "bill_lines", ["product_id"])
    op.execute(_NAME_LINE)
    op.execute(
        "CREATE TRIGGER name_line BEFORE INSERT ON order_details FOR EACH ROW WHEN (NEW.name = '') "
        "EXECUTE FUNCTION name_line()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER name_line ON order_details")
    op.execute("DROP FUNCTION name_line()")
    op.drop_table("bill_lines")
    op.drop_column("bills", "ship_to_country")
