"""Since when orders have been held to the rules of the books: those placed before are listed apart by the verification.

Revision ID: 0033
Revises: 0032
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

# The time is a part of the function, so that a backup takes it along. Workers of the release before may work on for a while;
# where there is no order yet, none is older.
_BOOKS_SINCE = """
DO $do$ BEGIN EXECUTE format(
    $text$CREATE FUNCTION books_since() RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$SELECT timestamptz %L$$$text$,
    CASE WHEN EXISTS (SELECT FROM orders) THEN now() + interval '1 hour' ELSE '-infinity' END
); END $do$
"""


def upgrade() -> None:
    op.execute(_BOOKS_SINCE)


def downgrade() -> None:
    op.execute("DROP FUNCTION books_since()")
