"""The single statement that places all orders of a group.

Between two statements of a transaction lie a way over the network and a wait for the interpreter, and every statement
costs PostgreSQL a start. So one statement places all orders that wait: it locks, judges, writes and renders, and by
itself is a whole transaction. Each order gets a verdict of its own, and one that is refused touches no other.

The text reads from top to bottom: what is asked for, what is there, which rule an order breaks, whether the stock is
enough for all of them, what is written, and the responses.
"""

from repositories.checkout_judging import (
    ASKED,
    DECIDED,
    FOUND,
    FREE_OWNERS,
    FREE_PRODUCTS,
    IS_LOCKED,
    JUDGED,
    LOCKED,
    WANTED,
    Verdict,
)
from repositories.checkout_writing import AUDITED, RENDERED, TOLD, written
from repositories.taxes import STANDARD_CLASS, TAXED, category_in, class_of_product, frozen, rate_in, rates_of

_HAS_RATES = "EXISTS (SELECT FROM tax_classes WHERE rates <> '[]')"
_RETURNED = f"""
SELECT verdict, order_key, coalesce(response.body, convert_from(verdict.body, 'UTF8')), etag, status, headers, total::text,
    shipping::text, CASE WHEN verdict BETWEEN {Verdict.LOCKED:d} AND {Verdict.SHORT:d} THEN (
        SELECT jsonb_agg(jsonb_build_array(number, priced.verdict, active, price::text, stock) ORDER BY number)
        FROM priced WHERE priced.place = verdict.place AND priced.verdict IS NOT NULL) END AS lines
FROM verdict LEFT JOIN response ON response.id_key = verdict.order_key ORDER BY place
"""  # noqa: S608


def statement_text(*, skips_locked: bool, taxed: bool) -> str:
    """The SQL; one that skips locked rows gives the orders that want them the verdict `LOCKED`.

    That one has another parameter: the key of a product that it waits for all the same, or 0. One that is not `taxed` costs a
    fifth less, and gives all orders the verdict `TAXED` where any class has a rate.
    """
    locked = FREE_PRODUCTS + FREE_OWNERS if skips_locked else LOCKED
    judged = JUDGED.format(
        is_locked=IS_LOCKED if skips_locked else "false",
        may_be_taxed="false" if taxed else _HAS_RATES,
        of_lines="summed.verdict",
    )
    return "".join((ASKED, FOUND, locked, judged, DECIDED, written(taxed=taxed), RENDERED, TOLD, AUDITED, _RETURNED))


# No key is looked for, no row is locked, and nothing is written. The columns of `_RETURNED`, then all lines and the currency.
_NO_KEYS = """, keyed AS (
    SELECT NULL::bigint AS place, NULL::integer AS verdict, NULL::smallint AS status, NULL::jsonb AS headers,
        NULL::bytea AS body WHERE false
)"""
_TAX_OF_LINE = frozen(class_of_product("priced"), "quoted.country", "quoted.day")
_TAX_OF_SHIPPING = frozen(STANDARD_CLASS, "quoted.country", "quoted.day")
_TAXES = f""", quoted AS MATERIALIZED (
    SELECT place, total, discount, shipping, (coalesce(date, now()) AT TIME ZONE shop_time_zone())::date AS day,
        coalesce((SELECT country FROM addresses WHERE addresses.id_key = judged.address_id), shop_country) AS country
    FROM judged WHERE verdict IS NULL
), rates AS MATERIALIZED ({rates_of("ARRAY (SELECT country FROM quoted)")}
), tax_order AS MATERIALIZED (
    SELECT place AS order_key, country, total, discount, shipping, {rate_in("frozen")} AS shipping_tax_rate,
        {category_in("frozen")} AS shipping_vat_category
    FROM (SELECT quoted.*, {_TAX_OF_SHIPPING} AS frozen FROM quoted) AS found
), tax_line AS MATERIALIZED (
    SELECT place AS order_key, number AS detail_key, quantity * price AS gross, {rate_in("frozen")} AS tax_rate,
        {category_in("frozen")} AS vat_category
    FROM (
        SELECT priced.*, {_TAX_OF_LINE} AS frozen FROM priced JOIN quoted USING (place)
    ) AS found
) {TAXED}"""  # noqa: S608
_QUOTED = f"""
SELECT coalesce(verdict, {Verdict.PLACED:d}), NULL, NULL, NULL, NULL, NULL, total::text, shipping::text,
    (SELECT jsonb_agg(jsonb_build_array(number, verdict, active, price::text, stock) ORDER BY number) FROM priced
        WHERE verdict IS NOT NULL),
    (SELECT jsonb_agg(jsonb_build_array(name, sku, price::text, stock, tax_rate::text, vat_category, tax::text) ORDER BY number)
        FROM priced LEFT JOIN taxed_line ON taxed_line.detail_key = priced.number),
    shop_currency(), (SELECT taxes FROM taxed_order)::json
FROM judged
"""  # noqa: S608


def quote_text() -> str:
    """The SQL that judges one order by the same rules, except that too little in stock breaks none."""
    judged = JUDGED.format(
        is_locked="false", may_be_taxed="false", of_lines=f"nullif(summed.verdict, {Verdict.SHORT:d})"
    )
    return "".join((ASKED, _NO_KEYS, f", product AS MATERIALIZED ({WANTED})", judged, _TAXES, _QUOTED))
