"""The shop has a currency, which its products, orders and bills show.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_TABLES = ("products", "bills", "orders")
# Until a start takes over the setting: see `infrastructure.database.shop_currency`.
_SHOP_CURRENCY = "CREATE FUNCTION shop_currency() RETURNS varchar LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 'EUR'::varchar $$"


def upgrade() -> None:
    op.execute(_SHOP_CURRENCY)
    for table in _TABLES:
        # A constant for the rows that are there: none of them is written.
        op.add_column(
            table, sa.Column("currency", sa.String(3), server_default=sa.text("shop_currency()"), nullable=False)
        )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_column(table, "currency")
    op.execute("DROP FUNCTION shop_currency()")
