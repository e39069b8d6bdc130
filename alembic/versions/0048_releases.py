"""Releases: which version was started when, and by which host.

Revision ID: 0048
Revises: 0047
"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "releases",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("release", sa.String(length=40), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=True),
        sa.Column("build_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("schema_revision", sa.Text(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_releases")),
        sa.UniqueConstraint("host", "started_at", name=op.f("uq_releases_host")),
    )


def downgrade() -> None:
    op.drop_table("releases")
