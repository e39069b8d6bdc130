"""Where the lines of late orders begin, for lists of lines by the dates of their orders.

Revision ID: 0035
Revises: 0034
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_order_details_block", "order_details", [sa.text("(id_key >> 10)"), "order_id"])


def downgrade() -> None:
    op.drop_index("ix_order_details_block", table_name="order_details")
