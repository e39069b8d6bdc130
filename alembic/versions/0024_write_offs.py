"""The reasons in the ledger are those that the shop knows, also of rows of before: a look at all of them, beside the shop.

Revision ID: 0024
Revises: 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE stock_movements VALIDATE CONSTRAINT ck_stock_movements_reason_known")


def downgrade() -> None:
    """Nothing: the constraint stays as it is."""
