"""The costliest requests: what the most expensive valid request of each kind costs.

    python -m benchmarks.costliest
    python -m benchmarks.costliest --orders 30

One worker of the production server on embedded servers in a temporary folder, with rows that make these requests as
expensive as possible: orders of a thousand details, products with the longest descriptions. The time and the CPU of the
worker and of PostgreSQL are multiples of those for one row in the same run; memory is the peak of the worker above its
level before, and the wait that of another client, which requests `/health/live` meanwhile.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil
import psycopg2

from benchmarks.cores import cpu_seconds
from benchmarks.hostile import forget_peak, peak_megabytes, probing, send
from benchmarks.hostile_bodies import Hostile
from benchmarks.production_shop import Shop, production_shop
from benchmarks.record import save

_DETAILS = 1000
_PRODUCTS = 5000
_BARE_READS = 200

_FILL = """
    INSERT INTO categories (name) VALUES ('Chairs');
    INSERT INTO products (name, sku, description, price, stock, category_id)
        SELECT 'Set of ' || n %% 7 || ' pack of ' || n %% 12 || ' chair ' || n, 'CHAIR-' || n, repeat('wood ', 1000),
            5, 0, 1 FROM generate_series(1, %(products)s) AS n;
    INSERT INTO clients (name, lastname, email, email_key, telephone)
        VALUES ('Ann', 'Lee', 'ann@example.com', 'ann@example.com', '+442071234567');
    INSERT INTO bills (bill_number, discount, total, payment_type, client_id)
        SELECT 'B-' || n, 0, 0, 'card', 1 FROM generate_series(1, %(orders)s) AS n;
    INSERT INTO orders (total, delivery_method, status, client_id, bill_id)
        SELECT 0, 1, 1, 1, n FROM generate_series(1, %(orders)s) AS n;
    INSERT INTO order_details (order_id, product_id, quantity, price, name, sku)
        SELECT o, id_key, 1, 5, name, sku FROM generate_series(1, %(orders)s) AS o, products WHERE id_key <= %(details)s;
    ANALYZE
"""

COSTLIEST = {
    "a list with everything inside": "/orders?limit=1000&expand=order_details,bill,client",
    "one order with everything inside": "/orders/1?expand=order_details,bill,client",
    "a page of long rows": "/products?limit=1000",
    "a page of long rows that is not cached": "/products?limit=1000&sort=-price,name&skip=1",
    "a page far behind": "/order_details?limit=1000&skip=250000",
    "a search that most rows fulfil": "/products?q=set+of+3+pack+of+12&limit=1000",
    "an order by several columns": "/products?sort=price,name,-sku,created_at&limit=1000&fields=id_key",
    "the document of all routes": "/openapi.json",
}


def fill(shop: Shop, orders: int) -> None:
    """Orders of a thousand details each, and products with long descriptions."""
    connection = psycopg2.connect(shop.database_url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute(_FILL, {"products": _PRODUCTS, "orders": orders, "details": _DETAILS})
    connection.close()


def postgres_seconds(shop: Shop) -> float:
    """The CPU seconds of the shop's running PostgreSQL processes."""
    seconds = 0.0
    for child in psutil.Process(shop.launcher.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "postgres" in child.name():
                seconds += sum(child.cpu_times()[:2])
    return seconds


def measured(shop: Shop, worker: int, path: str, times: int = 1) -> dict[str, float]:
    """The cost of a GET of the path, as the mean of `times`."""
    before, cpu, postgres = forget_peak(worker), cpu_seconds([worker]), postgres_seconds(shop)
    waits: list[float] = []
    started = time.perf_counter()
    size = 0
    for _ in range(times):
        status, size = send(shop, Hostile("GET", path))
        if status != 200:
            raise SystemExit(f"{path} was answered {status}")
    seconds = (time.perf_counter() - started) / times
    worker_seconds = (cpu_seconds([worker]) - cpu) / times
    of_postgres = (postgres_seconds(shop) - postgres) / times
    peak = peak_megabytes(worker) - before
    if times == 1:
        with probing(shop, waits):
            send(shop, Hostile("GET", path))
    return {
        "bytes": size,
        "seconds": seconds,
        "worker": worker_seconds,
        "postgres": of_postgres,
        "megabytes": peak,
        "wait_ms": max(waits, default=0.0),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=300, help="orders of a thousand details")
    options = parser.parse_args(arguments)
    figures: dict[str, dict[str, float]] = {}
    with production_shop(1) as shop:
        fill(shop, options.orders)
        (worker,) = shop.workers()
        measured(shop, worker, "/orders/1", _BARE_READS)
        bare = measured(shop, worker, "/orders/1", _BARE_READS)
        cpu = max(bare["worker"] + bare["postgres"], 1e-6)
        print("| request | answer | time | CPU | of it PostgreSQL | memory | longest wait of others |")
        print("|---|---|---|---|---|---|---|")
        for name, path in COSTLIEST.items():
            cost = figures[name] = measured(shop, worker, path)
            both = cost["worker"] + cost["postgres"]
            print(
                f"| {name}: `{path}` | {cost['bytes'] / 1e6:.1f} MB | {cost['seconds'] / bare['seconds']:,.0f} x "
                f"| {both / cpu:,.0f} x | {cost['postgres'] / max(both, 1e-6):.0%} | {cost['megabytes']:.0f} MB "
                f"| {cost['wait_ms']:.0f} ms |",
                flush=True,
            )
    save("costliest", vars(options), {"bare": bare, **figures})
    return 0


if __name__ == "__main__":
    sys.exit(main())
