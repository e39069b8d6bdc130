"""What the books have to say: sales and what was given back of them, what was shipped, whose bills they are, and reports.

As in `repositories.verification`, every method gives the rows in the order of their keys, at most `limit` of them, or all
when it is None, of those with the keys from `first` to `last`.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.bill import BillKind
from models.daily_sales import Dimension
from models.order import DeliveryMethod, OrderStatus
from repositories.taxes import TAX_LINE, TAX_ORDER, TAXED
from schemas.json_schema import MAX_KEY

_REFUNDS = text(f"""
    WITH credit AS (
        SELECT refunds_bill_id, sum(total) AS total FROM bills
        WHERE refunds_bill_id BETWEEN :first AND :last GROUP BY refunds_bill_id
    )
    SELECT b.id_key, b.total, b.refunded, coalesce(credit.total, 0) AS credited
    FROM bills b LEFT JOIN credit ON credit.refunds_bill_id = b.id_key
    WHERE b.id_key BETWEEN :first AND :last AND b.kind = '{BillKind.SALE}'
        AND (b.refunded <> coalesce(credit.total, 0) OR credit.total > b.total)
    ORDER BY b.id_key LIMIT :limit
""")  # noqa: S608  (no value is in it)

# `books_since` is a function of the migrations: orders placed before were canceled without a credit bill.
_UNANSWERED = text(f"""
    SELECT o.id_key, o.bill_id, b.bill_number, b.total, b.refunded FROM orders o JOIN bills b ON b.id_key = o.bill_id
    WHERE o.status = {OrderStatus.CANCELED:d} AND o.id_key BETWEEN :first AND :last AND b.total <> b.refunded
        AND (o.created_at < books_since()) = :older
    ORDER BY o.id_key LIMIT :limit
""")  # noqa: S608  (no value is in it)

_FIGURES = text("""
    SELECT o.id_key, b.id_key AS bill_id, o.to_pay, b.total, o.net, b.total - b.refunded AS bill_net
    FROM orders o JOIN bills b ON b.id_key = o.bill_id
    WHERE o.id_key BETWEEN :first AND :last
        AND (o.discount, o.shipping, o.tax_included, o.to_pay, o.refunded, o.net, o.paid, o.payment_status, o.currency)
            IS DISTINCT FROM
            (b.discount, b.shipping, b.tax, b.total, b.refunded, b.total - b.refunded, b.paid, b.payment_status, b.currency)
    ORDER BY o.id_key LIMIT :limit
""")

# What the shipping of an order with lines comes to is looked at with its total.
_SHIPPING = text("""
    SELECT o.id_key, b.id_key AS bill_id, b.shipping, credited.shipping AS credited
    FROM orders o JOIN bills b ON b.id_key = o.bill_id CROSS JOIN LATERAL (
        SELECT coalesce(sum(shipping), 0) AS shipping FROM bills WHERE refunds_bill_id = b.id_key
    ) AS credited
    WHERE o.id_key BETWEEN :first AND :last AND (b.shipping > 0 OR b.refunded > 0) AND (credited.shipping > b.shipping
        OR b.shipping > 0 AND NOT EXISTS (SELECT FROM order_details d WHERE d.order_id = o.id_key))
    ORDER BY o.id_key LIMIT :limit
""")

_PAID = text("""
    WITH booked AS (
        SELECT bill_id, sum(amount) AS amount FROM payments WHERE bill_id BETWEEN :first AND :last GROUP BY bill_id
    )
    SELECT b.id_key, b.paid, coalesce(booked.amount, 0) AS booked FROM bills b LEFT JOIN booked ON booked.bill_id = b.id_key
    WHERE b.id_key BETWEEN :first AND :last AND b.paid <> coalesce(booked.amount, 0) ORDER BY b.id_key LIMIT :limit
""")

# A bill of nobody is that of its order.
_OTHER_CLIENTS = text("""
    SELECT o.id_key, o.client_id, b.id_key AS bill_id, b.bill_number, b.client_id AS bill_client_id
    FROM orders o JOIN bills b ON b.id_key = o.bill_id
    WHERE o.id_key BETWEEN :first AND :last AND b.client_id <> o.client_id
    UNION ALL
    SELECT o.id_key, o.client_id, b.id_key, b.bill_number, b.client_id
    FROM orders o JOIN bills b ON b.refunds_bill_id = o.bill_id
    WHERE o.id_key BETWEEN :first AND :last AND b.client_id <> o.client_id
    ORDER BY 1, 3 LIMIT :limit
""")

# An address that was deleted is no longer named; the copy is all that tells of it then.
_INCOMPLETE = text(f"""
    SELECT o.id_key, o.address_id, EXISTS (SELECT FROM order_details d WHERE d.order_id = o.id_key) AS has_lines
    FROM orders o
    WHERE o.status IN ({OrderStatus.IN_PROGRESS:d}, {OrderStatus.DELIVERED:d}) AND o.id_key BETWEEN :first AND :last
        AND (NOT EXISTS (SELECT FROM order_details d WHERE d.order_id = o.id_key)
            OR o.delivery_method = {DeliveryMethod.HOME_DELIVERY:d} AND o.address_id IS NOT NULL AND o.ship_to IS NULL)
        AND (o.created_at < books_since()) = :older
    ORDER BY o.id_key LIMIT :limit
