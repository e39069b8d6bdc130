"""One index for the type of payment of a bill and its kind, in the place of that for the type of payment alone.

Revision ID: 0020
Revises: 0019
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _replace(["payment_type", "kind", "id_key"])


def downgrade() -> None:
    _replace(["payment_type", "id_key"])


def _replace(columns: list[str]) -> None:
    """The new index is there before the other one goes: lists are read meanwhile."""
    op.create_index("ix_bills_payment_type_new", "bills", columns)
    op.drop_index("ix_bills_payment_type", table_name="bills")
    op.execute("ALTER INDEX ix_bills_payment_type_new RENAME TO ix_bills_payment_type")
