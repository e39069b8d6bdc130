"""The products most like the words asked for, found without looking at all that resemble them.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# How alike names must be is a setting that PostgreSQL reads when it walks the trigram index. A function has its own.
_SIMILAR_PRODUCTS = """
    CREATE FUNCTION similar_products(words text) RETURNS SETOF bigint
    LANGUAGE sql STABLE STRICT ROWS 20
    SET pg_trgm.word_similarity_threshold = 0.6
    AS $$ SELECT id_key FROM products WHERE name %> words $$
"""


def upgrade() -> None:
    op.execute(_SIMILAR_PRODUCTS)


def downgrade() -> None:
    op.execute("DROP FUNCTION similar_products(text)")