""")  # noqa: S608  (no value is in it)

# Returns of before the table have no rows: of a detail more may have come back than its lines say, and never less.
_RETURNS = text("""
    SELECT r.id_key, b.total - b.shipping AS total, coalesce(sum(l.amount), 0) AS amounts,
        min(l.order_detail_id) FILTER (WHERE d.order_id <> r.order_id) AS stranger
    FROM returns r JOIN bills b ON b.id_key = r.credit_bill_id
        LEFT JOIN return_lines l ON l.return_id = r.id_key LEFT JOIN order_details d ON d.id_key = l.order_detail_id
    WHERE r.id_key BETWEEN :first AND :last
    GROUP BY r.id_key, b.id_key
    HAVING b.total - b.shipping <> coalesce(sum(l.amount), 0) OR bool_or(d.order_id <> r.order_id)
    ORDER BY r.id_key LIMIT :limit
""")

_RETURNED = text("""
    SELECT d.id_key, d.returned_quantity, sum(l.quantity) AS quantity
    FROM order_details d JOIN return_lines l ON l.order_detail_id = d.id_key
    WHERE d.id_key BETWEEN :first AND :last
    GROUP BY d.id_key, d.returned_quantity HAVING sum(l.quantity) > d.returned_quantity
    ORDER BY d.id_key LIMIT :limit
""")

# Bills of orders that were deleted before bills kept their lines have none.
_KEPT_LINES = text("""
    SELECT b.id_key, b.total - b.shipping AS to_pay, sum(l.quantity * l.price - l.discount) AS amounts
    FROM bills b JOIN bill_lines l ON l.bill_id = b.id_key
    WHERE b.id_key BETWEEN :first AND :last AND NOT EXISTS (SELECT FROM orders o WHERE o.bill_id = b.id_key)
    GROUP BY b.id_key HAVING b.total - b.shipping <> sum(l.quantity * l.price - l.discount)
    ORDER BY b.id_key LIMIT :limit
""")

# Of a detail no more has left than there is; what was counted here has left by the detail's own order.
_SHIPPED = text("""
    SELECT d.id_key, d.quantity, sum(l.quantity) AS shipped,
        min(s.id_key) FILTER (WHERE s.order_id <> d.order_id) AS stranger
    FROM order_details d JOIN shipment_lines l ON l.order_detail_id = d.id_key JOIN shipments s ON s.id_key = l.shipment_id
    WHERE d.id_key BETWEEN :first AND :last
    GROUP BY d.id_key, d.quantity HAVING sum(l.quantity) > d.quantity OR bool_or(s.order_id <> d.order_id)
    ORDER BY d.id_key LIMIT :limit
""")

# Where the country does not count: it may be the shop's, which is another one by now.
_WITHOUT_COUNTRY = """regexp_replace({taxes}, '"country":"[A-Z]*",', '', 'g')"""
_TAXED_ORDERS = text(f"""
    WITH tax_order AS MATERIALIZED ({TAX_ORDER} WHERE orders.id_key BETWEEN :first AND :last),
    tax_line AS MATERIALIZED ({TAX_LINE}) {TAXED}, compared AS (
        SELECT order_key AS id_key, bill_id, bills.tax, taxed_order.tax AS of_lines, (
                SELECT min(detail_key) FROM taxed_line JOIN order_details ON order_details.id_key = taxed_line.detail_key
                WHERE taxed_line.order_key = tax_order.order_key AND order_details.tax_included <> taxed_line.tax
            ) AS detail_id,
            bills.total > 0 AND {_WITHOUT_COUNTRY.format(taxes="bills.taxes::text")}
                <> {_WITHOUT_COUNTRY.format(taxes="taxed_order.taxes")} AS differs
        FROM taxed_order JOIN tax_order USING (order_key) JOIN bills ON bills.id_key = tax_order.bill_id
    )
    SELECT id_key, bill_id, tax, of_lines, detail_id FROM compared WHERE tax <> of_lines OR detail_id IS NOT NULL OR differs
    ORDER BY id_key LIMIT :limit
""")  # noqa: S608  (no value is in it)

# What was given back as a whole was given back with all of its taxes.
_TAXED_BILLS = text(f"""
    WITH credited AS (
        SELECT refunds_bill_id, sum(tax) AS tax FROM bills
        WHERE refunds_bill_id BETWEEN :first AND :last GROUP BY refunds_bill_id
    )
    SELECT b.id_key, b.total, b.tax, shown.gross, shown.tax AS of_rates,
        CASE WHEN b.refunded = b.total AND b.kind = '{BillKind.SALE}' THEN credited.tax END AS credited
    FROM bills b CROSS JOIN LATERAL (
        SELECT coalesce(sum(gross), 0) AS gross, coalesce(sum(tax), 0) AS tax, coalesce(bool_and(net + tax = gross), true) AS agree
        FROM json_to_recordset(b.taxes) AS part (net numeric, tax numeric, gross numeric)
    ) AS shown LEFT JOIN credited ON credited.refunds_bill_id = b.id_key
    WHERE b.id_key BETWEEN :first AND :last AND (
        b.total <> shown.gross OR b.tax <> shown.tax OR NOT shown.agree OR b.refunded = b.total AND b.tax <> credited.tax)
    ORDER BY b.id_key LIMIT :limit
