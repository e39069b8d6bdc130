"""An optional text that is empty is none: forms sent empty texts for what was not filled in, and they were kept.

Revision ID: 0013
Revises: 0012
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_OPTIONAL = (
    ("addresses", "number"),
    ("clients", "telephone"),
    ("products", "sku"),
    ("products", "description"),
    ("products", "image"),
    ("reviews", "comment"),
)


def upgrade() -> None:
    for table, column in _OPTIONAL:
        op.execute(f"UPDATE {table} SET {column} = NULL WHERE {column} = ''")  # noqa: S608  # names from above


def downgrade() -> None:
    """Nothing: which of them were empty is not known, and readers have always had to expect null."""
