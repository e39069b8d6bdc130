"""The queries behind `python -m scripts.verify`: rows whose figures, computed in two ways, do not agree.

Each `broken_*` method gives the rows in the order of their keys, at most `limit` of them, or all when it is None. Where
it takes a `Span` it looks at the rows with these keys alone, so that a large table can be walked by short statements.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Row, Table, func, select, text
from sqlalchemy.orm import Session

from models import Base, OrderDetail, StockMovement
from models.bill import BillKind
from models.order import OrderStatus
from models.stock_movement import StockReason
from repositories.books import BooksRepository
from schemas.json_schema import MAX_KEY


class Span(NamedTuple):
    """The rows with the keys from `first` to `last`."""

    first: int = 1
    last: int = MAX_KEY


EVERYTHING = Span()

# What was put in is less by what was written off.
_PUT_IN = ", ".join(
    f"'{reason}'" for reason in (StockReason.INITIAL, StockReason.RECEIPT, StockReason.EDIT, StockReason.WRITE_OFF)
)
# The ledger added up movement by movement, beside the quantities in the details of orders that are not canceled.
_STOCK = text(f"""
    WITH movement AS (
        SELECT product_id, delta, reason, sum(delta) OVER (PARTITION BY product_id ORDER BY id_key) AS balance
        FROM stock_movements WHERE product_id BETWEEN :first AND :last
    ), ledger AS (
        SELECT product_id, sum(delta) AS stock, min(balance) AS lowest,
            sum(delta) FILTER (WHERE reason IN ({_PUT_IN})) AS put_in
        FROM movement GROUP BY product_id
    ), sold AS (
        SELECT d.product_id, sum(d.quantity - d.returned_quantity) AS quantity
        FROM order_details d JOIN orders o ON o.id_key = d.order_id
        WHERE o.status <> {OrderStatus.CANCELED:d} AND d.product_id BETWEEN :first AND :last GROUP BY d.product_id
    ), compared AS (
        SELECT p.id_key, p.stock, coalesce(ledger.stock, 0) AS ledger, coalesce(ledger.lowest, 0) AS lowest,
            coalesce(ledger.put_in, 0) AS put_in, coalesce(sold.quantity, 0) AS sold
        FROM products p LEFT JOIN ledger ON ledger.product_id = p.id_key LEFT JOIN sold ON sold.product_id = p.id_key
        WHERE p.id_key BETWEEN :first AND :last
    )
    SELECT id_key, stock, ledger, lowest, put_in, sold FROM compared
    WHERE stock < 0 OR lowest < 0 OR stock <> ledger OR put_in <> stock + sold
    ORDER BY id_key LIMIT :limit
""")  # noqa: S608

_TOTALS = text("""
    WITH summed AS (
        SELECT order_id, sum(quantity * price) AS total FROM order_details
        WHERE order_id BETWEEN :first AND :last GROUP BY order_id
    ), charged AS (
        SELECT o.id_key, o.total, summed.total AS details, b.id_key AS bill_id, b.total AS bill_total, b.shipping AS bill_shipping,
            greatest(0, summed.total - b.discount) AS goods,
            CASE WHEN greatest(0, summed.total - b.discount) >= o.shipping_free_from THEN 0
                ELSE coalesce(o.shipping_price, 0) END AS shipping
        FROM summed JOIN orders o ON o.id_key = summed.order_id JOIN bills b ON b.id_key = o.bill_id
    )
    SELECT *, goods + shipping AS to_pay FROM charged
    WHERE total <> details OR bill_shipping <> shipping OR bill_total <> goods + shipping
    ORDER BY id_key LIMIT :limit
""")

_LOST_DETAILS = text("""
    SELECT d.id_key, d.order_id FROM order_details d LEFT JOIN orders o ON o.id_key = d.order_id
    WHERE o.id_key IS NULL AND d.id_key BETWEEN :first AND :last ORDER BY d.id_key LIMIT :limit
