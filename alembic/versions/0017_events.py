"""Events, the price history, and the level at which a product is to be ordered again.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# A UUID of version 7: 48 bits of the time in milliseconds, the version with 12 random bits, the variant with more. Not of
# `gen_random_uuid()`, which asks the system each time: nobody has to guess an id, and nobody is let in by one.
_EVENT_ID = """
CREATE FUNCTION event_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT (lpad(to_hex(floor(date_part('epoch', clock_timestamp()) * 1000)::bigint), 12, '0')
        || to_hex(floor(random() * 4096)::integer | 28672)
        || to_hex(floor(random() * 4611686018427387904)::bigint | (-9223372036854775807 - 1)))::uuid
$$
"""
# A date or time (UTC) beyond the years 1 to 9999, as answers show it, from its text in the ISO style. The year 0 is 1 BC.
_FAR_MOMENT = r"""
CREATE FUNCTION far_moment(moment text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    found text[] := regexp_match(moment, '^(\d+)(-\d\d-\d\d)(?: (\d\d:\d\d:\d\d)(?:\.(\d+))?)?( BC)?$');
    year bigint := found[1]::bigint;
BEGIN
    IF found IS NULL THEN
        RETURN moment;
    END IF;
    year := CASE WHEN found[5] IS NULL THEN year ELSE 1 - year END;
    RETURN CASE WHEN year < 0 THEN '-' ELSE '+' END
        || lpad(abs(year)::text, greatest(6, length(abs(year)::text)), '0') || found[2]
        || coalesce('T' || found[3] || coalesce('.' || rpad(found[4], 6, '0'), '') || 'Z', '');
END
$$
"""
# Rows may be restored without a search path, so the functions name the schema of the tables. They run as the owner of the
# tables: who may change a product by SQL need not be allowed to write what follows from it.
_IN_SCHEMA = "DO $do$ BEGIN EXECUTE format($function${text}$function$, current_schema()); END $do$"
# All new rows of a statement at once, for imports.
_WRITE_FIRST_PRICES = """
CREATE FUNCTION write_first_prices() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO %1$I.price_changes (product_id, price) SELECT id_key, price FROM added ORDER BY id_key;
    RETURN NULL;
END
$$
"""
# The clock may have been set back. Each price holds from a later time than the one before, also two of one microsecond;
# whoever changes a product has locked it, so that nobody else writes its next price meanwhile.
_WRITE_PRICE = """
CREATE FUNCTION write_price() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO %1$I.price_changes (product_id, price, old_price, valid_from)
    SELECT NEW.id_key, NEW.price, OLD.price, greatest(clock_timestamp(), max(valid_from) + interval '1 microsecond')
    FROM %1$I.price_changes WHERE product_id = NEW.id_key;
    RETURN NULL;
END
$$
"""
_TELL_STOCK = """
CREATE FUNCTION tell_stock() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO %1$I.events (type, resource, resource_id, data)
    SELECT told.type, 'products', NEW.id_key, json_build_object(
        'id_key', NEW.id_key, 'name', NEW.name, 'sku', NEW.sku, 'stock', NEW.stock, 'reorder_level', NEW.reorder_level
    ) FROM (VALUES
        (1, 'stock.back', OLD.stock = 0),
        (2, 'stock.low', NEW.stock <= NEW.reorder_level AND OLD.stock > NEW.reorder_level),
        (3, 'stock.out', NEW.stock = 0)
    ) AS told (place, type, is_so) WHERE told.is_so ORDER BY place;
    RETURN NULL;
END
$$
"""
# Sales change rows of products all the time: what they do not look at costs nothing, and what calls no function little.
_TRIGGERS = (
    "CREATE TRIGGER write_first_prices AFTER INSERT ON products REFERENCING NEW TABLE AS added"
    " FOR EACH STATEMENT EXECUTE FUNCTION write_first_prices()",
    "CREATE TRIGGER write_price AFTER UPDATE OF price ON products FOR EACH ROW"
    " WHEN (OLD.price <> NEW.price) EXECUTE FUNCTION write_price()",
    "CREATE TRIGGER tell_stock AFTER UPDATE ON products FOR EACH ROW"
    " WHEN (OLD.stock <> NEW.stock AND (OLD.stock = 0 OR NEW.stock = 0"
    " OR NEW.stock <= NEW.reorder_level AND OLD.stock > NEW.reorder_level)) EXECUTE FUNCTION tell_stock()",
)
_LOW_STOCK = {
    "ix_products_low_stock": ["low_stock", "in_stock", "active", "id_key"],
    "ix_products_category_id_low_stock": ["category_id", "low_stock", "in_stock", "active", "id_key"],
}


def upgrade() -> None:
    _create_events()
    op.create_table(
        "price_changes",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.Numeric(12, 2), nullable=False),
        sa.Column("old_price", sa.Numeric(12, 2), nullable=True),
        sa.Column("valid_from", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("price <> 'NaN'", name=op.f("ck_price_changes_price_is_a_number")),
        sa.CheckConstraint("old_price <> 'NaN'", name=op.f("ck_price_changes_old_price_is_a_number")),
        sa.ForeignKeyConstraint(
            ["product_id"],
            ["products.id_key"],
            name=op.f("fk_price_changes_product_id_products"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("product_id", "id_key", name=op.f("pk_price_changes")),
    )
    op.create_index("ix_price_changes_product_id", "price_changes", ["product_id", "valid_from", "id_key"])
    op.create_index(
        "ix_price_changes_reductions",
        "price_changes",
        ["product_id", "valid_from"],
        postgresql_where=sa.text("price < old_price"),
    )
    op.add_column("products", sa.Column("reorder_level", sa.BigInteger(), nullable=True))
    op.create_check_constraint(op.f("ck_products_reorder_level_not_negative"), "products", "reorder_level >= 0")
    low_stock = sa.Computed("coalesce(stock <= reorder_level, false)", persisted=True)
    op.add_column("products", sa.Column("low_stock", sa.Boolean(), low_stock, nullable=False))
    for name, columns in _LOW_STOCK.items():
        op.create_index(name, "products", columns)
    for function in (_WRITE_FIRST_PRICES, _WRITE_PRICE, _TELL_STOCK):
        op.execute(_IN_SCHEMA.format(text=function))
    # Since when a price of before has held, nobody knows better than this.
    op.execute(
        "INSERT INTO price_changes (product_id, price, valid_from) SELECT id_key, price, least(created_at, now())"
        " FROM products ORDER BY id_key"
    )
    for trigger in _TRIGGERS:
        op.execute(trigger)


def _create_events() -> None:
    op.execute(_EVENT_ID)
    op.execute(_FAR_MOMENT)
    op.execute("CREATE SEQUENCE event_sequence")
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), server_default=sa.text("event_id()"), nullable=False),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("resource", sa.String(length=40), nullable=False),
        sa.Column("resource_id", sa.BigInteger(), nullable=True),
        sa.Column("client_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "occurred_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("actor", sa.String(length=40), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("trace_parent", sa.String(length=55), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_unsequenced", "events", ["position"], postgresql_where=sa.text("sequence IS NULL"))
    readable = "sequence IS NOT NULL"
    op.create_index("ix_events_sequence", "events", ["sequence"], postgresql_where=sa.text(readable))
    of_clients = f"{readable} AND client_id IS NOT NULL"
    for columns, where in (
        (["type"], readable),
        (["resource_id"], readable),
        (["resource_id", "type"], readable),
        (["client_id"], of_clients),
        (["client_id", "type"], of_clients),
    ):
        name = f"ix_events_{'_'.join(columns)}"
        op.create_index(name, "events", [*columns, "sequence"], postgresql_where=sa.text(where))


def downgrade() -> None:
    for name in ("write_first_prices", "write_price", "tell_stock"):
        op.execute(f"DROP TRIGGER {name} ON products")
        op.execute(f"DROP FUNCTION {name}()")
    for name in _LOW_STOCK:
        op.drop_index(name, "products")
    op.drop_column("products", "low_stock")
    op.drop_column("products", "reorder_level")
    op.drop_table("price_changes")
    op.drop_table("events")
    op.execute("DROP SEQUENCE event_sequence")
    op.execute("DROP FUNCTION event_id()")
    op.execute("DROP FUNCTION far_moment(text)")
