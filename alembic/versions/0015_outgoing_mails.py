"""Mails that are to be sent.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    now = sa.text("now()")
    op.create_table(
        "outgoing_mails",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("template", sa.String(length=40), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("fields", postgresql.JSONB(), nullable=False),
        sa.Column("token_id", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.ForeignKeyConstraint(
            ["token_id"],
            ["account_tokens.id_key"],
            name=op.f("fk_outgoing_mails_token_id_account_tokens"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_outgoing_mails")),
    )
    for column in ("token_id", "next_attempt_at"):
        op.create_index(f"ix_outgoing_mails_{column}", "outgoing_mails", [column, "id_key"])


def downgrade() -> None:
    op.drop_table("outgoing_mails")
