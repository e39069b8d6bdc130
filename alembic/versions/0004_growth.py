"""Lists that cost the same however many rows there are.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("addresses", "bills", "categories", "clients", "order_details", "orders", "products", "reviews")
_RANGES = (("bills", "date"), ("orders", "date"), ("products", "price"))


def upgrade() -> None:
    # Trusted since PostgreSQL 13: CREATE on the database is enough.
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    for table in _TABLES:
        op.create_index(f"ix_{table}_created_at", table, ["created_at", "id_key"])
    for table, column in _RANGES:
        op.create_index(f"ix_{table}_key_{column}", table, [sa.text("(id_key + 0)"), column], postgresql_using="gist")
    op.create_index("ix_clients_email", "clients", ["email", "id_key"])
    # A sale writes the product anew. With room beside it that touches no index. The column then rewrites the table.
    op.execute("ALTER TABLE products SET (fillfactor = 85)")
    op.add_column(
        "products", sa.Column("in_stock", sa.Boolean(), sa.Computed("stock > 0", persisted=True), nullable=False)
    )
    op.create_index("ix_products_active", "products", ["active", "id_key"])
    op.create_index("ix_products_in_stock", "products", ["in_stock", "id_key"])


def downgrade() -> None:
    op.drop_index("ix_products_in_stock", table_name="products")
    op.drop_index("ix_products_active", table_name="products")
    op.drop_column("products", "in_stock")
    op.execute("ALTER TABLE products RESET (fillfactor)")
    op.drop_index("ix_clients_email", table_name="clients")
    for table, column in _RANGES:
        op.drop_index(f"ix_{table}_key_{column}", table_name=table)
    for table in _TABLES:
        op.drop_index(f"ix_{table}_created_at", table_name=table)
