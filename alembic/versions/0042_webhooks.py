"""Webhooks: endpoints, deliveries, and the cursor of those events of which deliveries were made.

Revision ID: 0042
Revises: 0041
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_endpoints()
    _create_deliveries()
    # Nobody waits for what happened before.
    op.execute(
        "INSERT INTO event_relays (name, last_sequence) "
        "SELECT 'webhooks', coalesce(max(sequence), 0) FROM events WHERE sequence IS NOT NULL"
    )


def _create_endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("types", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
        sa.Column("previous_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("replay_after", sa.BigInteger(), nullable=True),
        sa.Column("replay_until", sa.BigInteger(), nullable=True),
        *_times(),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id_key"], name=op.f("fk_webhook_endpoints_user_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_webhook_endpoints")),
    )
    for column in ("created_at", "active", "user_id"):
        op.create_index(f"ix_webhook_endpoints_{column}", "webhook_endpoints", [column, "id_key"])
    _move_version("webhook_endpoints")


def _create_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("endpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), server_default=sa.text("event_id()"), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("resource_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=9), server_default="pending", nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("codes", postgresql.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.Column("durations", postgresql.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        *_times(),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_status_known")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id_key"],
            name=op.f("fk_webhook_deliveries_endpoint_id_webhook_endpoints"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_webhook_deliveries")),
    )
    indexes = {
        "created_at": ["created_at", "id_key"],
        "endpoint_id": ["endpoint_id", "status", "id_key"],
        "status": ["status", "id_key"],
    }
    for name, columns in indexes.items():
        op.create_index(f"ix_webhook_deliveries_{name}", "webhook_deliveries", columns)
    op.create_index(
        "uq_webhook_deliveries_event_id_endpoint_id", "webhook_deliveries", ["event_id", "endpoint_id"], unique=True
    )
    pending = {
        "due": ["endpoint_id", "next_try_at", "sequence"],
        "order": ["endpoint_id", "resource_id", "resource", "sequence"],
    }
    for name, columns in pending.items():
        op.create_index(
            f"ix_webhook_deliveries_{name}",
            "webhook_deliveries",
            columns,
            postgresql_where=sa.text("status = 'pending'"),
        )
    _move_version("webhook_deliveries")


def _times() -> list[sa.Column[object]]:
    names = ("created_at", "updated_at")
    return [
        sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False) for name in names
    ]


def _move_version(table: str) -> None:
    op.execute(
        f"CREATE TRIGGER move_version BEFORE UPDATE ON {table} FOR EACH ROW "
        "WHEN (NEW.updated_at <= OLD.updated_at) EXECUTE FUNCTION move_version()"
    )


def downgrade() -> None:
    op.execute("DELETE FROM event_relays WHERE name = 'webhooks'")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhook_endpoints")