""")

# The numbers that the server gave, per kind and year, beside its counters; `missing` is the first number left out.
_NUMBERS = text("""
    WITH given AS (
        SELECT CASE split_part(bill_number, '-', 1) WHEN 'BILL' THEN 'sale' ELSE 'credit' END AS kind,
            split_part(bill_number, '-', 2)::integer AS year, split_part(bill_number, '-', 3)::numeric AS number,
            kind AS kept_as
        FROM bills WHERE bill_number ~ '^(BILL|CREDIT)-[0-9]{4}-[0-9]{6,}$'
    ), followed AS (
        SELECT *, lead(number) OVER (PARTITION BY kind, year ORDER BY number) AS following FROM given
    ), numbered AS (
        SELECT kind, year, count(*) AS bills, count(DISTINCT number) AS numbers, min(number) AS lowest,
            max(number) AS highest, min(number + 1) FILTER (WHERE following > number + 1) AS missing,
            count(*) FILTER (WHERE kept_as <> kind) AS strangers
        FROM followed GROUP BY kind, year
    )
    SELECT kind, year, coalesce(bills, 0) AS bills, lowest, highest, missing, coalesce(strangers, 0) AS strangers,
        last_number
    FROM numbered FULL JOIN bill_counters USING (kind, year)
    WHERE bills IS NULL OR highest - lowest + 1 <> bills OR numbers <> bills OR strangers > 0
        OR last_number IS DISTINCT FROM highest
    ORDER BY kind, year LIMIT :limit
""")

_CHECKOUTS = """
    SELECT key, convert_from(body, 'UTF8')::jsonb -> 'order_details' AS lines,
        substring(headers ->> 'Location' FROM '/orders/([0-9]+)$')::bigint AS order_id
    FROM idempotency_keys
    WHERE status BETWEEN 200 AND 299 AND headers ->> 'Location' ~ '/orders/[0-9]+$'
        AND convert_from(body, 'UTF8')::jsonb ? 'order_details'
"""

# An order that was deleted later has left entries in the ledger: its goods went out and came back. Lines of deleted
# products, whose ledger went with them, prove nothing.
_KEYS = text(f"""
    WITH checkout AS ({_CHECKOUTS}), line AS (
        SELECT key, (line ->> 'id_key')::bigint AS detail_id, (line ->> 'product_id')::bigint AS product_id
        FROM checkout, jsonb_array_elements(lines) AS line
        WHERE NOT EXISTS (SELECT FROM orders WHERE id_key = order_id)
    ), lost AS (
        SELECT DISTINCT key FROM line JOIN products p ON p.id_key = line.product_id
        WHERE NOT EXISTS (
            SELECT FROM stock_movements m WHERE m.product_id = p.id_key AND m.order_detail_id = line.detail_id
            HAVING count(*) > 0 AND sum(m.delta) = 0)
    ), counted AS (
        SELECT key, order_id, count(*) OVER (PARTITION BY order_id) AS keys FROM checkout
    )
    SELECT key, order_id, keys, EXISTS (SELECT FROM lost WHERE lost.key = counted.key) AS lost FROM counted
    WHERE keys > 1 OR key IN (SELECT key FROM lost)
    ORDER BY key LIMIT :limit
""")  # noqa: S608  (no value is in it)

# Every transaction is idle between its statements, but not for long.
_IDLE = text("""
    SELECT pid, application_name, extract(epoch FROM clock_timestamp() - state_change) AS seconds
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'shop%'
        AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - interval '1 second'
    ORDER BY pid LIMIT :limit
""")

# Clients whose key may differ from `models.text_key.email_key`, which knows domains; PostgreSQL does not.
_EMAIL_KEYS = text(r"""
    SELECT id_key, email, email_key FROM clients
    WHERE email_key <> text_key(email) OR email_key ~ 'xn--|\u3002|\.$' ORDER BY id_key
""")

_PRICES = text("""
    SELECT p.id_key, p.price, newest.price AS written FROM products p LEFT JOIN LATERAL (
        SELECT price FROM price_changes WHERE product_id = p.id_key ORDER BY valid_from DESC, id_key DESC LIMIT 1
    ) AS newest ON true
    WHERE p.id_key BETWEEN :first AND :last AND newest.price IS DISTINCT FROM p.price
    ORDER BY p.id_key LIMIT :limit
