"""Daily sales: the days whose bills have changed, computed anew from their bills.

A transaction takes the changes of some days out of `sales_changes`, and then reads the bills of these days. A bill that is
committed between the two has left a change of its own, so that its day is computed once more.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.bill import BillKind, CreditReason
from models.daily_sales import Dimension

# One transaction at a time computes days: two would write the same rows.
_LOCK = text("SELECT pg_advisory_xact_lock(7240121)")

_PENDING = text(
    "SELECT EXISTS (SELECT FROM sales_changes WHERE day BETWEEN CAST(:first AS date) AND CAST(:last AS date))"
)

# As texts, because a date may lie beyond those that Python knows.
_TAKE = text("""
    WITH taken AS (
        DELETE FROM sales_changes WHERE day IN (
            SELECT DISTINCT day FROM sales_changes
            WHERE day BETWEEN CAST(:first AS date) AND CAST(:last AS date) ORDER BY day LIMIT :most
        ) RETURNING day
    )
    SELECT DISTINCT day::text FROM taken
""")
# The first and the last of some days.
Days = tuple[date | str, date | str]
EVERY_DAY: Days = ("-infinity", "infinity")

_FORGET = text("DELETE FROM daily_sales WHERE day = ANY (CAST(:days AS date[]))")


def _lines(bill_id: str, order_id: str) -> str:
    """The SQL of the lines of a bill: those of its order or, where that was deleted, those that the bill kept."""
    columns = "product_id, quantity, price, tax_included"
    return f"""
        SELECT id_key, {columns} FROM order_details WHERE order_id = {order_id}
        UNION ALL
        SELECT order_detail_id, {columns} FROM bill_lines WHERE bill_id = {bill_id} AND {order_id} IS NULL
    """  # noqa: S608


# What a bill shows as discount may be more than its goods cost. What it took off is what its total lacks; of a bill without
# lines, whose total somebody has typed, it is what the bill says.
#
# A discount is spread over the lines by largest remainder, ties by the key of the line. All is computed in whole cents, and
# rounded down, also below zero: a bill that was changed by other programs may ask for more than its lines.
_SOLD = f"""
WITH credit AS MATERIALIZED (
    SELECT credit.id_key, credit.date AS day, credit.payment_type, coalesce(credit.client_id, orders.client_id) AS client_id,
        coalesce(orders.ship_to ->> 'country', sale.ship_to_country) AS country,
        credit.total, credit.tax, credit.taxes, credit.refunds_bill_id AS sale_id, credit.reason
    FROM bills AS credit JOIN bills AS sale ON sale.id_key = credit.refunds_bill_id
        LEFT JOIN orders ON orders.bill_id = sale.id_key
    WHERE credit.kind = '{BillKind.CREDIT}' AND credit.date = ANY (CAST(:days AS date[]))
), sale AS MATERIALIZED (
    SELECT bills.id_key, bills.date AS day, bills.payment_type, coalesce(bills.client_id, orders.client_id) AS client_id,
        coalesce(orders.ship_to ->> 'country', bills.ship_to_country) AS country, orders.id_key AS order_id,
        bills.total, bills.shipping, bills.tax, bills.taxes,
        goods.units, coalesce(goods.gross, bills.total + bills.discount - bills.shipping) AS gross,
        CASE WHEN goods.gross IS NULL THEN bills.discount ELSE goods.gross + bills.shipping - bills.total END AS discount,
        bills.date = ANY (CAST(:days AS date[])) AS is_counted
    FROM bills LEFT JOIN orders ON orders.bill_id = bills.id_key LEFT JOIN LATERAL (
        SELECT sum(quantity * price) AS gross, sum(quantity) AS units FROM ({_lines("bills.id_key", "orders.id_key")}) AS line
    ) AS goods ON true
    WHERE bills.kind = '{BillKind.SALE}' AND (bills.date = ANY (CAST(:days AS date[]))
        OR bills.id_key = ANY (ARRAY (SELECT sale_id FROM credit WHERE reason <> '{CreditReason.RETURNED}')))
), spread AS MATERIALIZED (
    SELECT sale.id_key AS bill_id, sale.day, sale.is_counted, detail.id_key, detail.product_id, detail.quantity,
        detail.tax_included AS tax, detail.quantity * detail.price AS gross, sale.discount,
        share.cents - (share.rest < 0)::integer AS cents, share.rest + CASE WHEN share.rest < 0 THEN sale.gross ELSE 0 END AS rest
    FROM sale CROSS JOIN LATERAL ({_lines("sale.id_key", "sale.order_id")}) AS detail CROSS JOIN LATERAL (
        SELECT div(sale.discount * 100 * detail.quantity * detail.price, sale.gross) AS cents,
            mod(sale.discount * 100 * detail.quantity * detail.price, sale.gross) AS rest
    ) AS share
), line AS MATERIALIZED (
    SELECT bill_id, day, is_counted, product_id, quantity, gross, tax, (cents + CASE
            WHEN row_number() OVER (PARTITION BY bill_id ORDER BY rest DESC, id_key)
                <= discount * 100 - sum(cents) OVER (PARTITION BY bill_id) THEN 1 ELSE 0
        END) / 100 AS discount
    FROM spread
), returned AS MATERIALIZED (
    SELECT credit.id_key AS credit_id, credit.day, item.product_id, item.quantity, item.amount, item.tax_included AS tax
    FROM credit JOIN returns ON returns.credit_bill_id = credit.id_key JOIN return_lines AS item ON item.return_id = returns.id_key
    UNION ALL
    SELECT credit.id_key, credit.day, line.product_id, line.quantity, line.gross - line.discount, line.tax
    FROM credit JOIN line ON line.bill_id = credit.sale_id WHERE credit.reason <> '{CreditReason.RETURNED}'
)"""  # noqa: S608  (no value is in it)

_COLUMNS = "orders, units, returned_units, gross, discount, shipping, refunded, tax"
_SUMS = ", ".join(f"sum({name}) AS {name}" for name in _COLUMNS.split(", "))

# What a bill has at each rate.
_PARTS = """
    SELECT concat_ws(' ', country, rate, vat_category) AS key, gross, tax
    FROM json_to_recordset(taxes) AS part (country text, rate numeric(6, 3), vat_category text, gross numeric, tax numeric)"""

# Beside its lines a bill has its shipping, and a credit bill what no line of a return accounts for: they are of no product.
_ADD = text(f"""
    {_SOLD}, by_bill AS MATERIALIZED (
        SELECT day, payment_type, country, client_id, (units IS NOT NULL)::integer AS orders, coalesce(units, 0) AS units,
            0 AS returned_units, gross, discount, shipping, 0 AS refunded, tax
        FROM sale WHERE is_counted
        UNION ALL
        SELECT day, payment_type, country, client_id, 0, 0,
            coalesce((SELECT sum(quantity) FROM returned WHERE credit_id = credit.id_key), 0), 0, 0, 0, total, -tax
        FROM credit
    ), by_line AS MATERIALIZED (
        SELECT day, product_id, bill_id, quantity AS units, 0 AS returned_units, gross, discount, 0 AS shipping, 0 AS refunded,
            tax
        FROM line WHERE is_counted
        UNION ALL SELECT day, product_id, NULL, 0, quantity, 0, 0, 0, amount, -tax FROM returned
        UNION ALL
        SELECT day, NULL, NULL::bigint, 0, 0,
            CASE WHEN units IS NULL THEN gross ELSE 0 END, CASE WHEN units IS NULL THEN discount ELSE 0 END, shipping, 0,
            tax - coalesce((SELECT sum(line.tax) FROM line WHERE line.bill_id = sale.id_key), 0)
        FROM sale WHERE is_counted
        UNION ALL
        SELECT day, NULL, NULL, 0, 0, 0, 0, 0,
            total - coalesce((SELECT sum(amount) FROM returned WHERE credit_id = credit.id_key), 0),
            coalesce((SELECT sum(returned.tax) FROM returned WHERE credit_id = credit.id_key), 0) - tax
        FROM credit
    ), by_rate AS MATERIALIZED (
        SELECT day, part.key, part.gross, 0 AS refunded, part.tax FROM sale CROSS JOIN LATERAL ({_PARTS}) AS part WHERE is_counted
        UNION ALL SELECT day, part.key, 0, part.gross, -part.tax FROM credit CROSS JOIN LATERAL ({_PARTS}) AS part
    )
    INSERT INTO daily_sales (dimension, day, key, {_COLUMNS})
    SELECT '{Dimension.PAYMENT_TYPE}', day, payment_type, {_SUMS} FROM by_bill GROUP BY day, payment_type
    UNION ALL SELECT '{Dimension.COUNTRY}', day, coalesce(country, ''), {_SUMS} FROM by_bill GROUP BY day, country
    UNION ALL SELECT '{Dimension.CLIENT}', day, coalesce(client_id::text, ''), {_SUMS} FROM by_bill GROUP BY day, client_id
    UNION ALL SELECT '{Dimension.PRODUCT}', day, coalesce(product_id::text, ''), count(DISTINCT bill_id),
        {_SUMS.removeprefix("sum(orders) AS orders, ")} FROM by_line GROUP BY day, product_id
    HAVING product_id IS NOT NULL
        OR sum(abs(gross) + abs(discount) + shipping + abs(refunded) + abs(tax)) > 0
    UNION ALL SELECT '{Dimension.TAX}', day, key, 0, 0, 0, sum(gross), 0, 0, sum(refunded), sum(tax) FROM by_rate GROUP BY day, key
""")  # noqa: S608  (no value is in it)


class DailySalesRepository:
    """Keeps the days up to date with the bills, within the transaction of a session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def are_pending(self, days: Days) -> bool:
        """Whether bills of these days have changed since the days were computed."""
        return bool(self.session.scalar(_PENDING, {"first": days[0], "last": days[1]}))

    def refresh(self, most: int, days: Days = EVERY_DAY) -> int:
        """Compute the oldest of these days that have changed, at most `most`; how many there were."""
        self.session.execute(_LOCK)
        taken = self.session.scalars(_TAKE, {"most": most, "first": days[0], "last": days[1]}).all()
        if taken:
            self._compute(taken)
        return len(taken)

    def _compute(self, days: Sequence[str]) -> None:
        self.session.execute(_FORGET, {"days": list(days)})
        self.session.execute(_ADD, {"days": list(days)})
