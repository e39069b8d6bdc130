"""Orders of before keep what is there now: the names of their products, and their addresses.

Nobody knows what these were called when the orders were placed. The versions of these orders and lines move, as what is
shown of them changes.

Revision ID: 0026
Revises: 0025
"""

from alembic import op
from infrastructure.database.migration_steps import in_portions

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_LINES = """
    UPDATE order_details SET name = products.name, sku = products.sku FROM products
    WHERE products.id_key = order_details.product_id AND order_details.name = ''
        AND order_details.id_key BETWEEN :first AND :last
"""
_FIELDS = ("recipient", "street", "number", "city", "postcode", "region", "country", "telephone")
_SHIP_TO = ", ".join(
    f"""'{"," if place else "{"}"{name}":', coalesce(to_json(addresses.{name})::text, 'null')"""
    for place, name in enumerate(_FIELDS)
)
_ORDERS = f"""
    UPDATE orders SET ship_to = concat({_SHIP_TO}, '}}')::json FROM addresses
    WHERE addresses.id_key = orders.address_id AND orders.ship_to IS NULL AND orders.id_key BETWEEN :first AND :last
"""


def upgrade() -> None:
    context = op.get_context()
    in_portions(context, "order_details", _LINES)
    in_portions(context, "orders", _ORDERS)
    # All lines have a rate by now: this reads the table, and lets others write to it.
    op.execute("ALTER TABLE order_details VALIDATE CONSTRAINT ck_order_details_tax_rate_known")


def downgrade() -> None:
    """Nothing: the columns go with the revision before."""
