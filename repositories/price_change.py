"""Queries on the price history of products, and its statistics."""

from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.types import BigInteger, Integer

from models import PriceChange
from repositories.base import BaseRepository
from repositories.query.filters import by_value

# A price is in force from its own time until that of the next one, which is always later. The newest one holds now, also
# where the clock has been set back since it was written. A day is 24 hours.
#
# Ranges have two ends, although one would do, and these in subqueries: the planner expects few rows then, and takes the
# index also for a product that has most of the rows.
#
# The average is computed in whole cents and microseconds, and rounded once. Directive 98/6/EC, article 6a: the price before
# a reduction is the lowest of the 30 days before it.
_STATS = text("""
    WITH newest AS (
        SELECT price, valid_from FROM price_changes WHERE product_id = :product_id
        ORDER BY valid_from DESC, id_key DESC LIMIT 1
    ), frame AS (
        SELECT ends, ends - :days * interval '24 hours' AS starts
        FROM (SELECT greatest(statement_timestamp(), valid_from) AS ends FROM newest) AS latest
    ), opening AS (
        SELECT price, starts FROM frame, LATERAL (
            SELECT price FROM price_changes WHERE product_id = :product_id AND valid_from <= starts
            ORDER BY valid_from DESC, id_key DESC LIMIT 1
        ) AS at_start
    ), written AS (
        SELECT price, valid_from, id_key FROM price_changes
        WHERE product_id = :product_id AND valid_from > (SELECT starts FROM frame)
            AND valid_from <= (SELECT ends FROM frame)
    ), held AS (
        SELECT price, extract(epoch FROM coalesce(until, (SELECT ends FROM frame)) - since) * 1000000 AS microseconds
        FROM (
            SELECT price, since, lead(since) OVER (ORDER BY since, place) AS until FROM (
                SELECT price, starts AS since, 0 AS place FROM opening
                UNION ALL SELECT price, valid_from, id_key FROM written
            ) AS prices
        ) AS intervals
    ), figures AS (
        SELECT min(price) AS lowest, max(price) AS highest,
            sum(price * 100 * microseconds) AS cents, sum(microseconds) AS microseconds
        FROM held
    ), reduction AS (
        SELECT valid_from, id_key, old_price, valid_from - interval '720 hours' AS starts FROM price_changes
        WHERE product_id = :product_id AND price < old_price ORDER BY valid_from DESC, id_key DESC LIMIT 1
    ), before AS (
        SELECT at_start.price FROM reduction, LATERAL (
            SELECT price FROM price_changes WHERE product_id = :product_id AND valid_from <= reduction.starts
            ORDER BY valid_from DESC, id_key DESC LIMIT 1
        ) AS at_start
        UNION ALL
        SELECT price FROM price_changes WHERE product_id = :product_id
            AND valid_from > (SELECT starts FROM reduction) AND valid_from < (SELECT valid_from FROM reduction)
        UNION ALL SELECT old_price FROM reduction
    )
    SELECT product.id_key AS product_id, product.price AS current,
        coalesce(lowest, product.price) AS min, coalesce(highest, product.price) AS max,
        CASE WHEN microseconds > 0 THEN round(div(2 * cents + microseconds, 2 * microseconds) / 100, 2)
            ELSE product.price END AS average,
        (SELECT count(*) FROM written) - (SELECT count(*) FROM newest WHERE NOT EXISTS (SELECT FROM opening)) AS changes,
        (SELECT min(price) FROM before) AS lowest_before_reduction,
        (SELECT valid_from FROM reduction) AS reduced_at
    FROM products AS product, figures WHERE product.id_key = :product_id
""").bindparams(bindparam("product_id", type_=BigInteger), bindparam("days", type_=Integer))


class PriceChangeRepository(BaseRepository[Any]):
    model = PriceChange
    filters = by_value(product_id=PriceChange.product_id)

    def stats(self, product_id: int, days: int) -> Any | None:
        """The figures of the last `days`, by the names of `schemas.price.PriceStatsRead`; None if there is no product."""
        return self.session.execute(_STATS, {"product_id": product_id, "days": days}).one_or_none()
