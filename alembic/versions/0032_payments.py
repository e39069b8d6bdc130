"""Payments of bills.

Revision ID: 0032
Revises: 0031
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payments",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("bill_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(12, 2), nullable=False),
        sa.Column("method", sa.String(length=10), nullable=False),
        sa.Column("reference", sa.String(length=100), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("amount <> 'NaN'", name=op.f("ck_payments_amount_is_a_number")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payments_amount_positive")),
        sa.CheckConstraint("method IN ('cash', 'card', 'transfer')", name=op.f("ck_payments_method_known")),
        sa.ForeignKeyConstraint(
            ["bill_id"], ["bills.id_key"], name=op.f("fk_payments_bill_id_bills"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_payments")),
    )
    for column in ("bill_id", "created_at", "method"):
        op.create_index(f"ix_payments_{column}", "payments", [column, "id_key"])
    op.execute(
        "CREATE TRIGGER move_version BEFORE UPDATE ON payments FOR EACH ROW "
        "WHEN (NEW.updated_at <= OLD.updated_at) EXECUTE FUNCTION move_version()"
    )


def downgrade() -> None:
    op.drop_table("payments")
