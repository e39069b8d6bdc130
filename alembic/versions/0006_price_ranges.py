"""Ranges of prices by an index of whole cents, which takes a fraction of the time of one of `numeric` to enter a row.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEY = sa.text("(id_key + 0)")


def upgrade() -> None:
    op.drop_index("ix_products_key_price", table_name="products")
    cents = sa.text("((price * 100)::bigint)")
    op.create_index("ix_products_key_cents", "products", [_KEY, cents], postgresql_using="gist")


def downgrade() -> None:
    op.drop_index("ix_products_key_cents", table_name="products")
    op.create_index("ix_products_key_price", "products", [_KEY, "price"], postgresql_using="gist")
