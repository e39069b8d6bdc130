"""The queries of the reports: sums over days of sales, and over the stock as it is now."""

from collections.abc import Sequence
from datetime import date
from typing import Any, cast

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session
from sqlalchemy.types import Date

from models.daily_sales import Dimension, SalesGroup

_SUMS = """coalesce(sum(orders), 0)::bigint AS orders, coalesce(sum(units), 0)::bigint AS units,
    coalesce(sum(returned_units), 0)::bigint AS returned_units, coalesce(sum(gross), 0.00) AS gross,
    coalesce(sum(discount), 0.00) AS discount, coalesce(sum(shipping), 0.00) AS shipping, coalesce(sum(refunded), 0.00) AS refunded,
    coalesce(sum(gross - discount + shipping - refunded), 0.00) AS net, coalesce(sum(tax), 0.00) AS tax"""
_DAYS = "day BETWEEN :first AND :last"
_OF_ALL = {"net": "gross - tax", "tax": "tax", "gross": "gross"}
_NAMES = {
    Dimension.PRODUCT: "SELECT name FROM products WHERE id_key = nullif(summed.key, '')::bigint",
    Dimension.CLIENT: "SELECT name || ' ' || lastname FROM clients WHERE id_key = nullif(summed.key, '')::bigint",
}
_PERIODS = {
    SalesGroup.DAY: "to_char(day, 'YYYY-MM-DD')",
    # The Monday with which it begins.
    SalesGroup.WEEK: "to_char(date_trunc('week', day::timestamp), 'YYYY-MM-DD')",
    SalesGroup.MONTH: "to_char(day, 'YYYY-MM')",
}


def _statement(sql: str) -> Any:
    return text(sql).bindparams(bindparam("first", type_=Date), bindparam("last", type_=Date))


def _of_period(key: str) -> Any:
    return _statement(f"""
        SELECT {key} AS key, NULL AS name, {_SUMS} FROM daily_sales
        WHERE dimension = '{Dimension.PAYMENT_TYPE}' AND {_DAYS} GROUP BY 1 ORDER BY 1 LIMIT :limit
    """)  # noqa: S608  (no value is in it)


def _of_dimension(dimension: Dimension) -> Any:
    name = f"({_NAMES[dimension]})" if dimension in _NAMES else "NULL"
    return _statement(f"""
        SELECT nullif(key, '') AS key, {name} AS name, orders, units, returned_units, gross, discount, shipping, refunded, net, tax
        FROM (
            SELECT key, {_SUMS} FROM daily_sales WHERE dimension = '{dimension}' AND {_DAYS}
            GROUP BY key ORDER BY net DESC, length(key), key LIMIT :limit
        ) AS summed
    """)  # noqa: S608  (no value is in it)


_OF_CATEGORIES = _statement(f"""
    SELECT summed.key, categories.name, orders, units, returned_units, gross, discount, shipping, refunded, net, tax FROM (
        SELECT products.category_id AS key, {_SUMS}
        FROM (
            SELECT key, {_SUMS} FROM daily_sales WHERE dimension = '{Dimension.PRODUCT}' AND {_DAYS} GROUP BY key
        ) AS sold LEFT JOIN products ON products.id_key = nullif(sold.key, '')::bigint
        GROUP BY products.category_id
    ) AS summed LEFT JOIN categories ON categories.id_key = summed.key
    ORDER BY net DESC, summed.key LIMIT :limit
""")  # noqa: S608  (no value is in it)
_SALES = {
    **{group: _of_period(key) for group, key in _PERIODS.items()},
    **{SalesGroup(dimension): _of_dimension(dimension) for dimension in Dimension if dimension is not Dimension.TAX},
    SalesGroup.CATEGORY: _OF_CATEGORIES,
}
_TOTALS = _statement(f"SELECT {_SUMS} FROM daily_sales WHERE dimension = '{Dimension.PAYMENT_TYPE}' AND {_DAYS}")  # noqa: S608

_BEST_SELLERS = _statement(f"""
    SELECT products.id_key AS product_id, products.name, products.sku, summed.units, returned_units, gross, discount, refunded, net
    FROM (
        SELECT key::bigint AS product_id, {_SUMS} FROM daily_sales
        WHERE dimension = '{Dimension.PRODUCT}' AND key <> '' AND {_DAYS}
        GROUP BY key HAVING sum(units) > 0
        ORDER BY sum(units - returned_units) DESC, net DESC, length(key), key LIMIT :limit
    ) AS summed LEFT JOIN products ON products.id_key = summed.product_id
    ORDER BY summed.units - returned_units DESC, net DESC, summed.product_id
""")  # noqa: S608  (no value is in it)

