"""Taxes of orders in SQL: which rate a line has, its share of the discount, and the tax that is in what is left of it.

The same text computes them for a checkout, its quote, later changes, returns, and the verification. Taxes are included in
prices. A discount is spread over the lines by largest remainder, of equal ones to the smallest key. The tax of a line is
rounded half up, in whole cents and without fractions on the way; that of a bill is the sum of its lines' and its shipping's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.tax_class import NO_CATEGORY, STANDARD

# What is taxed at no rate: where a country has none.
NO_RATE = "0.000"

# The SQL of the key of the class that is there from the beginning.
STANDARD_CLASS = f"(SELECT id_key FROM tax_classes WHERE text_key(name) = '{STANDARD}')"  # noqa: S608
# Of a row of `orders`: where it is taxed, and on which day.
COUNTRY_OF_ORDER = "coalesce(orders.ship_to ->> 'country', shop_country())"
DAY_OF_ORDER = "(orders.date AT TIME ZONE shop_time_zone())::date"


def class_of_product(product: str) -> str:
    """The SQL of the key of the tax class of a product, by the row with this name."""
    of_category = f"(SELECT tax_class_id FROM categories WHERE categories.id_key = {product}.category_id)"  # noqa: S608
    return f"coalesce({product}.tax_class_id, {of_category}, {STANDARD_CLASS})"


def rates_of(countries: str) -> str:
    """The SQL of all rates of these countries, with `tax_class_id`. `countries` is that of an array."""
    return f"""
    SELECT tax_classes.id_key AS tax_class_id, given.* FROM tax_classes CROSS JOIN LATERAL jsonb_to_recordset(rates)
        AS given (country text, rate numeric(6, 3), valid_from date, vat_category text)
    WHERE given.country = ANY ({countries})"""  # noqa: S608


def rate(tax_class: str, country: str, day: str) -> str:
    """The SQL of the `rate` and `vat_category` of a class in a country on a day, among those of a CTE `rates`; it may have no row."""
    return f"""
        SELECT rate, vat_category FROM rates WHERE tax_class_id = {tax_class} AND country = {country}
            AND coalesce(valid_from, '-infinity') <= {day} ORDER BY valid_from DESC NULLS LAST LIMIT 1"""  # noqa: S608


# Whether anything may be taxed at all: where no class has a rate for these countries, nothing is computed.
IS_TAXED = "EXISTS (SELECT FROM rates)"


def frozen(tax_class: str, country: str, day: str) -> str:
    """The SQL of the rate and the VAT category of a class, as an array of two texts; NULL without a rate."""
    found = rate(tax_class, country, day)
    return (
        f"CASE WHEN {IS_TAXED} THEN (SELECT ARRAY [found.rate::text, found.vat_category] FROM ({found}) AS found) END"  # noqa: S608
    )


def rate_in(frozen: str) -> str:
    """The SQL of the rate in such an array."""
    return f"coalesce({frozen}[1], '{NO_RATE}')::numeric(6, 3)"


def category_in(frozen: str) -> str:
    """The SQL of the VAT category in it."""
    return f"coalesce({frozen}[2], '{NO_CATEGORY}')"


def tax_in(amount: str, percent: str) -> str:
    """The SQL of the tax that is in an amount."""
    return f"div(200 * {amount} * {percent} + 100 + {percent}, 200 + 2 * {percent}) * 0.01"


def untaxed(country: str, amount: str) -> str:
    """The SQL of the text of a bill's taxes, all of whose amount is taxed at no rate."""
    return f"""concat('[{{"country":"', {country}, '","rate":', {NO_RATE}, ',"vat_category":"{NO_CATEGORY}","net":', {amount},
        ',"tax":', 0.00, ',"gross":', {amount}, '}}]')"""


