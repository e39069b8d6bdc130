"""Shipments: the goods of an order on their way, with carrier, tracking and the time of delivery.

Revision ID: 0037
Revises: 0036
"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shipments",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("carrier", sa.String(length=100), nullable=True),
        sa.Column("tracking_number", sa.String(length=100), nullable=True),
        sa.Column("tracking_url", sa.String(length=500), nullable=True),
        sa.Column("shipped_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("delivered_at >= shipped_at", name=op.f("ck_shipments_delivered_after_shipped")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id_key"], name=op.f("fk_shipments_order_id_orders"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_shipments")),
    )
    for column in ("created_at", "order_id", "shipped_at"):
        op.create_index(f"ix_shipments_{column}", "shipments", [column, "id_key"])
    op.create_index(
        "ix_shipments_key_shipped_at", "shipments", [sa.text("(id_key + 0)"), "shipped_at"], postgresql_using="gist"
    )
    op.execute(
        "CREATE TRIGGER move_version BEFORE UPDATE ON shipments FOR EACH ROW "
        "WHEN (NEW.updated_at <= OLD.updated_at) EXECUTE FUNCTION move_version()"
    )
    op.create_table(
        "shipment_lines",
        sa.Column("shipment_id", sa.BigInteger(), nullable=False),
        sa.Column("order_detail_id", sa.BigInteger(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_shipment_lines_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["shipment_id"],
            ["shipments.id_key"],
            name=op.f("fk_shipment_lines_shipment_id_shipments"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["order_detail_id"],
            ["order_details.id_key"],
            name=op.f("fk_shipment_lines_order_detail_id_order_details"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("shipment_id", "order_detail_id", name=op.f("pk_shipment_lines")),
    )
    op.create_index("ix_shipment_lines_order_detail_id", "shipment_lines", ["order_detail_id"])
    # Nothing of before was shipped by a shipment.
    op.add_column("return_lines", sa.Column("shipped_quantity", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint(
        op.f("ck_return_lines_shipped_within_quantity"), "return_lines", "shipped_quantity BETWEEN 0 AND quantity"
    )


def downgrade() -> None:
    op.drop_column("return_lines", "shipped_quantity")
    op.drop_table("shipment_lines")
    op.drop_table("shipments")
