"""The single statement that places a whole order.

Between two statements of a transaction lie a way over the network and a wait for the interpreter, while other orders
of the same product, or for the next number of a bill, wait as well. So one statement locks, checks, writes and renders
the response; by itself it is a whole transaction, and others wait no longer than PostgreSQL takes. It is prepared once
per connection, so that it is planned once and not for every order.

There are two of them, which differ in how they take the goods. An order of one product takes them by an UPDATE with
all conditions: PostgreSQL checks these again when it had to wait for the row. Orders of several products would deadlock
that way; they lock their rows in the order of the ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, bindparam, func, select
from sqlalchemy.orm import Session

from infrastructure.database.prepared import Parameters, Prepared, Row
from infrastructure.database.statement_limits import ONLY_LOCKS
from models import Bill, Order, OrderDetail, Product
from models.base import next_version
from models.bill import BillKind
from models.stock_movement import StockReason
from repositories.audit_trail import AUTHOR_PARAMETERS, Author, author_of
from repositories.idempotency_key import lock_number
from repositories.product import ProductRepository
from repositories.query.filters import EVERY_ROW, PUBLIC, Visible
from schemas.base import Read
from schemas.bill import BillRead
from schemas.field_types import MAX_MONEY
from schemas.order import OrderRead
from schemas.order_detail import OrderDetailRead

_LOCKED_PRODUCTS = (
    select(Product.id_key, Product.price, Product.stock, Product.active)
    .where(Product.id_key == func.any(bindparam("keys")))
    .order_by(Product.id_key)
    .with_for_update(key_share=True)
    .execution_options(**ONLY_LOCKS)
)
# Products that are not on sale do not exist for customers.
_LOCKED_PUBLIC_PRODUCTS = _LOCKED_PRODUCTS.where(ProductRepository.public)


def _fields(model: type[Any], schema: type[Read]) -> str:
    """The columns that the schema shows, as `schemas.json_codec` writes them; the CTE has the table's name."""
    table = model.__table__
    return ", ".join(_json_value(f"{table.name}.{name}", table.c[name].type) for name in schema.model_fields)


def _json_value(column: str, kind: Any) -> str:
    name = column.rpartition(".")[2]
    if isinstance(kind, DateTime):
        text = f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        return f"replace({text}, '.000000Z', 'Z') AS {name}"
    return f"{column} AS {name}"


# In the order of the parameters' numbers. `offered` are the prices that the client expects, NULL where it sent none.
_PARAMETERS = (
    "product_ids",  # $1
    "quantities",
    "offered",
    "bill_number",  # $4
    "discount",
    "date",
    "expected_total",  # $7
    "payment_type",
    "client_id",
    "delivery_method",  # $10
    "address_id",
    "key",
    "key_lock",  # $13
    "fingerprint",
    "location",
)

# Only names of columns and constants are put into the texts; every value is a parameter.
_KEY_AND_LINES = """
WITH key AS MATERIALIZED (
    SELECT $12::text IS NULL OR (pg_try_advisory_xact_lock($13::bigint)
        AND NOT EXISTS (SELECT FROM idempotency_keys WHERE idempotency_keys.key = $12)) AS is_ours
), line AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::integer[], $3::numeric[])
    WITH ORDINALITY AS line (product_id, quantity, offered, place)
)"""
_NEXT_VERSION = next_version("products.updated_at")


def _agreed(total: str) -> str:
    """The conditions on the sum of the lines."""
    return f"{total} BETWEEN $5::numeric AND {MAX_MONEY} AND {total} - $5 = coalesce($7::numeric, {total} - $5)"