# CTEs, behind two others: `tax_order` has `order_key`, `country`, `total` (of its lines), `discount` (no more than that),
# `shipping`, `shipping_tax_rate` and `shipping_vat_category`; `tax_line` has `order_key`, `detail_key`, `gross`, `tax_rate` and
# `vat_category`. Then `taxed_line` has `detail_key` and `tax` of each line, and `taxed_order` the `tax` and `taxes` of each
# order with lines: the text of what its bill shows.
TAXED = f""", share AS MATERIALIZED (
    SELECT line.*, tax_order.discount, div(tax_order.discount * 100 * gross, tax_order.total) AS cents,
        mod(tax_order.discount * 100 * gross, tax_order.total) AS rest
    FROM tax_line AS line JOIN tax_order USING (order_key)
), taxed_line AS MATERIALIZED (
    SELECT order_key, detail_key, tax_rate, vat_category, amount, {tax_in("amount", "tax_rate")} AS tax FROM (
        SELECT *, gross - (cents + (row_number() OVER (PARTITION BY order_key ORDER BY rest DESC, detail_key)
            <= discount * 100 - sum(cents) OVER (PARTITION BY order_key))::integer) * 0.01 AS amount
        FROM share
    ) AS reduced
), taxed_order AS MATERIALIZED (
    SELECT order_key, sum(tax) AS tax, concat('[', string_agg(concat('{{"country":"', country, '","rate":', tax_rate,
        ',"vat_category":"', vat_category, '","net":', amount - tax, ',"tax":', tax, ',"gross":', amount, '}}'),
        ',' ORDER BY tax_rate DESC, vat_category), ']') AS taxes
    FROM (
        SELECT order_key, tax_rate, vat_category, sum(amount) AS amount, sum(tax) AS tax FROM (
            SELECT order_key, tax_rate, vat_category, amount, tax FROM taxed_line
            UNION ALL
            SELECT order_key, shipping_tax_rate, shipping_vat_category, shipping, {tax_in("shipping", "shipping_tax_rate")}
            FROM tax_order WHERE shipping > 0
        ) AS part GROUP BY order_key, tax_rate, vat_category
    ) AS summed JOIN tax_order USING (order_key) GROUP BY order_key
)"""  # noqa: S608

_RATES_OF_PLACED = f"""rates AS MATERIALIZED ({rates_of("ARRAY (SELECT country FROM placed)")})"""  # noqa: S608
_PLACED = f"""
WITH placed AS MATERIALIZED (
    SELECT id_key AS order_key, bill_id, {COUNTRY_OF_ORDER} AS country, {DAY_OF_ORDER} AS day FROM orders WHERE id_key = :order_id
), {_RATES_OF_PLACED}"""  # noqa: S608

_RATE_OF_PRODUCT = text(f"""
    {_PLACED}
    SELECT found.rate, found.vat_category FROM placed JOIN products ON products.id_key = :product_id
    CROSS JOIN LATERAL ({rate(class_of_product("products"), "placed.country", "placed.day")}) AS found
""")  # noqa: S608

# Lines without a rate get none.
_FREEZE = text(f"""
    {_PLACED}, line AS (
        SELECT line.id_key, coalesce(found.rate, {NO_RATE}) AS rate, coalesce(found.vat_category, '{NO_CATEGORY}') AS category
        FROM placed JOIN order_details AS line ON line.order_id = placed.order_key JOIN products ON products.id_key = line.product_id
        LEFT JOIN LATERAL ({rate(class_of_product("products"), "placed.country", "placed.day")}) AS found ON true
    ), shipping AS (
        SELECT order_key, coalesce(found.rate, {NO_RATE}) AS rate, coalesce(found.vat_category, '{NO_CATEGORY}') AS category
        FROM placed LEFT JOIN LATERAL ({rate(STANDARD_CLASS, "placed.country", "placed.day")}) AS found ON true
    ), frozen AS (
        UPDATE order_details SET tax_rate = line.rate, vat_category = line.category FROM line
        WHERE order_details.id_key = line.id_key
            AND (order_details.tax_rate, order_details.vat_category) IS DISTINCT FROM (line.rate, line.category)
    )
    UPDATE orders SET shipping_tax_rate = shipping.rate, shipping_vat_category = shipping.category FROM shipping
    WHERE orders.id_key = shipping.order_key
        AND (shipping_tax_rate, shipping_vat_category) IS DISTINCT FROM (shipping.rate, shipping.category)
""")  # noqa: S608

# Of stored orders.
TAX_ORDER = f"""
    SELECT orders.id_key AS order_key, bill_id, {COUNTRY_OF_ORDER} AS country, orders.total,
        least(bills.discount, orders.total) AS discount, bills.shipping, shipping_tax_rate, shipping_vat_category
    FROM orders JOIN bills ON bills.id_key = orders.bill_id"""  # noqa: S608
TAX_LINE = """
    SELECT order_id AS order_key, order_details.id_key AS detail_key, quantity * price AS gross, tax_rate, vat_category
    FROM order_details JOIN tax_order ON tax_order.order_key = order_details.order_id"""

