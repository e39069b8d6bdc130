"""Steps of the stock of products, for lists by stock that no sale has to pay for.

Revision ID: 0036
Revises: 0035
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_STEPS = "'{1,2,4,8,16,32,64,128,256,512,1024,2048,4096,8192,16384,32768,65536,131072,262144,524288}'::bigint[]"


def upgrade() -> None:
    step = sa.Computed(f"width_bucket(stock, {_STEPS})::smallint", persisted=True)
    op.add_column("products", sa.Column("stock_step", sa.SmallInteger(), step, nullable=False))
    op.create_index("ix_products_stock_step", "products", ["stock_step", "id_key"])


def downgrade() -> None:
    op.drop_index("ix_products_stock_step", table_name="products")
    op.drop_column("products", "stock_step")