""")  # noqa: S608  (no value is in it)

_DIMENSIONS = ", ".join(f"('{dimension}')" for dimension in Dimension)
# Days whose bills have just changed are computed within a minute, and prove nothing until then.
_DAYS = text(f"""
    WITH billed AS (
        SELECT date AS day, sum(CASE kind WHEN '{BillKind.SALE}' THEN total ELSE -total END) AS net FROM bills GROUP BY date
    ), kept AS (
        SELECT dimension, day, sum(gross - discount + shipping - refunded) AS net FROM daily_sales GROUP BY dimension, day
    ), compared AS (
        SELECT day, dimension, coalesce(billed.net, 0) AS billed, coalesce(kept.net, 0) AS kept
        FROM billed CROSS JOIN (VALUES {_DIMENSIONS}) AS dimensions (dimension)
        FULL JOIN kept USING (day, dimension)
    )
    SELECT day::text, dimension, billed, kept FROM compared
    WHERE billed <> kept AND NOT EXISTS (SELECT FROM sales_changes WHERE sales_changes.day = compared.day)
    ORDER BY compared.day, dimension LIMIT :limit
""")  # noqa: S608  (no value is in it)

Rows = Sequence[Row[Any]]


class BooksRepository:
    """Looks at bills and their orders through one session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def broken_refunds(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Sale bills: `id_key, total, refunded, credited` (the sum of their credit bills)."""
        return self._rows(_REFUNDS, limit, first, last)

    def unanswered_cancellations(self, limit: int | None, first: int = 1, last: int = MAX_KEY, *, older: bool) -> Rows:
        """Canceled orders whose bill was not given back: `id_key, bill_id, bill_number, total, refunded`.

        `older` ones were placed before the books were kept so.
        """
        return self._rows(_UNANSWERED, limit, first, last, older=older)

    def bills_of_others(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Orders with a bill or credit bill of another client: `id_key, client_id, bill_id, bill_number, bill_client_id`."""
        return self._rows(_OTHER_CLIENTS, limit, first, last)

    def other_figures(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Orders that say something else than their bills: `id_key, bill_id, to_pay, total, net, bill_net`."""
        return self._rows(_FIGURES, limit, first, last)

    def broken_shipping(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Orders without lines whose bill has `shipping`, or of which more is `credited`: `id_key, bill_id` and these."""
        return self._rows(_SHIPPING, limit, first, last)

    def broken_payments(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Bills whose payments do not sum up to what is paid: `id_key, paid, booked`."""
        return self._rows(_PAID, limit, first, last)

    def incomplete_shipped_orders(self, limit: int | None, first: int = 1, last: int = MAX_KEY, *, older: bool) -> Rows:
        """Orders on their way, or delivered, without lines or the copy of their address: `id_key, address_id, has_lines`.

        `older` ones were placed before the books were kept so.
        """
        return self._rows(_INCOMPLETE, limit, first, last, older=older)

    def broken_returns(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Returns: `id_key, total` (of the credit bill, less its shipping), `amounts` (their sum), `stranger` (a line of another order)."""
        return self._rows(_RETURNS, limit, first, last)

    def broken_returned_details(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Order details: `id_key, returned_quantity, quantity` (by the lines of returns, which is more)."""
        return self._rows(_RETURNED, limit, first, last)

    def broken_kept_lines(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Bills whose order was deleted: `id_key, to_pay` (for the goods), `amounts` (the sum of the lines that they kept)."""
        return self._rows(_KEPT_LINES, limit, first, last)

    def broken_shipments(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Order details: `id_key, quantity, shipped, stranger` (a shipment of another order with pieces of it)."""
        return self._rows(_SHIPPED, limit, first, last)

    def broken_taxes(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Orders: `id_key, bill_id, tax` (of the bill), `of_lines` (and shipping), `detail_id` (a line with another one, if any)."""
        return self._rows(_TAXED_ORDERS, limit, first, last)

    def broken_taxes_of_bills(self, limit: int | None, first: int = 1, last: int = MAX_KEY) -> Rows:
        """Bills: `id_key, total, tax`, `gross` and `of_rates` (the sums of its rates), `credited` (the tax, if all was given back)."""
        return self._rows(_TAXED_BILLS, limit, first, last)

    def broken_days(self, limit: int | None) -> Rows:
        """Days of reports: `day, dimension, billed` (what the bills add up to), `kept` (what reports say)."""
        return self.session.execute(_DAYS, {"limit": limit}).all()

    def _rows(self, statement: Any, limit: int | None, first: int, last: int, **more: Any) -> Rows:
        return self.session.execute(statement, {"limit": limit, "first": first, "last": last, **more}).all()