_SETTLE = text(f"""
    WITH tax_order AS MATERIALIZED ({TAX_ORDER} WHERE orders.id_key = :order_id), tax_line AS MATERIALIZED ({TAX_LINE}) {TAXED},
    line AS (
        UPDATE order_details SET tax_included = taxed_line.tax FROM taxed_line
        WHERE order_details.id_key = taxed_line.detail_key AND order_details.tax_included <> taxed_line.tax
        RETURNING order_details.id_key
    ), bill AS (
        UPDATE bills SET tax = taxed_order.tax, taxes = taxed_order.taxes::json
        FROM taxed_order JOIN tax_order USING (order_key)
        WHERE bills.id_key = tax_order.bill_id
            AND (bills.tax, bills.taxes::text) IS DISTINCT FROM (taxed_order.tax, taxed_order.taxes)
        RETURNING bills.id_key
    )
    SELECT ARRAY (SELECT id_key FROM line), EXISTS (SELECT FROM bill)
""")  # noqa: S608

# Of what came back of the lines, the discount is what was not given back.
_RETURNED = text(f"""
    WITH back AS MATERIALIZED (
        SELECT order_id AS order_key, id_key AS detail_key, returned_quantity * price AS gross, tax_rate, vat_category
        FROM order_details WHERE order_id = :order_id AND returned_quantity > 0
    ), tax_order AS MATERIALIZED (
        SELECT id_key AS order_key, {COUNTRY_OF_ORDER} AS country, summed.total, summed.total - returned_total AS discount,
            CAST(:shipping AS numeric(12, 2)) AS shipping, shipping_tax_rate, shipping_vat_category
        FROM orders CROSS JOIN (SELECT sum(gross) AS total FROM back) AS summed WHERE id_key = :order_id
    ), tax_line AS (SELECT * FROM back) {TAXED}
    SELECT taxed_order.taxes::json, (SELECT json_object_agg(detail_key, tax) FROM taxed_line) FROM taxed_order
""")  # noqa: S608

_CREDITED = text("SELECT taxes FROM bills WHERE refunds_bill_id = :bill_id")
_CREDITED_LINES = text("""
    SELECT order_detail_id, sum(tax_included) FROM return_lines JOIN returns ON returns.id_key = return_lines.return_id
    WHERE returns.order_id = :order_id GROUP BY order_detail_id
""")

# What a bill shows: objects with country, rate, vat_category, net, tax and gross.
Taxes = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Settled:
    """Which lines have another tax now, and whether their bill has."""

    lines: frozenset[int]
    bill: bool


class TaxRepository:
    """Freezes rates and writes taxes, within the transaction of a session. The order must be locked, and sent to the database."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def rate_of(self, order_id: int, product_id: int) -> tuple[Decimal, str]:
        """The rate of the product where and when the order was placed, and its VAT category."""
        found = self.session.execute(_RATE_OF_PRODUCT, {"order_id": order_id, "product_id": product_id}).one_or_none()
        return (Decimal(NO_RATE), NO_CATEGORY) if found is None else (found.rate, found.vat_category)

    def freeze(self, order_id: int) -> None:
        """Give all lines of the order, and its shipping, the rates of where and when it is placed now."""
        self.session.execute(_FREEZE, {"order_id": order_id})

    def settle(self, order_id: int) -> Settled:
        """Write the taxes of the order's lines and of its bill."""
        lines, bill = self.session.execute(_SETTLE, {"order_id": order_id}).one()
        return Settled(frozenset(lines), bill)

    def returned(self, order_id: int, shipping: Decimal) -> tuple[Taxes, dict[int, Decimal]]:
        """The taxes in what was given back of the order so far, with this much of its shipping; and those of its lines."""
        taxes, lines = self.session.execute(_RETURNED, {"order_id": order_id, "shipping": shipping}).one()
        return taxes, {int(key): tax for key, tax in lines.items()}

    def credited(self, bill_id: int) -> Sequence[Taxes]:
        """The taxes of the credit bills of a bill."""
        return self.session.scalars(_CREDITED, {"bill_id": bill_id}).all()

    def credited_lines(self, order_id: int) -> dict[int, Decimal]:
        """The taxes in what was given back for the lines of the order by returns."""
        return {row[0]: row[1] for row in self.session.execute(_CREDITED_LINES, {"order_id": order_id})}
