"""Orders keep where they were sent, and their lines what the product was called.

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With constants as defaults no row is written. The next revision fills in what is there.
    op.add_column("order_details", sa.Column("name", sa.String(length=200), server_default="", nullable=False))
    op.add_column("order_details", sa.Column("sku", sa.String(length=64), nullable=True))
    op.add_column("order_details", sa.Column("tax_rate", sa.Numeric(6, 3), server_default="0", nullable=False))
    # Not looked at for the rows that are there, which have the default.
    op.execute(
        "ALTER TABLE order_details ADD CONSTRAINT ck_order_details_tax_rate_known CHECK (tax_rate BETWEEN 0 AND 100) NOT VALID"
    )
    op.add_column("orders", sa.Column("ship_to", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("orders", "ship_to")
    for name in ("tax_rate", "sku", "name"):
        op.drop_column("order_details", name)
