"""The eight tables of the shop, and the counter of the bills.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Trusted since PostgreSQL 13: CREATE on the database is enough.
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table(
        "bill_counters",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "year", name=op.f("pk_bill_counters")),
    )
    op.create_table(
        "categories",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_categories")),
        sa.UniqueConstraint("name", name=op.f("uq_categories_name")),
    )
    op.create_index(
        "ix_categories_name_lower", "categories", [sa.literal_column("lower(name)"), "id_key"], unique=False
    )
    op.create_table(
        "clients",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("lastname", sa.String(length=100), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("email_key", sa.String(length=640), nullable=False),
        sa.Column("telephone", sa.String(length=21), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_clients")),
        sa.UniqueConstraint("email_key", name=op.f("uq_clients_email_key")),
    )
    op.create_index("ix_clients_lastname", "clients", ["lastname", "id_key"], unique=False)
    op.create_index(
        "ix_clients_lastname_lower", "clients", [sa.literal_column("lower(lastname)"), "id_key"], unique=False
    )
    op.create_index("ix_clients_name", "clients", ["name", "id_key"], unique=False)
    op.create_index("ix_clients_name_lower", "clients", [sa.literal_column("lower(name)"), "id_key"], unique=False)
    op.create_index("uq_clients_email", "clients", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "addresses",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("street", sa.String(length=200), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=True),
        sa.Column("city", sa.String(length=100), nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id_key"], name=op.f("fk_addresses_client_id_clients"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_addresses")),
    )
    op.create_index("ix_addresses_city", "addresses", ["city", "id_key"], unique=False)
    op.create_index("ix_addresses_city_lower", "addresses", [sa.literal_column("lower(city)"), "id_key"], unique=False)
    op.create_index("ix_addresses_client_id", "addresses", ["client_id", "id_key"], unique=False)
    op.create_index("ix_addresses_street", "addresses", ["street", "id_key"], unique=False)
    op.create_table(
        "bills",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("bill_number", sa.String(length=50), nullable=False),
        sa.Column("discount", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("date", sa.Date(), server_default=sa.text("((now() AT TIME ZONE 'UTC')::date)"), nullable=False),
        sa.Column("total", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("payment_type", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("payment_type IN ('cash', 'card')", name=op.f("ck_bills_payment_type_known")),
        sa.CheckConstraint("discount >= 0", name=op.f("ck_bills_discount_not_negative")),
        sa.CheckConstraint("total >= 0", name=op.f("ck_bills_total_not_negative")),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_bills")),
        sa.UniqueConstraint("bill_number", name=op.f("uq_bills_bill_number")),
    )
    op.create_index(
        "ix_bills_bill_number_lower", "bills", [sa.literal_column("lower(bill_number)"), "id_key"], unique=False
    )
    op.create_index("ix_bills_date", "bills", ["date", "id_key"], unique=False)
    op.create_index("ix_bills_payment_type", "bills", ["payment_type", "id_key"], unique=False)
    op.create_table(
        "products",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("price", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("stock", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("category_id", sa.BigInteger(), nullable=False),
        sa.Column("image", sa.String(length=500), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("price > 0", name=op.f("ck_products_price_positive")),
        sa.CheckConstraint("stock >= 0", name=op.f("ck_products_stock_not_negative")),
        sa.ForeignKeyConstraint(
            ["category_id"], ["categories.id_key"], name=op.f("fk_products_category_id_categories"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_products")),
        sa.UniqueConstraint("sku", name=op.f("uq_products_sku")),
    )
    op.create_index("ix_products_category_id", "products", ["category_id", "id_key"], unique=False)
    op.create_index("ix_products_name", "products", ["name", "id_key"], unique=False)
    op.create_index(
        "ix_products_name_trigram",
        "products",
        ["name"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.create_index("ix_products_price", "products", ["price", "id_key"], unique=False)
    op.create_index("ix_products_sku_lower", "products", [sa.literal_column("lower(sku)"), "id_key"], unique=False)
    op.create_table(
        "orders",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("date", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("total", sa.Numeric(precision=12, scale=2), server_default="0", nullable=False),
        sa.Column("delivery_method", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("client_id", sa.BigInteger(), nullable=False),
        sa.Column("bill_id", sa.BigInteger(), nullable=False),
        sa.Column("address_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("delivery_method BETWEEN 1 AND 3", name=op.f("ck_orders_delivery_method_known")),
        sa.CheckConstraint("status BETWEEN 1 AND 4", name=op.f("ck_orders_status_known")),
        sa.CheckConstraint("total >= 0", name=op.f("ck_orders_total_not_negative")),
        sa.ForeignKeyConstraint(
            ["address_id"], ["addresses.id_key"], name=op.f("fk_orders_address_id_addresses"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["bill_id"], ["bills.id_key"], name=op.f("fk_orders_bill_id_bills"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id_key"], name=op.f("fk_orders_client_id_clients"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_orders")),
        sa.UniqueConstraint("bill_id", name=op.f("uq_orders_bill_id")),
    )
    op.create_index("ix_orders_address_id", "orders", ["address_id", "id_key"], unique=False)
    op.create_index("ix_orders_client_id", "orders", ["client_id", "id_key"], unique=False)
    op.create_index("ix_orders_date", "orders", ["date", "id_key"], unique=False)
    op.create_index("ix_orders_delivery_method", "orders", ["delivery_method", "id_key"], unique=False)
    op.create_index("ix_orders_status", "orders", ["status", "id_key"], unique=False)
    op.create_table(
        "reviews",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("rating", sa.Numeric(precision=3, scale=2), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("rating >= 0 AND rating <= 5", name=op.f("ck_reviews_rating_range")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id_key"], name=op.f("fk_reviews_product_id_products"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_reviews")),
    )
    op.create_index("ix_reviews_product_id", "reviews", ["product_id", "id_key"], unique=False)
    op.create_index("ix_reviews_rating", "reviews", ["rating", "id_key"], unique=False)
    op.create_table(
        "order_details",
        sa.Column("id_key", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price", sa.Numeric(precision=12, scale=2), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("price > 0", name=op.f("ck_order_details_price_positive")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_order_details_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id_key"], name=op.f("fk_order_details_order_id_orders"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id_key"], name=op.f("fk_order_details_product_id_products"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id_key", name=op.f("pk_order_details")),
    )
    op.create_index("ix_order_details_order_id", "order_details", ["order_id", "id_key"], unique=False)
    op.create_index("ix_order_details_product_id", "order_details", ["product_id", "id_key"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_order_details_product_id", table_name="order_details")
    op.drop_index("ix_order_details_order_id", table_name="order_details")
    op.drop_table("order_details")
    op.drop_index("ix_reviews_rating", table_name="reviews")
    op.drop_index("ix_reviews_product_id", table_name="reviews")
    op.drop_table("reviews")
    op.drop_index("ix_orders_status", table_name="orders")
    op.drop_index("ix_orders_delivery_method", table_name="orders")
    op.drop_index("ix_orders_date", table_name="orders")
    op.drop_index("ix_orders_client_id", table_name="orders")
    op.drop_index("ix_orders_address_id", table_name="orders")
    op.drop_table("orders")
    op.drop_index("ix_products_sku_lower", table_name="products")
    op.drop_index("ix_products_price", table_name="products")
    op.drop_index(
        "ix_products_name_trigram",
        table_name="products",
        postgresql_using="gin",
        postgresql_ops={"name": "gin_trgm_ops"},
    )
    op.drop_index("ix_products_name", table_name="products")
    op.drop_index("ix_products_category_id", table_name="products")
    op.drop_table("products")
    op.drop_index("ix_bills_payment_type", table_name="bills")
    op.drop_index("ix_bills_date", table_name="bills")
    op.drop_index("ix_bills_bill_number_lower", table_name="bills")
    op.drop_table("bills")
    op.drop_index("ix_addresses_street", table_name="addresses")
    op.drop_index("ix_addresses_client_id", table_name="addresses")
    op.drop_index("ix_addresses_city_lower", table_name="addresses")
    op.drop_index("ix_addresses_city", table_name="addresses")
    op.drop_table("addresses")
    op.drop_index("uq_clients_email", table_name="clients")
    op.drop_index("ix_clients_name_lower", table_name="clients")
    op.drop_index("ix_clients_name", table_name="clients")
    op.drop_index("ix_clients_lastname_lower", table_name="clients")
    op.drop_index("ix_clients_lastname", table_name="clients")
    op.drop_table("clients")
    op.drop_index("ix_categories_name_lower", table_name="categories")
    op.drop_table("categories")
    op.drop_table("bill_counters")