# All lines are of the same product. Its conditions are in the UPDATE itself, which checks them again on a row that
# others have changed meanwhile.
_SOLD_OF_ONE = f""", taken AS MATERIALIZED (
    SELECT min(product_id) AS product_id, sum(quantity) AS quantity, min(offered) AS least, max(offered) AS most
    FROM line
), sold AS (
    UPDATE products SET stock = products.stock - taken.quantity, updated_at = {_NEXT_VERSION}
    FROM key, taken
    WHERE key.is_ours AND products.id_key = taken.product_id AND products.active AND products.stock >= taken.quantity
        AND products.price = coalesce(taken.least, products.price)
        AND products.price = coalesce(taken.most, products.price)
        AND {_agreed("products.price * taken.quantity")}
    RETURNING products.id_key AS product_id, products.price
)"""  # noqa: S608
_SOLD_OF_MANY = f""", locked AS MATERIALIZED (
    SELECT products.* FROM products, key WHERE key.is_ours AND products.id_key = ANY ($1::bigint[])
    ORDER BY products.id_key FOR NO KEY UPDATE OF products
), taken AS MATERIALIZED (
    SELECT line.product_id, sum(line.quantity) AS quantity, sum(line.quantity * locked.price) AS price,
        bool_and(locked.price = coalesce(line.offered, locked.price)) AND bool_and(locked.active)
            AND min(locked.stock) >= sum(line.quantity) AS is_there
    FROM line LEFT JOIN locked ON locked.id_key = line.product_id GROUP BY line.product_id
), deal AS MATERIALIZED (
    SELECT FROM taken HAVING bool_and(is_there IS TRUE) AND {_agreed("sum(price)")}
), sold AS (
    UPDATE products SET stock = products.stock - taken.quantity, updated_at = {_NEXT_VERSION}
    FROM taken, deal WHERE products.id_key = taken.product_id
    RETURNING products.id_key AS product_id, products.price
)"""  # noqa: S608
_WRITTEN = f""", sale AS MATERIALIZED (
    SELECT sum(line.quantity * sold.price) AS total FROM line JOIN sold USING (product_id) HAVING count(*) > 0
), counter AS (
    INSERT INTO bill_counters AS c (kind, year, last_number)
    SELECT '{BillKind.SALE}', extract(year FROM now() AT TIME ZONE 'UTC'), 1 FROM sale WHERE $4::text IS NULL
    ON CONFLICT (kind, year) DO UPDATE SET last_number = c.last_number + 1
    RETURNING year, last_number
), bills AS (
    INSERT INTO bills (bill_number, discount, date, total, payment_type, client_id)
    SELECT coalesce($4, (
            SELECT '{BillKind.SALE.prefix}-' || year || '-' || lpad(last_number::text, greatest(6, length(last_number::text)), '0')
            FROM counter)),
        $5::numeric, (coalesce($6::timestamptz, now()) AT TIME ZONE 'UTC')::date, total - $5, $8::text, $9::bigint
    FROM sale
    RETURNING *
), orders AS (
    INSERT INTO orders (date, total, delivery_method, client_id, bill_id, address_id)
    SELECT coalesce($6::timestamptz, now()), sale.total, $10::smallint, $9::bigint, bills.id_key, $11::bigint
    FROM bills, sale
    RETURNING *
), order_details AS (
    INSERT INTO order_details (quantity, price, order_id, product_id)
    SELECT line.quantity, sold.price, orders.id_key, line.product_id
    FROM line JOIN sold USING (product_id), orders ORDER BY line.place
    RETURNING *
), ledger AS (
    INSERT INTO stock_movements (product_id, delta, reason, order_detail_id)
    SELECT product_id, -quantity, '{StockReason.SALE}', id_key FROM order_details ORDER BY id_key
), response AS MATERIALIZED (
    SELECT orders.id_key, to_hex(orders.id_key) || '-' ||
            to_hex((extract(epoch FROM orders.updated_at) * 1000000)::bigint) AS version,
        (SELECT row_to_json(placed) FROM (
            SELECT {_fields(Order, OrderRead)}, (
                SELECT ('[' || string_agg(row_to_json(detail)::text, ',' ORDER BY detail.id_key) || ']')::json
                FROM (SELECT {_fields(OrderDetail, OrderDetailRead)} FROM order_details) detail
            ) AS order_details, (
                SELECT row_to_json(bill) FROM (SELECT {_fields(Bill, BillRead)} FROM bills) bill
            ) AS bill
        ) placed)::text || chr(10) AS body
    FROM orders
), tagged AS MATERIALIZED (
    SELECT id_key, body, '"' || version || '.' || left(md5(body), 24) || '"' AS etag FROM response
), kept AS (
    INSERT INTO idempotency_keys (key, fingerprint, status, headers, body)
    SELECT $12, $14::bytea, 201,
        jsonb_build_object('Content-Type', 'application/json', 'ETag', etag, 'Location', $15::text || id_key),
        convert_to(body, 'UTF8')
    FROM tagged WHERE $12 IS NOT NULL
)"""  # noqa: S608


def _new(*fields: str) -> str:
    values = (f"'{name}', jsonb_build_array(NULL, orders.{name})" for name in fields)
    return f"jsonb_build_object({', '.join(values)})"


