"""Better statistics of products' names, so that PostgreSQL knows the words that many of them have.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# How many names have a word, PostgreSQL infers from so many names. A hundred, as usual, know nothing of a word that three
# in a hundred names have one time in twenty, and then a search for it fetches and sorts all of these products.
_NAMES = 300


def upgrade() -> None:
    op.execute(f"ALTER TABLE products ALTER COLUMN name SET STATISTICS {_NAMES}")


def downgrade() -> None:
    op.execute("ALTER TABLE products ALTER COLUMN name SET STATISTICS -1")
