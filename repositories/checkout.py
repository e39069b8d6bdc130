"""The one statement that places a whole order.

Between two statements of a transaction lie a way over the network and a wait for the interpreter, while
everybody who wants the same product, or the next number of a bill, waits as well. So one statement locks,
looks, writes and renders the answer; on its own it is a whole transaction, and nobody waits for longer
than PostgreSQL takes. It is prepared once per connection, to be planned once and not for every order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Date, DateTime, Text, bindparam, cast, exists, func, select
from sqlalchemy.orm import Session

from models import Bill, IdempotencyKey, Order, OrderDetail, Product
from repositories.idempotency_key import lock_number
from schemas.base import Read
from schemas.bill import BillRead
from schemas.order import OrderRead
from schemas.order_detail import OrderDetailRead

_SHELF = select(Product.id_key, Product.price, Product.stock, Product.active).where(
    Product.id_key == func.any(bindparam("keys"))
)
_LOCKED_SHELF = _SHELF.order_by(Product.id_key).with_for_update(key_share=True)
_SHELF_AND_KEY = _SHELF.add_columns(
    exists().where(IdempotencyKey.key == cast(bindparam("key"), Text)).label("key_is_known")
)


def _fields(model: type[Any], schema: type[Read]) -> str:
    """The columns that the schema shows, as `schemas.json_codec` writes them; the CTE has the table's name."""
    table = model.__table__
    return ", ".join(_json_value(f"{table.name}.{name}", table.c[name].type) for name in schema.model_fields)


def _json_value(column: str, kind: Any) -> str:
    name = column.rpartition(".")[2]
    if isinstance(kind, DateTime) and not isinstance(kind, Date):
        text = f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        return f"replace({text}, '.000000Z', 'Z') AS {name}"
    return f"{column} AS {name}"


