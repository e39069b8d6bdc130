"""Whoever changes a row moves its version, and the shop hears of changes of the catalog that it has not made.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ROWS = ("addresses", "bills", "categories", "clients", "order_details", "orders", "products", "reviews")
# Those whose answers are cached.
_CATALOG = ("categories", "products")

# As `models.base.next_version` has it. Called only for changes that leave the version where it was, or move it back.
_MOVE_VERSION = """
    CREATE FUNCTION move_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.updated_at < '9999-01-01' THEN
            NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at + interval '1 microsecond');
        ELSE
            NEW.updated_at := clock_timestamp();
        END IF;
        RETURN NEW;
    END $$
"""
# Heard by `infrastructure.database.change_listener`. Not called for the shop's own statements: it tells its caches by itself, and sooner.
_TELL_SHOP = """
    CREATE FUNCTION tell_shop() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('shop_catalog', TG_TABLE_NAME);
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    op.execute(_MOVE_VERSION)
    for table in _ROWS:
        op.execute(
            f"CREATE TRIGGER move_version BEFORE UPDATE ON {table} FOR EACH ROW "
            "WHEN (NEW.updated_at <= OLD.updated_at) EXECUTE FUNCTION move_version()"
        )
    op.execute(_TELL_SHOP)
    for table in _CATALOG:
        op.execute(
            f"CREATE TRIGGER tell_shop AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT "
            "WHEN (current_setting('shop.tells_caches', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION tell_shop()"
        )


def downgrade() -> None:
    for table in _CATALOG:
        op.execute(f"DROP TRIGGER tell_shop ON {table}")
    op.execute("DROP FUNCTION tell_shop")
    for table in _ROWS:
        op.execute(f"DROP TRIGGER move_version ON {table}")
    op.execute("DROP FUNCTION move_version")