# How many of all clients are new is said in each row, also where the limit leaves most of them out.
_CLIENTS = _statement(f"""
    SELECT summed.client_id, clients.name, clients.lastname, summed.is_new, orders, units, gross, discount, shipping, refunded, net,
        summed.new, summed.returning
    FROM (
        SELECT *, count(*) FILTER (WHERE is_new) OVER () AS new, count(*) FILTER (WHERE NOT is_new) OVER () AS returning FROM (
            SELECT key::bigint AS client_id, {_SUMS}, NOT EXISTS (
                SELECT FROM daily_sales AS earlier WHERE earlier.dimension = '{Dimension.CLIENT}' AND earlier.orders > 0
                    AND earlier.key = daily_sales.key AND earlier.day < :first
            ) AS is_new
            FROM daily_sales WHERE dimension = '{Dimension.CLIENT}' AND key <> '' AND {_DAYS}
            GROUP BY key HAVING sum(orders) > 0
        ) AS sold ORDER BY net DESC, client_id LIMIT :limit
    ) AS summed LEFT JOIN clients ON clients.id_key = summed.client_id
    ORDER BY net DESC, summed.client_id
""")  # noqa: S608  (no value is in it)

_TAXES = _statement(f"""
    SELECT split_part(key, ' ', 1) AS country, split_part(key, ' ', 2)::numeric AS rate, split_part(key, ' ', 3) AS vat_category,
        gross - tax AS net, tax, gross, {", ".join(f"sum({sum_}) OVER () AS all_{name}" for name, sum_ in _OF_ALL.items())}
    FROM (
        SELECT key, sum(gross - refunded) AS gross, sum(tax) AS tax FROM daily_sales
        WHERE dimension = '{Dimension.TAX}' AND {_DAYS} GROUP BY key
    ) AS summed ORDER BY country, rate DESC, vat_category LIMIT :limit
""")  # noqa: S608  (no value is in it)

_STOCK_SUMS = """count(*) AS products, coalesce(sum(stock), 0) AS units, coalesce(sum(stock * price), 0.00) AS value,
    count(*) FILTER (WHERE low_stock) AS low, count(*) FILTER (WHERE stock = 0) AS out"""
_STOCK = text(f"""
    SELECT category_id, categories.name, products, units, value, low, out FROM (
        SELECT category_id, {_STOCK_SUMS} FROM products GROUP BY category_id
    ) AS summed LEFT JOIN categories ON categories.id_key = summed.category_id
    ORDER BY value DESC, category_id
""")  # noqa: S608  (no value is in it)


_TODAY = text("SELECT (now() AT TIME ZONE shop_time_zone())::date")


class SalesReportRepository:
    """Reads through a session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def today(self) -> date:
        """The day that it is where the shop is."""
        return cast(date, self.session.scalar(_TODAY))

    def sales(self, group: SalesGroup, first: date, last: date, limit: int) -> Sequence[Any]:
        """The groups with sales between two days: `key, name`, and the figures."""
        return self._rows(_SALES[group], first, last, limit)

    def totals(self, first: date, last: date) -> Any:
        """The figures of all sales between two days."""
        return self.session.execute(_TOTALS, {"first": first, "last": last}).one()

    def best_sellers(self, first: date, last: date, limit: int) -> Sequence[Any]:
        """The products of which most was sold and kept, by the names of `schemas.report.BestSeller`."""
        return self._rows(_BEST_SELLERS, first, last, limit)

    def clients(self, first: date, last: date, limit: int) -> Sequence[Any]:
        """The clients who bought, by the names of `schemas.report.ClientSales`, those with most value first.

        Each with how many of all of them bought for the first time, `new`, and how many had before, `returning`.
        """
        return self._rows(_CLIENTS, first, last, limit)

    def taxes(self, first: date, last: date, limit: int) -> Sequence[Any]:
        """What was sold and not given back at each rate, by the names of `schemas.bill.BillTaxRead`, by country.

        Each with the sums of all of them, `all_net`, `all_tax` and `all_gross`.
        """
        return self._rows(_TAXES, first, last, limit)

    def stock(self) -> Sequence[Any]:
        """The stock of each category now, by the names of `schemas.report.CategoryStock`."""
        return self.session.execute(_STOCK).all()

    def _rows(self, statement: Any, first: date, last: date, limit: int) -> Sequence[Any]:
        return self.session.execute(statement, {"first": first, "last": last, "limit": limit}).all()