# The entry in the audit trail, for those whose orders are audited: what the order is about, and not all of its fields,
# which would take as long as the rest of the entry.
_ENTRY = f""", entry AS (
    INSERT INTO audit_entries ({", ".join(AUTHOR_PARAMETERS)}, resource, resource_id, changes)
    SELECT {", ".join(f"${place}::text" for place, _ in enumerate(AUTHOR_PARAMETERS, len(_PARAMETERS) + 1))},
        'orders', orders.id_key, {_new("client_id", "bill_id", "total")}
            || CASE WHEN orders.address_id IS NULL THEN '{{}}' ELSE {_new("address_id")} END
    FROM orders
)"""  # noqa: S608
_RETURNED = """
SELECT id_key, body, etag FROM tagged
"""


def _prepared(name: str, sold: str) -> tuple[Prepared, Prepared]:
    """The statement, and the one that is audited."""
    text = f"{_KEY_AND_LINES}{sold}{_WRITTEN}"
    return (
        Prepared(name, f"{text}{_RETURNED}", _PARAMETERS),
        Prepared(f"{name}_audited", f"{text}{_ENTRY}{_RETURNED}", (*_PARAMETERS, *AUTHOR_PARAMETERS.values())),
    )


_OF_ONE = _prepared("place_order_of_one_product", _SOLD_OF_ONE)
_OF_MANY = _prepared("place_order", _SOLD_OF_MANY)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """The order of a request. The lines are three lists of the same length, in the client's order.

    `offered` are the prices that the client expects, and `expected_total` the amount to pay that it expects; None where
    it sent none.
    """

    product_ids: list[int]
    quantities: list[int]
    offered: list[Decimal | None]
    discount: Decimal
    expected_total: Decimal | None
    payment_type: str
    delivery_method: int
    client_id: int
    bill_number: str | None
    date: datetime | None
    address_id: int | None


@dataclass(frozen=True, slots=True)
class KeyToKeep:
    """The Idempotency-Key to keep the response under; `location` is the part of the order's path before its key."""

    key: str
    fingerprint: bytes
    location: str


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """A stored order: its key, its JSON with details and bill inside, and the entity tag of that."""

    id_key: int
    body: bytes
    etag: str


def placing(
    order: NewOrder, key_to_keep: KeyToKeep | None = None, author: Author | None = None
) -> tuple[Prepared, Parameters]:
    """The statement that writes the order with its bill, details, stock and ledger, and its response under the key.

    With an author it writes the entry in the audit trail, too.

    It returns no row, and writes nothing, when a product or a sum is not what the client expects, or when the key is
    stored or in use by another transaction.
    """
    parameters = {name: getattr(order, name) for name in NewOrder.__slots__}
    for name in KeyToKeep.__slots__:
        parameters[name] = None if key_to_keep is None else getattr(key_to_keep, name)
    parameters["key_lock"] = None if key_to_keep is None else lock_number(key_to_keep.key)
    statement, audited = _OF_MANY if len(set(order.product_ids)) > 1 else _OF_ONE
    return (statement, parameters) if author is None else (audited, parameters | author.parameters())


def placed(row: Row) -> PlacedOrder:
    """The order from the row that the statement returns."""
    id_key, body, etag = row
    return PlacedOrder(id_key, body.encode(), etag)


class CheckoutRepository:
    """Placing orders by several statements, on the connection of a session: plain rows need no ORM."""

    def __init__(self, session: Session) -> None:
        self.connection = session.connection()
        self.author = author_of(session)

    def lock_products(self, product_ids: Sequence[int], visible: Visible = EVERY_ROW) -> dict[int, Any]:
        """The products that exist, by id, locked in the order of their ids."""
        statement = _LOCKED_PUBLIC_PRODUCTS if PUBLIC in visible else _LOCKED_PRODUCTS
        return {row.id_key: row for row in self.connection.execute(statement, {"keys": sorted(set(product_ids))})}

    def place(self, order: NewOrder) -> PlacedOrder | None:
        """Write the order as `placing` does, within this transaction; None when it is not as the client expects."""
        statement, parameters = placing(order, author=self.author)
        prepared: set[str] = self.connection.info.setdefault("prepared", set())
        if statement.name not in prepared:
            # One plan for all orders: other values need no other plan.
            self.connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
            self.connection.exec_driver_sql(f"PREPARE {statement.name} AS {statement.text}")
            prepared.add(statement.name)
        values = ", ".join(f"%({name})s" for name in statement.parameters)
        row = self.connection.exec_driver_sql(f"EXECUTE {statement.name} ({values})", dict(parameters)).first()
        return None if row is None else placed(tuple(row))
