"""The families of metrics: their names, what they mean, and their labels, all of which have few values.

Those of requests have the names of the field; what is the shop's own begins with `shop_`.
"""

from typing import Literal, NamedTuple


class Family(NamedTuple):
    """Metrics of one name, told apart by their labels. `divisor` is by how much a stored number is larger than what is shown."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    text: str
    labels: tuple[str, ...] = ()
    divisor: int = 1


# The upper bounds of the histograms' buckets, in seconds. Longer times are in one more bucket.
TIME_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

HTTP_REQUESTS = Family("counter", "http_requests", "Answered requests", ("route", "method", "status"))
HTTP_DURATION = Family(
    "histogram",
    "http_request_duration_seconds",
    "Time from the head of a request to the end of its answer",
    ("route",),
)
HTTP_IN_FLIGHT = Family("gauge", "http_requests_in_flight", "Requests under way")

CACHE_HITS = Family("counter", "shop_cache_hits", "Reads that the cache answered")
CACHE_MISSES = Family("counter", "shop_cache_misses", "Reads that the cache could not answer")
CONNECTIONS_CLOSED = Family("counter", "shop_connections_closed", "Connections not served any longer", ("reason",))

CHECKOUTS = Family("counter", "shop_checkouts", "Orders placed by a checkout")
CHECKOUT_REFUSALS = Family(
    "counter", "shop_checkout_refusals", "Checkouts refused, by the code of their error", ("code",)
)
CHECKOUT_REPLAYS = Family("counter", "shop_checkout_replays", "Checkouts answered from what is kept under their key")
CHECKOUT_RETRIES = Family("counter", "shop_checkout_retries", "Orders that were sent to the database once more")
UNITS_SOLD = Family("counter", "shop_units_sold", "Pieces in the orders placed by a checkout")
REVENUE = Family(
    "counter", "shop_revenue", "Sum of the lines of orders placed, less their discounts", ("currency",), 100
)
STOCK_OUTS = Family("counter", "shop_stock_outs", "Products found sold out by a checkout that asked for them")

DATABASE_SECONDS = Family(
    "histogram",
    "shop_database_seconds",
    "Time of reads, writes and transactions in PostgreSQL, with the wait for a connection",
    ("kind",),
)
REDIS_SECONDS = Family("histogram", "shop_redis_seconds", "Time of an exchange with Redis")

RESIDENT_MEMORY = Family("gauge", "process_resident_memory_bytes", "Resident memory")
POOL_SIZE = Family("gauge", "shop_db_pool_size", "Database connections that requests can use")
POOL_USED = Family("gauge", "shop_db_pool_checked_out", "Database connections in use")
POOL_CONNECTIONS = Family("gauge", "shop_db_connections", "Database connections of a pool", ("pool",))
POOL_IN_USE = Family("gauge", "shop_db_connections_in_use", "Database connections of a pool in use", ("pool",))
POOL_WAITING = Family(
    "gauge", "shop_db_connections_waiting", "Requests that wait for a connection of a pool", ("pool",)
)

COUNTERS = (
    HTTP_REQUESTS,
    CACHE_HITS,
    CACHE_MISSES,
    CONNECTIONS_CLOSED,
    CHECKOUTS,
    CHECKOUT_REFUSALS,
    CHECKOUT_REPLAYS,
    CHECKOUT_RETRIES,
    UNITS_SOLD,
    REVENUE,
    STOCK_OUTS,
)
HISTOGRAMS = (HTTP_DURATION, DATABASE_SECONDS, REDIS_SECONDS)
# Each is shown for every worker.
GAUGES = (HTTP_IN_FLIGHT, RESIDENT_MEMORY, POOL_SIZE, POOL_USED, POOL_CONNECTIONS, POOL_IN_USE, POOL_WAITING)
