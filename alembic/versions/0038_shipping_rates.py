"""Shipping rates, and what an order keeps of the one that it was placed with.

Revision ID: 0038
Revises: 0037
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_MONEY = sa.Numeric(12, 2)
# Columns of orders, which are there for those placed from now on by a checkout.
_KEPT = ("shipping_price", "shipping_free_from")
_VALID = " AND ".join(f"{name} >= 0 AND {name} <> 'NaN'" for name in _KEPT)


def upgrade() -> None:
    op.create_table(
        "shipping_rates",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("delivery_method", sa.SmallInteger(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("price", _MONEY, nullable=False),
        sa.Column("free_from", _MONEY, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("price >= 0", name=op.f("ck_shipping_rates_price_not_negative")),
        sa.CheckConstraint("free_from >= 0", name=op.f("ck_shipping_rates_free_from_not_negative")),
        sa.CheckConstraint("price <> 'NaN'", name=op.f("ck_shipping_rates_price_is_a_number")),
        sa.CheckConstraint("free_from <> 'NaN'", name=op.f("ck_shipping_rates_free_from_is_a_number")),
        sa.CheckConstraint("delivery_method BETWEEN 1 AND 3", name=op.f("ck_shipping_rates_delivery_method_known")),
        sa.UniqueConstraint("delivery_method", "country", name=op.f("uq_shipping_rates_delivery_method")),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_shipping_rates")),
    )
    for column in ("country", "created_at", "delivery_method"):
        op.create_index(f"ix_shipping_rates_{column}", "shipping_rates", [column, "id_key"])
    op.create_index(
        "uq_shipping_rates_any_country",
        "shipping_rates",
        ["delivery_method"],
        unique=True,
        postgresql_where=sa.text("country IS NULL"),
    )
    op.execute(
        "CREATE TRIGGER move_version BEFORE UPDATE ON shipping_rates FOR EACH ROW "
        "WHEN (NEW.updated_at <= OLD.updated_at) EXECUTE FUNCTION move_version()"
    )
    for name in _KEPT:
        op.add_column("orders", sa.Column(name, _MONEY, nullable=True))
    op.create_check_constraint(op.f("ck_orders_shipping_rate_valid"), "orders", _VALID)


def downgrade() -> None:
    for name in reversed(_KEPT):
        op.drop_column("orders", name)
    op.drop_table("shipping_rates")