# Only names of columns are put into the text; every value is a parameter.
_PLACE = f"""
WITH line AS (
    SELECT * FROM unnest($1::bigint[], $2::integer[], $3::numeric[])
    WITH ORDINALITY AS line (product_id, quantity, price, place)
), taken AS (
    SELECT product_id, sum(quantity) AS quantity, min(price) AS price FROM line GROUP BY product_id
), key AS MATERIALIZED (
    SELECT $12::text IS NULL OR pg_try_advisory_xact_lock($13::bigint) AS is_ours
), shelf AS MATERIALIZED (
    SELECT products.* FROM products, key WHERE key.is_ours AND products.id_key = ANY ($1::bigint[])
    ORDER BY products.id_key FOR NO KEY UPDATE OF products
), deal AS MATERIALIZED (
    SELECT count(*) = (SELECT count(*) FROM taken)
        AND bool_and(shelf.active AND shelf.price = taken.price AND shelf.stock >= taken.quantity) AS is_on
    FROM shelf JOIN taken ON taken.product_id = shelf.id_key
), sold AS (
    UPDATE products SET stock = products.stock - taken.quantity,
        updated_at = GREATEST(clock_timestamp(), products.updated_at + interval '1 microsecond')
    FROM taken, deal WHERE deal.is_on AND products.id_key = taken.product_id
), counter AS (
    INSERT INTO bill_counters AS c (kind, year, last_number)
    SELECT 'sale', extract(year FROM now() AT TIME ZONE 'UTC'), 1 FROM deal WHERE deal.is_on AND $4::text IS NULL
    ON CONFLICT (kind, year) DO UPDATE SET last_number = c.last_number + 1
    RETURNING year, last_number
), bills AS (
    INSERT INTO bills (bill_number, discount, date, total, payment_type, client_id)
    SELECT coalesce($4, (
            SELECT 'BILL-' || year || '-' || lpad(last_number::text, greatest(6, length(last_number::text)), '0')
            FROM counter)),
        $5::numeric, (coalesce($6::timestamptz, now()) AT TIME ZONE 'UTC')::date,
        greatest(0, $7::numeric - $5::numeric), $8::text, $9::bigint
    FROM deal WHERE deal.is_on
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
), answer AS MATERIALIZED (
    SELECT orders.id_key, to_hex(orders.id_key) || '-' ||
            to_hex((extract(epoch FROM orders.updated_at) * 1000000)::bigint) AS version,
        (SELECT row_to_json(placed) FROM (
            SELECT {_fields(Order, OrderRead)}, (
                SELECT ('[' || string_agg(row_to_json(detail)::text, ',' ORDER BY detail.id_key) || ']')::json
                FROM (SELECT {_fields(OrderDetail, OrderDetailRead)} FROM order_details) detail
            ) AS order_details, (
                SELECT row_to_json(bill) FROM (SELECT {_fields(Bill, BillRead)} FROM bills) bill
            ) AS bill
        ) placed)::text AS body
    FROM orders
), tagged AS MATERIALIZED (
    SELECT id_key, body, '"' || version || '.' || left(md5(body), 24) || '"' AS etag FROM answer
), kept AS (
    INSERT INTO idempotency_keys (key, fingerprint, status, headers, body)
    SELECT $12, $14::bytea, 201,
        jsonb_build_object('Content-Type', 'application/json', 'ETag', etag, 'Location', $15::text || id_key),
        convert_to(body, 'UTF8')
    FROM tagged WHERE $12 IS NOT NULL
)
SELECT id_key, body, etag FROM tagged
"""  # noqa: S608
_EXECUTE = (
    "EXECUTE place_order (%(product_ids)s, %(quantities)s, %(prices)s, %(bill_number)s, %(discount)s, %(date)s, "
    "%(total)s, %(payment_type)s, %(client_id)s, %(delivery_method)s, %(address_id)s, "
    "%(key)s, %(key_lock)s, %(fingerprint)s, %(location)s)"
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


@dataclass(frozen=True, slots=True)
class KeptUnder:
    """The Idempotency-Key to keep the answer under; `location` is what stands before the order's key in its path."""

    key: str
    fingerprint: bytes
    location: str


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """A stored order: its key, its JSON with details and bill inside, and the entity tag of that."""

    id_key: int
    body: bytes
    etag: str


class CheckoutRepository:
    """Placing orders, on the connection of one session: plain rows need none of what an ORM does with them."""

    def __init__(self, session: Session) -> None:
        self.connection = session.connection()

    def glance(self, product_ids: Sequence[int], key: str | None) -> dict[int, Any]:
        """The products that exist, by id, as they are now; nothing is locked. Each row says whether the key is known."""
        rows = self.connection.execute(_SHELF_AND_KEY, {"keys": list(set(product_ids)), "key": key})
        return {row.id_key: row for row in rows}

    def lock_shelf(self, product_ids: Sequence[int]) -> dict[int, Any]:
        """The products that exist, by id, locked in the order of their ids."""
        return {row.id_key: row for row in self.connection.execute(_LOCKED_SHELF, {"keys": sorted(set(product_ids))})}

    def place(self, order: NewOrder, kept_under: KeptUnder | None = None) -> PlacedOrder | None:
        """Write the order with its bill, details, stock and ledger, and its answer under the key.

        None, with nothing written, when a product is not what `order` takes it for, or the key is at work elsewhere.
        """
        if not self.connection.info.get("place_order_prepared"):
            # One plan for all: what differs from order to order does not change how to go about it.
            self.connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
            self.connection.exec_driver_sql(f"PREPARE place_order AS {_PLACE}")
            self.connection.info["place_order_prepared"] = True
        parameters = {name: getattr(order, name) for name in NewOrder.__slots__}
        for name in KeptUnder.__slots__:
            parameters[name] = None if kept_under is None else getattr(kept_under, name)
        parameters["key_lock"] = None if kept_under is None else lock_number(kept_under.key)
        row = self.connection.exec_driver_sql(_EXECUTE, parameters).first()
        return None if row is None else PlacedOrder(row.id_key, row.body.encode(), row.etag)
