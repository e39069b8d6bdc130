"""Placing orders: the stock ledger, answers kept by Idempotency-Key, returns and credit bills.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# What is on the shelf and what open or delivered orders took was put in at some time; the ledger
# starts with that sum, and with a sale for every line that took goods.
_OPEN_THE_LEDGER = """
    INSERT INTO stock_movements (product_id, delta, reason)
    SELECT p.id_key, p.stock + coalesce(sum(d.quantity), 0), 'initial'
    FROM products p
    LEFT JOIN (order_details d JOIN orders o ON o.id_key = d.order_id AND o.status <> 4) ON d.product_id = p.id_key
    GROUP BY p.id_key
    HAVING p.stock + coalesce(sum(d.quantity), 0) > 0
    ORDER BY p.id_key
"""
_BOOK_PAST_SALES = """
    INSERT INTO stock_movements (product_id, delta, reason, order_detail_id, created_at)
    SELECT d.product_id, -d.quantity, 'sale', d.id_key, d.created_at
    FROM order_details d JOIN orders o ON o.id_key = d.order_id AND o.status <> 4
    ORDER BY d.id_key
"""


def upgrade() -> None:
    op.create_table(
        "stock_movements",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("delta", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=10), nullable=False),
        sa.Column("order_detail_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("delta <> 0", name=op.f("ck_stock_movements_delta_not_zero")),
        sa.CheckConstraint(
            "reason IN ('initial', 'sale', 'cancel', 'return', 'receipt', 'edit')",
            name=op.f("ck_stock_movements_reason_known"),
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id_key"], name=op.f("fk_stock_movements_product_id_products"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_stock_movements")),
    )
    op.execute(_OPEN_THE_LEDGER)
    op.execute(_BOOK_PAST_SALES)
    op.create_index("ix_stock_movements_product_id", "stock_movements", ["product_id", "id_key"])

    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])

    op.add_column("bills", sa.Column("kind", sa.String(length=10), server_default="sale", nullable=False))
    op.add_column("bills", sa.Column("refunds_bill_id", sa.BigInteger(), nullable=True))
    op.create_check_constraint(op.f("ck_bills_kind_known"), "bills", "kind IN ('sale', 'credit')")
    op.create_check_constraint(
        op.f("ck_bills_credit_refunds_a_bill"), "bills", "(kind = 'credit') = (refunds_bill_id IS NOT NULL)"
    )
    op.create_foreign_key(
        op.f("fk_bills_refunds_bill_id_bills"), "bills", "bills", ["refunds_bill_id"], ["id_key"], ondelete="RESTRICT"
    )
    op.create_index("ix_bills_refunds_bill_id", "bills", ["refunds_bill_id", "id_key"])

    op.add_column("orders", sa.Column("returned_total", sa.Numeric(12, 2), server_default="0", nullable=False))
    op.create_check_constraint(op.f("ck_orders_returned_total_not_negative"), "orders", "returned_total >= 0")

    op.add_column("order_details", sa.Column("returned_quantity", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint(
        op.f("ck_order_details_returned_within_quantity"), "order_details", "returned_quantity BETWEEN 0 AND quantity"
    )


def downgrade() -> None:
    # Returned goods have no place in the older schema: the credit bills go, the stock stays as it is.
    op.drop_column("order_details", "returned_quantity")
    op.drop_column("orders", "returned_total")
    op.execute("DELETE FROM bills WHERE kind = 'credit'")
    op.execute("DELETE FROM bill_counters WHERE kind = 'credit'")
    op.drop_index("ix_bills_refunds_bill_id", table_name="bills")
    op.drop_constraint(op.f("ck_bills_credit_refunds_a_bill"), "bills", type_="check")
    op.drop_constraint(op.f("fk_bills_refunds_bill_id_bills"), "bills", type_="foreignkey")
    op.drop_column("bills", "refunds_bill_id")
    op.drop_column("bills", "kind")
    op.drop_table("idempotency_keys")
    op.drop_table("stock_movements")
