"""The single statement that places all orders of a group.

Between two statements of a transaction lie a way over the network and a wait for the interpreter, and every statement
costs PostgreSQL a start. So one statement places all orders that wait: it locks, judges, writes and renders, and by
itself is a whole transaction. Each order gets a verdict of its own, and one that is refused touches no other.

The text reads from top to bottom: what is asked for, what is there, which rule an order breaks, whether the stock is
enough for all of them, what is written, and the responses.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from models import Bill, Order, OrderDetail
from models.base import next_version
from models.bill import BillKind, PaymentStatus
from models.stock_movement import StockReason
from repositories.address import SHIP_TO
from repositories.query.json_objects import json_object
from schemas.bill import BillRead
from schemas.field_types import MAX_MONEY
from schemas.order import OrderRead
from schemas.order_detail import OrderDetailRead


class Verdict(IntEnum):
    """What became of an order. Of several rules that it breaks, the one with the smallest number counts."""

    # Another transaction uses its Idempotency-Key; it was used for another request; its response is kept.
    KEY_IN_USE = 10
    KEY_REUSED = 11
    REPEATED = 12
    NO_CLIENT = 20
    NO_ADDRESS = 21
    ADDRESS_OF_ANOTHER = 22
    # Somebody has locked one of its products, its client or its address: a statement that skips locked rows says so.
    LOCKED = 30
    NO_PRODUCT = 31
    # One of its products is not sold at all, or not at that price.
    NOT_FOR_SALE = 32
    SHORT = 33
    AMOUNT_TOO_LARGE = 40
    DISCOUNT_TOO_LARGE = 41
    OTHER_TOTAL = 42
    NUMBER_TAKEN = 43
    # There may be enough for it, or not: that depends on orders before it in the group. It has to be placed again.
    UNDECIDED = 50
    PLACED = 60


# The columns of the orders and of their lines, with the types of the parameters: an array for each.
ORDER_COLUMNS: Final = {
    "client_id": "bigint",
    "address_id": "bigint",
    # Whether it goes to the default address of its client, if there is one.
    "to_default_address": "boolean",
    # Whether a customer places it, for whom inactive products and addresses of others do not exist.
    "is_customers": "boolean",
    "discount": "numeric",
    "expected_total": "numeric",
    "payment_type": "text",
    "delivery_method": "smallint",
    "bill_number": "text",
    "date": "timestamptz",
    "key": "text",
    "key_lock": "bigint",
    "fingerprint": "text",
    "location": "text",
    "actor": "text",
    "request_id": "text",
    "trace_parent": "text",
    # Only for those whose orders are audited.
    "action": "text",
    "address": "text",
}
LINE_COLUMNS: Final = {
    # The place of the order in the group, and of the line in its order.
    "place": "bigint",
    "number": "integer",
    "product_id": "bigint",
    "quantity": "bigint",
    # What all lines of the order take of this product, with the first of them; the others take nothing.
    "taken": "bigint",
    "offered": "numeric",
    "is_customers": "boolean",
}


def _arrays(columns: Mapping[str, str], first: int) -> str:
    return ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), first))


def _next_key(table: str) -> str:
    return f"nextval('{table}_id_key_seq')"


# Looked up only for those who ask for it; everything below sees the address that the order goes to.
_ADDRESS = """CASE WHEN to_default_address THEN (
        SELECT id_key FROM addresses WHERE addresses.client_id = asked.client_id AND addresses.is_default LIMIT 1
    ) ELSE address_id END AS address_id"""
_COLUMNS_ASKED = ", ".join(_ADDRESS if name == "address_id" else name for name in ORDER_COLUMNS)

# Only names of columns and constants are put into the texts; every value is a parameter. Tables are looked into for one
# row, or by an array of keys, and never joined: while a table is small, PostgreSQL would plan to read the whole of it, and
# keep that plan when it has grown.
_ASKED = f"""
WITH asked AS MATERIALIZED (
    SELECT {_COLUMNS_ASKED}, place
    FROM unnest({_arrays(ORDER_COLUMNS, 1)}) WITH ORDINALITY AS asked ({", ".join(ORDER_COLUMNS)}, place)
), line AS MATERIALIZED (
    SELECT * FROM unnest({_arrays(LINE_COLUMNS, 1 + len(ORDER_COLUMNS))}) AS line ({", ".join(LINE_COLUMNS)})
)"""  # noqa: S608
_FOUND = f""", keyed AS MATERIALIZED (
    SELECT asked.place, CASE
            WHEN NOT pg_try_advisory_xact_lock(asked.key_lock) THEN {Verdict.KEY_IN_USE:d}
            WHEN kept.fingerprint <> decode(asked.fingerprint, 'hex') THEN {Verdict.KEY_REUSED:d}
            WHEN kept.key IS NOT NULL THEN {Verdict.REPEATED:d}
        END AS verdict, kept.status, kept.headers, kept.body
    FROM asked LEFT JOIN LATERAL (
        SELECT * FROM idempotency_keys WHERE idempotency_keys.key = asked.key LIMIT 1
    ) AS kept ON true WHERE asked.key IS NOT NULL
)"""  # noqa: S608
_WANTED = "SELECT id_key, price, stock, active, name, sku FROM products WHERE id_key = ANY (ARRAY (SELECT product_id FROM line))"
_LOCKED = f""", product AS MATERIALIZED ({_WANTED} ORDER BY id_key FOR NO KEY UPDATE)"""
# The one product that the statement waits for comes first, so that it keeps no other from anybody meanwhile.
_AWAITED = f"${1 + len(ORDER_COLUMNS) + len(LINE_COLUMNS)}::bigint"
_FREE_PRODUCTS = f""", awaited AS MATERIALIZED (
    {_WANTED} AND id_key = {_AWAITED} FOR NO KEY UPDATE
), product AS MATERIALIZED (
    SELECT * FROM awaited UNION ALL SELECT * FROM (
        {_WANTED} AND id_key <> {_AWAITED} ORDER BY id_key FOR NO KEY UPDATE SKIP LOCKED
    ) AS free
)"""  # noqa: S608
# What the foreign keys of an order lock at the end: one that skips locked rows asks for these as well.
_FREE_OWNERS = """, client AS MATERIALIZED (
    SELECT id_key FROM clients WHERE id_key = ANY (ARRAY (SELECT client_id FROM asked)) FOR KEY SHARE SKIP LOCKED
), address AS MATERIALIZED (
    SELECT id_key FROM addresses WHERE id_key = ANY (ARRAY (SELECT address_id FROM asked)) FOR KEY SHARE SKIP LOCKED
)"""
_IS_LOCKED = (
    "NOT (asked.client_id = ANY (ARRAY (SELECT id_key FROM client))"
    " AND (asked.address_id IS NULL OR asked.address_id = ANY (ARRAY (SELECT id_key FROM address))))"
)
_JUDGED = f""", priced AS MATERIALIZED (
    SELECT line.*, product.active, product.price, product.stock, product.name, product.sku, CASE
            WHEN product.active AND line.taken <= product.stock AND coalesce(line.offered = product.price, true) THEN NULL
            WHEN product.id_key IS NULL AND (SELECT true FROM products WHERE products.id_key = line.product_id)
                THEN {Verdict.LOCKED:d}
            WHEN product.id_key IS NULL OR line.is_customers AND NOT product.active THEN {Verdict.NO_PRODUCT:d}
            WHEN NOT product.active OR line.offered <> product.price THEN {Verdict.NOT_FOR_SALE:d}
            ELSE {Verdict.SHORT:d}
        END AS verdict
    FROM line LEFT JOIN product ON product.id_key = line.product_id
), summed AS MATERIALIZED (
    SELECT place, sum(quantity * price) AS total, min(verdict) AS verdict FROM priced GROUP BY place
), judged AS MATERIALIZED (
    SELECT asked.*, summed.total, keyed.status, keyed.headers, keyed.body, least(keyed.verdict, {{of_lines}}, CASE
            WHEN (SELECT true FROM clients WHERE clients.id_key = asked.client_id) IS NULL THEN {Verdict.NO_CLIENT:d}
            WHEN asked.address_id IS NULL THEN NULL
            ELSE (SELECT CASE
                    WHEN max(addresses.client_id) = asked.client_id THEN NULL
                    WHEN count(*) = 0 OR asked.is_customers THEN {Verdict.NO_ADDRESS:d}
                    ELSE {Verdict.ADDRESS_OF_ANOTHER:d}
                END FROM addresses WHERE addresses.id_key = asked.address_id)
        END, CASE
            WHEN {{is_locked}} THEN {Verdict.LOCKED:d}
        END, CASE
            WHEN summed.total > {MAX_MONEY} THEN {Verdict.AMOUNT_TOO_LARGE:d}
            WHEN asked.discount > summed.total THEN {Verdict.DISCOUNT_TOO_LARGE:d}
            WHEN asked.expected_total <> summed.total - asked.discount THEN {Verdict.OTHER_TOTAL:d}
            WHEN asked.bill_number IS NULL THEN NULL
            WHEN (SELECT true FROM bills WHERE text_key(bills.bill_number) = text_key(asked.bill_number))
                THEN {Verdict.NUMBER_TAKEN:d}
        END) AS verdict
    FROM asked JOIN summed USING (place) LEFT JOIN keyed USING (place)
)"""  # noqa: S608
_DECIDED = f""", wanted AS MATERIALIZED (
    SELECT priced.*, sum(taken) OVER (PARTITION BY product_id ORDER BY place, number ROWS UNBOUNDED PRECEDING) <= stock AS is_there
    FROM priced JOIN judged USING (place) WHERE judged.verdict IS NULL
), verdict AS MATERIALIZED (
    SELECT *, CASE WHEN verdict = {Verdict.PLACED:d} THEN {_next_key("orders")} END AS order_key FROM (
        SELECT {", ".join(ORDER_COLUMNS)}, place, total, status, headers, body, coalesce(verdict, (
                SELECT CASE WHEN bool_and(is_there) THEN {Verdict.PLACED:d} ELSE {Verdict.UNDECIDED:d} END
                FROM wanted WHERE wanted.place = judged.place
            )) AS verdict
        FROM judged ORDER BY place
    ) AS judged
)"""  # noqa: S608
# Of the order's bill (see `models.order`).
_FIGURES = "discount, shipping, tax_included, to_pay, refunded, net, paid, payment_status"
_WRITTEN = f""", sale AS MATERIALIZED (
    SELECT *, {_next_key("bills")} AS bill_key, coalesce(date, now()) AS moment, total - discount AS to_pay,
        CASE WHEN total = discount THEN '{PaymentStatus.PAID}' ELSE '{PaymentStatus.UNPAID}' END AS payment_status,
        CASE WHEN address_id IS NOT NULL THEN (
            SELECT {SHIP_TO} FROM addresses WHERE addresses.id_key = verdict.address_id
        ) END AS ship_to,
        count(*) FILTER (WHERE bill_number IS NULL) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING) AS nth
    FROM verdict WHERE order_key IS NOT NULL
), sold AS MATERIALIZED (
    SELECT *, {_next_key("order_details")} AS detail_key FROM (
        SELECT sale.order_key, wanted.* FROM wanted JOIN sale USING (place) ORDER BY place, number
    ) AS ordered
), taken AS (
    UPDATE products SET stock = products.stock - taken.quantity, updated_at = {next_version("products.updated_at")}
    FROM (SELECT product_id, sum(quantity) AS quantity FROM sold GROUP BY product_id) AS taken
    WHERE products.id_key = taken.product_id AND products.id_key = ANY (ARRAY (SELECT product_id FROM sold))
), order_details AS (
    INSERT INTO order_details (id_key, quantity, price, name, sku, order_id, product_id) OVERRIDING SYSTEM VALUE
    SELECT detail_key, quantity, price, name, sku, order_key, product_id FROM sold
    RETURNING *
), ledger AS (
    INSERT INTO stock_movements (product_id, delta, reason, order_detail_id)
    SELECT product_id, -quantity, '{StockReason.SALE}', detail_key FROM sold
), orders AS (
    INSERT INTO orders (id_key, date, total, delivery_method, client_id, bill_id, address_id, ship_to, {_FIGURES})
        OVERRIDING SYSTEM VALUE
    SELECT order_key, moment, total, delivery_method, client_id, bill_key, address_id, ship_to,
        discount, 0, 0, to_pay, 0, to_pay, 0, payment_status
    FROM sale
    RETURNING *
), counter AS (
    INSERT INTO bill_counters AS c (kind, year, last_number)
    SELECT '{BillKind.SALE}', extract(year FROM now() AT TIME ZONE shop_time_zone()), max(nth) FROM sale HAVING max(nth) > 0
    ON CONFLICT (kind, year) DO UPDATE SET last_number = c.last_number + excluded.last_number
    RETURNING year, last_number
), bills AS (
    INSERT INTO bills (id_key, bill_number, discount, date, total, payment_type, client_id, payment_status)
    OVERRIDING SYSTEM VALUE
    SELECT bill_key,
        coalesce(bill_number, '{BillKind.SALE.prefix}-' || year || '-' || lpad(number, greatest(6, length(number)), '0')),
        discount, (moment AT TIME ZONE shop_time_zone())::date, to_pay, payment_type, client_id, payment_status
    FROM (
        SELECT sale.*, counter.year, (counter.last_number - max(nth) OVER () + nth)::text AS number
        FROM sale LEFT JOIN counter ON true
    ) AS numbered
    RETURNING *
)"""  # noqa: S608
_INSIDE = {"order_details": "'[', details, ']'", "bill": json_object(Bill, BillRead, is_near=True)}
_RENDERED = f""", detail_json AS MATERIALIZED (
    SELECT order_id, string_agg({json_object(OrderDetail, OrderDetailRead)}, ',' ORDER BY id_key) AS details
    FROM order_details GROUP BY order_id
), response AS MATERIALIZED (
    SELECT id_key, text, text || chr(10) AS body, '"' || version || '.' || left(md5(text || chr(10)), 24) || '"' AS etag
    FROM (
        SELECT orders.id_key,
            to_hex(orders.id_key) || '-' || to_hex((extract(epoch FROM orders.updated_at) * 1000000)::bigint) AS version,
            {json_object(Order, OrderRead, members=_INSIDE, is_near=True)} AS text
        FROM orders JOIN detail_json ON detail_json.order_id = orders.id_key JOIN bills ON bills.id_key = orders.bill_id
        OFFSET 0
    ) AS rendered
), kept AS (
    INSERT INTO idempotency_keys (key, fingerprint, status, headers, body)
    SELECT sale.key, decode(sale.fingerprint, 'hex'), 201,
        jsonb_build_object('Content-Type', 'application/json', 'ETag', etag, 'Location', sale.location || id_key),
        convert_to(response.body, 'UTF8')
    FROM sale JOIN response ON response.id_key = sale.order_key WHERE sale.key IS NOT NULL
)"""  # noqa: S608


# What has happened, in the same words as the response.
_TOLD = """, event AS (
    INSERT INTO events (type, resource, resource_id, client_id, actor, request_id, trace_parent, data)
    SELECT 'order.created', 'orders', order_key, client_id, actor, request_id, trace_parent, response.text::json
    FROM sale JOIN response ON response.id_key = sale.order_key
)"""


def _new(**columns: str) -> str:
    values = (f"'{name}', jsonb_build_array(NULL, {column})" for name, column in columns.items())
    return f"jsonb_build_object({', '.join(values)})"


# The entry in the audit trail, for those whose orders are audited: what the order is about, and not all of its fields,
# which would take as long as the rest of the entry.
_AUDITED = f""", entry AS (
    INSERT INTO audit_entries (actor, action, request_id, address, resource, resource_id, changes)
    SELECT actor, action, request_id, address, 'orders', order_key,
        {_new(client_id="client_id", bill_id="bill_key", total="total")}
            || CASE WHEN address_id IS NULL THEN '{{}}' ELSE {_new(address_id="address_id")} END
    FROM sale WHERE action IS NOT NULL
)"""  # noqa: S608
_RETURNED = f"""
SELECT verdict, order_key, coalesce(response.body, convert_from(verdict.body, 'UTF8')), etag, status, headers, total::text,
    CASE WHEN verdict BETWEEN {Verdict.LOCKED:d} AND {Verdict.SHORT:d} THEN (
        SELECT jsonb_agg(jsonb_build_array(number, priced.verdict, active, price::text, stock) ORDER BY number)
        FROM priced WHERE priced.place = verdict.place AND priced.verdict IS NOT NULL) END AS lines
