"""The orders and bills that are there get the figures of the migration before, which every later change keeps.

By itself, so that nobody waits for the table meanwhile.

Revision ID: 0029
Revises: 0028
"""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

# Before the orders, which take it from their bills.
_BILLS = """
    UPDATE bills SET payment_status = CASE WHEN refunded > 0 THEN 'refunded' ELSE 'paid' END
    WHERE refunded >= total AND payment_status = 'unpaid'
"""
_ORDERS = """
    UPDATE orders SET discount = bills.discount, to_pay = bills.total, refunded = bills.refunded,
        net = bills.total - bills.refunded, payment_status = bills.payment_status
    FROM bills WHERE bills.id_key = orders.bill_id
        AND (orders.discount, orders.to_pay, orders.refunded) IS DISTINCT FROM (bills.discount, bills.total, bills.refunded)
"""


def upgrade() -> None:
    op.execute(_BILLS)
    op.execute(_ORDERS)


def downgrade() -> None:
    """The figures go with their columns."""
