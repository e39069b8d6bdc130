"""Bills may say whose they are.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("bills", sa.Column("client_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_bills_client_id_clients"), "bills", "clients", ["client_id"], ["id_key"], ondelete="RESTRICT"
    )
    op.create_index("ix_bills_client_id", "bills", ["client_id", "id_key"])


def downgrade() -> None:
    op.drop_index("ix_bills_client_id", table_name="bills")
    op.drop_constraint(op.f("fk_bills_client_id_clients"), "bills", type_="foreignkey")
    op.drop_column("bills", "client_id")
