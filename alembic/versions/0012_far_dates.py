"""Ranges of the dates of bills by moments: an index of dates cannot take in another row beside one of infinity.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_KEY = sa.text("(id_key + 0)")


def upgrade() -> None:
    op.drop_index("ix_bills_key_date", table_name="bills")
    moment = sa.text("(LEAST(date, '294276-12-31'::date)::timestamp without time zone)")
    op.create_index("ix_bills_key_date", "bills", [_KEY, moment], postgresql_using="gist")


def downgrade() -> None:
    op.drop_index("ix_bills_key_date", table_name="bills")
    op.create_index("ix_bills_key_date", "bills", [_KEY, "date"], postgresql_using="gist")