FROM verdict LEFT JOIN response ON response.id_key = verdict.order_key ORDER BY place
"""  # noqa: S608


def statement_text(*, skips_locked: bool) -> str:
    """The SQL; one that skips locked rows gives the orders that want them the verdict `LOCKED`.

    That one has another parameter: the key of a product that it waits for all the same, or 0.
    """
    locked = _FREE_PRODUCTS + _FREE_OWNERS if skips_locked else _LOCKED
    judged = _JUDGED.format(is_locked=_IS_LOCKED if skips_locked else "false", of_lines="summed.verdict")
    return "".join((_ASKED, _FOUND, locked, judged, _DECIDED, _WRITTEN, _RENDERED, _TOLD, _AUDITED, _RETURNED))


# No key is looked for, no row is locked, and nothing is written. The columns of `_RETURNED`, then all lines and the currency.
_NO_KEYS = """, keyed AS (
    SELECT NULL::bigint AS place, NULL::integer AS verdict, NULL::smallint AS status, NULL::jsonb AS headers,
        NULL::bytea AS body WHERE false
)"""
_QUOTED = f"""
SELECT coalesce(verdict, {Verdict.PLACED:d}), NULL, NULL, NULL, NULL, NULL, total::text,
    (SELECT jsonb_agg(jsonb_build_array(number, verdict, active, price::text, stock) ORDER BY number) FROM priced
        WHERE verdict IS NOT NULL),
    (SELECT jsonb_agg(jsonb_build_array(name, sku, price::text, stock) ORDER BY number) FROM priced), shop_currency()
FROM judged
"""  # noqa: S608


def quote_text() -> str:
    """The SQL that judges one order by the same rules, except that too little in stock breaks none."""
    judged = _JUDGED.format(is_locked="false", of_lines=f"nullif(summed.verdict, {Verdict.SHORT:d})")
    return "".join((_ASKED, _NO_KEYS, f", product AS MATERIALIZED ({_WANTED})", judged, _QUOTED))
