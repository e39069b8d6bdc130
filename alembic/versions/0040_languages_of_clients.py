"""Languages of clients: the rows of before are looked at, while everybody goes on reading and writing.

Revision ID: 0040
Revises: 0039
"""

from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE clients VALIDATE CONSTRAINT ck_clients_language_known")


def downgrade() -> None:
    """What was looked at stays so."""
