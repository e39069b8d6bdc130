"""Amounts are numbers: the type of their columns also has NaN, which is larger than any number and passes other checks.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_AMOUNTS = (
    ("bills", "discount"),
    ("bills", "total"),
    ("order_details", "price"),
    ("orders", "returned_total"),
    ("orders", "total"),
    ("products", "price"),
)
_MOST_NAMED = 20


def upgrade() -> None:
    _require_numbers()
    for table, column in _AMOUNTS:
        op.create_check_constraint(op.f(f"ck_{table}_{column}_is_a_number"), table, f"{column} <> 'NaN'")


def downgrade() -> None:
    for table, column in _AMOUNTS:
        op.drop_constraint(op.f(f"ck_{table}_{column}_is_a_number"), table, type_="check")


def _require_numbers() -> None:
    """Refuse rows that nobody can tell the right amount of."""
    if op.get_context().as_sql:
        return
    found = [
        f"{table} {key}: {column}"
        for table, column in _AMOUNTS
        for key in op.get_bind().scalars(
            sa.text(f"SELECT id_key FROM {table} WHERE {column} = 'NaN' ORDER BY id_key LIMIT {_MOST_NAMED}")
        )
    ]
    if found:
        raise CommandError(f"Some amounts are NaN, which is no number; set them first: {'; '.join(found[:_MOST_NAMED])}")
