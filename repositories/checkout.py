"""The one statement that writes a whole order.

It is prepared once per connection, so that PostgreSQL plans it once and not for every order, and the
counter of the bills is locked within it, so that no time on the network passes while others wait for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping, bindparam, func, select
from sqlalchemy.orm import Session

from models import Bill, Order, OrderDetail, Product

_SHELF = (
    select(Product.id_key, Product.price, Product.stock, Product.active)
    .where(Product.id_key == func.any(bindparam("keys")))
    .order_by(Product.id_key)
    .with_for_update(key_share=True)
)


def _columns(model: type[Any]) -> str:
    """The columns of a CTE named after the table, each labelled `table.column`."""
    table = model.__table__
    return ", ".join(f'{table.name}.{column.name} AS "{table.name}.{column.name}"' for column in table.columns)


_PLACE = f"""
WITH line AS (
    SELECT * FROM unnest($1::bigint[], $2::integer[], $3::numeric[])
    WITH ORDINALITY AS line (product_id, quantity, price, place)
), taken AS (
    SELECT product_id, sum(quantity) AS quantity FROM line GROUP BY product_id
), sold AS (
    UPDATE products SET stock = stock - taken.quantity,
        updated_at = GREATEST(clock_timestamp(), updated_at + interval '1 microsecond')
    FROM taken WHERE products.id_key = taken.product_id
), counter AS (
    INSERT INTO bill_counters AS c (kind, year, last_number)
    SELECT 'sale', extract(year FROM now() AT TIME ZONE 'UTC'), 1 WHERE $4::text IS NULL
    ON CONFLICT (kind, year) DO UPDATE SET last_number = c.last_number + 1
    RETURNING year, last_number
), bills AS (
    INSERT INTO bills (bill_number, discount, date, total, payment_type, client_id)
    SELECT coalesce($4, (
            SELECT 'BILL-' || year || '-' || lpad(last_number::text, greatest(6, length(last_number::text)), '0')
            FROM counter)),
        $5::numeric, (coalesce($6::timestamptz, now()) AT TIME ZONE 'UTC')::date,
        greatest(0, $7::numeric - $5::numeric), $8::text, $9::bigint
    RETURNING *
), orders AS (
    INSERT INTO orders (date, total, delivery_method, client_id, bill_id, address_id)
    SELECT coalesce($6::timestamptz, now()), $7::numeric, $10::smallint, $9::bigint, bills.id_key, $11::bigint
    FROM bills
    RETURNING *
), order_details AS (
    INSERT INTO order_details (quantity, price, order_id, product_id)
    SELECT line.quantity, line.price, orders.id_key, line.product_id FROM line, orders ORDER BY line.place
    RETURNING *
), ledger AS (
    INSERT INTO stock_movements (product_id, delta, reason, order_detail_id)
    SELECT product_id, -quantity, 'sale', id_key FROM order_details ORDER BY id_key
)
SELECT {_columns(Order)}, {_columns(Bill)}, {_columns(OrderDetail)}
FROM orders, bills, order_details ORDER BY order_details.id_key
"""  # noqa: S608  (names of columns only; every value is a parameter)
_EXECUTE = (
    "EXECUTE place_order (%(product_ids)s, %(quantities)s, %(prices)s, %(bill_number)s, %(discount)s, %(date)s, "
    "%(total)s, %(payment_type)s, %(client_id)s, %(delivery_method)s, %(address_id)s)"
)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What an order is made of. The lines are three lists of the same length, in the client's order."""

    product_ids: Sequence[int]
    quantities: Sequence[int]
    prices: Sequence[Decimal]
    total: Decimal
    discount: Decimal
    payment_type: str
    delivery_method: int
    client_id: int
    bill_number: str | None
    date: datetime | None
    address_id: int | None


class CheckoutRepository:
    """Placing orders, on the connection of one session: plain rows need none of what an ORM does with them."""

    def __init__(self, session: Session) -> None:
        self.connection = session.connection()

    def lock_shelf(self, product_ids: Sequence[int]) -> dict[int, Any]:
        """Price, stock and activity of the products that exist, by id; locked in the order of their ids."""
        return {row.id_key: row for row in self.connection.execute(_SHELF, {"keys": sorted(set(product_ids))})}

    def place(self, order: NewOrder) -> Sequence[RowMapping]:
        """Write the order with its bill, details, stock and ledger. Lock the shelf first.

        One row per detail, in the order of the lines, with columns `orders.…`, `bills.…` and `order_details.…`.
        """
        connection = self.connection
        if not connection.info.get("place_order_prepared"):
            connection.exec_driver_sql(f"PREPARE place_order AS {_PLACE}")
            connection.info["place_order_prepared"] = True
        parameters = {name: getattr(order, name) for name in NewOrder.__slots__}
        return connection.exec_driver_sql(_EXECUTE, parameters).mappings().all()
