"""Judging the orders of a group: what is asked for, what is there, which rule an order breaks, and is there enough for all.

Parts of the statement in `checkout_statement.py`, in its order.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from schemas.field_types import MAX_MONEY


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
    # It may be taxed, which a statement without taxes does not compute. It has to be placed again by one with them.
    TAXED = 45
    # There may be enough for it, or not: that depends on orders before it in the group. It has to be placed again.
    UNDECIDED = 50
    PLACED = 60


# The columns of the orders and of their lines, with the types of the parameters: an array for each.
ORDER_COLUMNS: Final = {
    "client_id": "bigint",
    "address_id": "bigint",
    # Where it goes to without an address.
    "shop_country": "text",
    # Whether it goes to the default address of its client, if there is one.
    "to_default_address": "boolean",
    # Whether a customer places it, for whom inactive products and addresses of others do not exist.
    "is_customers": "boolean",
    "discount": "numeric",
    "expected_total": "numeric",
    "payment_type": "text",
    # Whether that is how it is paid at once.
    "is_paid": "boolean",
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


def next_key(table: str) -> str:
    """The SQL of the next key of the table."""
    return f"nextval('{table}_id_key_seq')"


# Looked up only for those who ask for it; everything below sees the address that the order goes to.
_ADDRESS = """CASE WHEN to_default_address THEN (
        SELECT id_key FROM addresses WHERE addresses.client_id = asked.client_id AND addresses.is_default LIMIT 1
    ) ELSE address_id END AS address_id"""
_COLUMNS_ASKED = ", ".join(_ADDRESS if name == "address_id" else name for name in ORDER_COLUMNS)

# Only names of columns and constants are put into the texts; every value is a parameter. Tables are looked into for one
# row, or by an array of keys, and never joined: while a table is small, PostgreSQL would plan to read the whole of it, and
# keep that plan when it has grown.
ASKED = f"""
WITH asked AS MATERIALIZED (
    SELECT {_COLUMNS_ASKED}, place
    FROM unnest({_arrays(ORDER_COLUMNS, 1)}) WITH ORDINALITY AS asked ({", ".join(ORDER_COLUMNS)}, place)
), line AS MATERIALIZED (
    SELECT * FROM unnest({_arrays(LINE_COLUMNS, 1 + len(ORDER_COLUMNS))}) AS line ({", ".join(LINE_COLUMNS)})
)"""  # noqa: S608
FOUND = f""", keyed AS MATERIALIZED (
    SELECT asked.place, CASE
            WHEN NOT pg_try_advisory_xact_lock(asked.key_lock) THEN {Verdict.KEY_IN_USE:d}
            WHEN kept.fingerprint <> decode(asked.fingerprint, 'hex') THEN {Verdict.KEY_REUSED:d}
            WHEN kept.key IS NOT NULL THEN {Verdict.REPEATED:d}
        END AS verdict, kept.status, kept.headers, kept.body
    FROM asked LEFT JOIN LATERAL (
        SELECT * FROM idempotency_keys WHERE idempotency_keys.key = asked.key LIMIT 1
    ) AS kept ON true WHERE asked.key IS NOT NULL
)"""  # noqa: S608
WANTED = (
    "SELECT id_key, price, stock, active, name, sku, tax_class_id, category_id FROM products"
    " WHERE id_key = ANY (ARRAY (SELECT product_id FROM line))"
)
LOCKED = f""", product AS MATERIALIZED ({WANTED} ORDER BY id_key FOR NO KEY UPDATE)"""
# The one product that the statement waits for comes first, so that it keeps no other from anybody meanwhile.
_AWAITED = f"${1 + len(ORDER_COLUMNS) + len(LINE_COLUMNS)}::bigint"
FREE_PRODUCTS = f""", awaited AS MATERIALIZED (
    {WANTED} AND id_key = {_AWAITED} FOR NO KEY UPDATE
), product AS MATERIALIZED (
    SELECT * FROM awaited UNION ALL SELECT * FROM (
        {WANTED} AND id_key <> {_AWAITED} ORDER BY id_key FOR NO KEY UPDATE SKIP LOCKED
    ) AS free
)"""  # noqa: S608
# What the foreign keys of an order lock at the end: one that skips locked rows asks for these as well.
FREE_OWNERS = """, client AS MATERIALIZED (
    SELECT id_key FROM clients WHERE id_key = ANY (ARRAY (SELECT client_id FROM asked)) FOR KEY SHARE SKIP LOCKED
), address AS MATERIALIZED (
    SELECT id_key FROM addresses WHERE id_key = ANY (ARRAY (SELECT address_id FROM asked)) FOR KEY SHARE SKIP LOCKED
)"""
IS_LOCKED = (
    "NOT (asked.client_id = ANY (ARRAY (SELECT id_key FROM client))"
    " AND (asked.address_id IS NULL OR asked.address_id = ANY (ARRAY (SELECT id_key FROM address))))"
)
# The shipping rate of an order, a named country's before any other: `price`, `free_from`, and the `charged` of it. Where there
# are no rates, nobody looks for the address.
_RATE = """SELECT price, free_from,
            CASE WHEN summed.total - asked.discount >= free_from THEN 0 ELSE price END AS charged
        FROM shipping_rates WHERE shipping_rates.delivery_method = asked.delivery_method AND (country IS NULL OR country = coalesce(
            (SELECT addresses.country FROM addresses WHERE addresses.id_key = asked.address_id), asked.shop_country))
        ORDER BY country IS NULL LIMIT 1"""
_TO_PAY = "summed.total - asked.discount + coalesce(rate.charged, 0)"
JUDGED = f""", priced AS MATERIALIZED (
    SELECT line.*, product.active, product.price, product.stock, product.name, product.sku, product.tax_class_id,
        product.category_id, CASE
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
    SELECT asked.*, summed.total, coalesce(rate.price, 0) AS shipping_price, rate.free_from AS shipping_free_from,
        coalesce(rate.charged, 0) AS shipping, keyed.status, keyed.headers, keyed.body, least(keyed.verdict, {{of_lines}}, CASE
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
            WHEN {{may_be_taxed}} THEN {Verdict.TAXED:d}
        END, CASE
            WHEN greatest(summed.total, {_TO_PAY}) > {MAX_MONEY} THEN {Verdict.AMOUNT_TOO_LARGE:d}
            WHEN asked.discount > summed.total THEN {Verdict.DISCOUNT_TOO_LARGE:d}
            WHEN asked.expected_total <> {_TO_PAY} THEN {Verdict.OTHER_TOTAL:d}
            WHEN asked.bill_number IS NULL THEN NULL
            WHEN (SELECT true FROM bills WHERE text_key(bills.bill_number) = text_key(asked.bill_number))
                THEN {Verdict.NUMBER_TAKEN:d}
        END) AS verdict
    FROM asked JOIN summed USING (place) LEFT JOIN keyed USING (place) LEFT JOIN LATERAL ({_RATE}) AS rate ON true
)"""  # noqa: S608
DECIDED = f""", wanted AS MATERIALIZED (
    SELECT priced.*, sum(taken) OVER (PARTITION BY product_id ORDER BY place, number ROWS UNBOUNDED PRECEDING) <= stock AS is_there
    FROM priced JOIN judged USING (place) WHERE judged.verdict IS NULL
), verdict AS MATERIALIZED (
    SELECT *, CASE WHEN verdict = {Verdict.PLACED:d} THEN {next_key("orders")} END AS order_key FROM (
        SELECT {", ".join(ORDER_COLUMNS)}, place, total, shipping, shipping_price, shipping_free_from, status, headers, body, coalesce(verdict, (
                SELECT CASE WHEN bool_and(is_there) THEN {Verdict.PLACED:d} ELSE {Verdict.UNDECIDED:d} END
                FROM wanted WHERE wanted.place = judged.place
            )) AS verdict
        FROM judged ORDER BY place
    ) AS judged
)"""  # noqa: S608
