"""The shop has a time zone, by which bills get their dates.

Revision ID: 0031
Revises: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# Until a start takes over the setting: see `infrastructure.database.shop_time_zone`.
_SHOP_TIME_ZONE = (
    "CREATE FUNCTION shop_time_zone() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT 'UTC'::text $$"
)


def upgrade() -> None:
    op.execute(_SHOP_TIME_ZONE)
    op.alter_column("bills", "date", server_default=sa.text("((now() AT TIME ZONE shop_time_zone())::date)"))


def downgrade() -> None:
    op.alter_column("bills", "date", server_default=sa.text("((now() AT TIME ZONE 'UTC')::date)"))
    op.execute("DROP FUNCTION shop_time_zone()")
