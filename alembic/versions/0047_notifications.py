"""Notifications: what clients and staff are told by mail, SMS and push messages.

Revision ID: 0047
Revises: 0046
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

_KINDS = (
    "order_placed",
    "order_on_its_way",
    "order_delivered",
    "order_canceled",
    "money_returned",
    "stock_low",
    "webhook_endpoint_off",
    "job_dead",
    "invariants_broken",
)


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("channel", sa.String(length=4), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("status", sa.String(length=10), server_default="queued", nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("resends", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("taken_by", sa.BigInteger(), nullable=True),
        sa.Column("fields", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(f"kind IN {_KINDS}", name=op.f("ck_notifications_kind_known")),
        sa.CheckConstraint("channel IN ('sms', 'mail', 'push')", name=op.f("ck_notifications_channel_known")),
        sa.CheckConstraint(
            "status IN ('queued', 'sent', 'failed', 'suppressed')", name=op.f("ck_notifications_status_known")
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id_key"], name=op.f("fk_notifications_client_id_clients"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_notifications")),
        sa.UniqueConstraint("event_id", "recipient", "channel", name=op.f("uq_notifications_event_id")),
    )
    for column in ("created_at", "status", "channel", "kind", "client_id"):
        op.create_index(f"ix_notifications_{column}", "notifications", [column, "id_key"])
    op.create_index(
        "ix_notifications_queue",
        "notifications",
        [sa.text("next_try_at NULLS FIRST"), "id_key"],
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "ix_notifications_taken_by",
        "notifications",
        ["taken_by"],
        postgresql_where=sa.text("taken_by IS NOT NULL"),
    )
    op.execute(
        "CREATE TRIGGER move_version BEFORE UPDATE ON notifications FOR EACH ROW "
        "WHEN (NEW.updated_at <= OLD.updated_at) EXECUTE FUNCTION move_version()"
    )


def downgrade() -> None:
    op.drop_table("notifications")