""")

_RATINGS = text("""
    WITH given AS (
        SELECT product_id, count(*) AS reviews, sum(rating) AS ratings FROM reviews
        WHERE product_id BETWEEN :first AND :last GROUP BY product_id
    ), compared AS (
        SELECT p.id_key, p.review_count, p.rating_sum, p.rating_average, coalesce(given.reviews, 0) AS reviews,
            coalesce(given.ratings, 0) AS ratings, round(given.ratings / given.reviews, 2) AS average
        FROM products p LEFT JOIN given ON given.product_id = p.id_key WHERE p.id_key BETWEEN :first AND :last
    )
    SELECT id_key, review_count, reviews, rating_average, average FROM compared
    WHERE (review_count, rating_sum, rating_average) IS DISTINCT FROM (reviews, ratings, average)
    ORDER BY id_key LIMIT :limit
""")

# What is older than the oldest event that is kept proves nothing. Nor does the hour after it, which may have been that of
# an upgrade: workers of the release before tell nothing.
_TOLD = text("""
    WITH told AS (
        SELECT resource_id FROM events WHERE sequence IS NOT NULL
            AND resource_id BETWEEN :first AND :last AND type = 'order.created'
        UNION ALL SELECT resource_id FROM events WHERE sequence IS NULL
            AND resource_id BETWEEN :first AND :last AND type = 'order.created'
    )
    SELECT o.id_key, count(told.resource_id) AS events FROM orders o LEFT JOIN told ON told.resource_id = o.id_key
    WHERE o.id_key BETWEEN :first AND :last AND o.created_at > (
        SELECT occurred_at + interval '1 hour' FROM events WHERE sequence IS NOT NULL ORDER BY sequence LIMIT 1
    )
    GROUP BY o.id_key HAVING count(told.resource_id) <> 1 ORDER BY o.id_key LIMIT :limit
""")

# Where nobody asks for events they have no places, and none of them is late.
_LATE_EVENTS = text("""
    SELECT id, type, extract(epoch FROM clock_timestamp() - occurred_at) AS seconds FROM events
    WHERE sequence IS NULL AND occurred_at + interval '1 minute' < (
        SELECT occurred_at FROM events WHERE sequence IS NOT NULL ORDER BY sequence DESC LIMIT 1
    )
    ORDER BY position LIMIT :limit
