"""How clients are told of their orders: their language, and the channels that are on.

Revision ID: 0039
Revises: 0038
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Constants, which no row has to be written for.
    op.add_column("clients", sa.Column("language", sa.String(length=2), server_default="en", nullable=False))
    op.add_column(
        "clients",
        sa.Column(
            "notify",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("""'{"sms": true, "mail": true, "push": true}'"""),
            nullable=False,
        ),
    )
    # Not looked at for the rows that are there, which have the default.
    op.execute(
        "ALTER TABLE clients ADD CONSTRAINT ck_clients_language_known CHECK (language IN ('en', 'es')) NOT VALID"
    )


def downgrade() -> None:
    op.drop_column("clients", "notify")
    op.drop_column("clients", "language")
