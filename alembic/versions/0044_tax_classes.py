"""Tax classes, and which of them products and categories are of; the shop has a country.

Revision ID: 0044
Revises: 0043
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from config.settings import get_settings

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_SHOP_COUNTRY = (
    "CREATE FUNCTION shop_country() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT '{country}'::text $$"
)
_NAMING = ("categories", "products")


def upgrade() -> None:
    # A later start takes over its setting: see `infrastructure.database.shop_country`.
    op.execute(_SHOP_COUNTRY.format(country=get_settings().shop_country))
    op.create_table(
        "tax_classes",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("rates", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_tax_classes")),
        sa.UniqueConstraint("name", name=op.f("uq_tax_classes_name")),
    )
    op.create_index("ix_tax_classes_created_at", "tax_classes", ["created_at", "id_key"])
    op.create_index("uq_tax_classes_name_key", "tax_classes", [sa.text("text_key(name)")], unique=True)
    op.execute(
        "CREATE TRIGGER move_version BEFORE UPDATE ON tax_classes FOR EACH ROW "
        "WHEN (NEW.updated_at <= OLD.updated_at) EXECUTE FUNCTION move_version()"
    )
    op.execute("INSERT INTO tax_classes (name) VALUES ('standard')")
    for table in _NAMING:
        op.add_column(table, sa.Column("tax_class_id", sa.BigInteger(), nullable=True))
        # No row has one yet, so that there is nothing to look at.
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT fk_{table}_tax_class_id_tax_classes"
            " FOREIGN KEY (tax_class_id) REFERENCES tax_classes (id_key) ON DELETE RESTRICT"
        )
        op.create_index(
            f"ix_{table}_tax_class_id",
            table,
            ["tax_class_id"],
            postgresql_where=sa.text("tax_class_id IS NOT NULL"),
        )


def downgrade() -> None:
    for table in reversed(_NAMING):
        op.drop_column(table, "tax_class_id")
    op.drop_table("tax_classes")
    op.execute("DROP FUNCTION shop_country()")