""")

_COUNTS = {
    "clients": text("SELECT count(*) FROM clients"),
    "products": text("SELECT count(*) FROM products"),
    "stock movements": text("SELECT count(*) FROM stock_movements"),
    "orders": text("SELECT count(*) FROM orders"),
    "events": text("SELECT count(*) FROM events"),
    "bills": text("SELECT count(*) FROM bills"),
    "canceled orders": text(f"SELECT count(*) FROM orders WHERE status = {OrderStatus.CANCELED:d}"),  # noqa: S608
    "shipped orders": text(
        f"SELECT count(*) FROM orders WHERE status IN ({OrderStatus.IN_PROGRESS:d}, {OrderStatus.DELIVERED:d})"  # noqa: S608
    ),
    "credit bills": text(f"SELECT count(*) FROM bills WHERE kind = '{BillKind.CREDIT}'"),  # noqa: S608
    "orders with details": text("SELECT count(DISTINCT order_id) FROM order_details"),
    "order details": text("SELECT count(*) FROM order_details"),
    "returns": text("SELECT count(*) FROM returns"),
    "shipments": text("SELECT count(*) FROM shipments"),
    "reviews": text("SELECT count(*) FROM reviews"),
    "kept bill lines": text("SELECT count(*) FROM bill_lines"),
    "numbered bills": text("SELECT count(*) FROM bills WHERE bill_number ~ '^(BILL|CREDIT)-[0-9]{4}-[0-9]{6,}$'"),
    "keys of checkouts": text(f"SELECT count(*) FROM ({_CHECKOUTS}) AS checkout"),  # noqa: S608  (no value is in it)
    "connections": text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'shop%'"
    ),
}

Rows = Sequence[Row[Any]]


class VerificationRepository:
    """Checks whole tables through one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.books = BooksRepository(session)

    def count(self, things: str) -> int:
        """How many `things` there are; the names are those of `_COUNTS`."""
        return int(self.session.execute(_COUNTS[things]).scalar_one())

    def broken_stock(self, limit: int | None, span: Span = EVERYTHING) -> Rows:
        """Products: `id_key, stock, ledger, lowest, put_in, sold`."""
        return self._rows(_STOCK, limit, span)

    def broken_totals(self, limit: int | None, span: Span = EVERYTHING) -> Rows:
        """Orders: `id_key, total, details` (their sum), `bill_id, bill_total, bill_shipping, shipping, to_pay`."""
        return self._rows(_TOTALS, limit, span)

    def lost_details(self, limit: int | None, span: Span = EVERYTHING) -> Rows:
        """Details whose order is gone: `id_key, order_id`."""
        return self._rows(_LOST_DETAILS, limit, span)

    def broken_numbers(self, limit: int | None) -> Rows:
        """Kinds and years: `kind, year, bills, lowest, highest, missing, strangers` (of another kind), `last_number`."""
        return self._rows(_NUMBERS, limit)

    def broken_keys(self, limit: int | None) -> Rows:
        """Kept replies of checkouts: `key, order_id, keys` (with this order), `lost` (the order never existed)."""
        return self._rows(_KEYS, limit)

    def broken_prices(self, limit: int | None, span: Span = EVERYTHING) -> Rows:
        """Products: `id_key, price, written` (the newest price of the history)."""
        return self._rows(_PRICES, limit, span)

    def broken_ratings(self, limit: int | None, span: Span = EVERYTHING) -> Rows:
        """Products: `id_key, review_count, reviews` (how many there are), `rating_average, average` (of these)."""
        return self._rows(_RATINGS, limit, span)

    def badly_told_orders(self, limit: int | None, span: Span = EVERYTHING) -> Rows:
        """Orders without exactly one event about their creation: `id_key, events`."""
        return self._rows(_TOLD, limit, span)

    def late_events(self, limit: int | None) -> Rows:
        """Events that later ones have overtaken by more than a minute: `id, type, seconds`."""
        return self._rows(_LATE_EVENTS, limit)

    def next_span(self, tables: Sequence[str], after: int, rows: int) -> Span | None:
        """The keys behind `after` that no more rows of each table have; None where there are no further rows."""
        ends = [self._end(Base.metadata.tables[name], after, rows) for name in tables]
        found = [end for end in ends if end is not None]
        return Span(after + 1, min(found)) if found else None

    def _end(self, table: Table, after: int, rows: int) -> int | None:
        key = table.c.id_key
        some = select(key).where(key > after).order_by(key).limit(rows).subquery()
        end: int | None = self.session.scalar(select(func.max(some.c.id_key)))
        return end

    def unsure_email_keys(self) -> Rows:
        """Clients whose key has to be compared: `id_key, email, email_key`."""
        return self.session.execute(_EMAIL_KEYS).all()

    def idle_transactions(self, limit: int | None) -> Rows:
        """Connections of the shop: `pid, application_name, seconds` (idle in a transaction)."""
        return self._rows(_IDLE, limit)

    def ledger_of(self, product_id: int) -> int:
        """The stock of the product by its ledger; lock the product first."""
        statement = select(func.coalesce(func.sum(StockMovement.delta), 0))
        return int(self.session.scalar(statement.where(StockMovement.product_id == product_id)) or 0)

    def sum_of_details(self, order_id: int) -> Decimal | None:
        """The sum of the order's details, None without any; lock the order first."""
        statement = select(func.sum(OrderDetail.price * OrderDetail.quantity))
        return self.session.scalar(statement.where(OrderDetail.order_id == order_id))

    def _rows(self, statement: Any, limit: int | None, span: Span | None = None) -> Rows:
        return self.session.execute(statement, {"limit": limit, **({} if span is None else span._asdict())}).all()
