"""Broker: how far the events are sent to RabbitMQ, and which process is at it.

Revision ID: 0043
Revises: 0042
"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event_relays", sa.Column("holder", sa.Uuid(), nullable=True))
    op.add_column("event_relays", sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
    # What happened before is old: it is not told anew.
    op.execute(
        "INSERT INTO event_relays (name, last_sequence) "
        "SELECT 'broker', last_sequence FROM event_relays WHERE name = 'jobs'"
    )


def downgrade() -> None:
    op.execute("DELETE FROM event_relays WHERE name = 'broker'")
    op.drop_column("event_relays", "held_until")
    op.drop_column("event_relays", "holder")
