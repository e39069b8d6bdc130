"""Rows per second of `scripts.import_csv` and `scripts.export_csv`, and their memory.

    python -m benchmarks.csv_files --rows 100000 300000

For each number of rows an empty database on embedded servers is filled from a file of products, and exported again,
each by a process of its own whose start is part of the time. For comparison a plain COPY of the same rows into the same
table is measured, which neither checks them nor writes the ledger.

Exits with 1 below the target of 50,000 rows per second. The target was set on a machine where a bare FastAPI route
serves 10,700 requests per second on one core. So this route (`benchmarks.bare_route`) is measured before and after, and
the rows per request of this route are printed too.
"""

import argparse
import csv
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from benchmarks.cores import pin
from benchmarks.record import save
from benchmarks.reference_server import reference_server
from config.settings import PROJECT_ROOT, read_settings
from infrastructure.database.migrations import migrate
from infrastructure.embedded.servers import running_servers

TARGET = 50_000
BASELINE_SECONDS = 3.0
BASELINE_CONNECTIONS = 64
SHELVES = 10
COLUMNS = ("sku", "name", "description", "price", "stock", "category_id")


def write_products(path: Path, rows: int) -> None:
    """Write a file of `rows` products, the same at every call."""
    chance = random.Random(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number in range(rows):
            about = f"A fine thing for house and garden, number {number}, of good make"
            price = f"{chance.randrange(99, 99_999) / 100:.2f}"
            name = f"Product number {number} of the house"
            writer.writerow([f"SKU-{number:08}", name, about, price, number % 50, number % SHELVES + 1])


@contextmanager
def empty_shop() -> Iterator[tuple[str, dict[str, str], Path]]:
    """A migrated database with some categories: its URL, the settings that name it, and a folder."""
    with tempfile.TemporaryDirectory(prefix="shop-benchmark-") as name:
        folder = Path(name)
        settings = {"DATA_DIR": str(folder / "data"), "REDIS_ENABLED": "false", "LOG_DIR": str(folder / "logs")}
        with running_servers(read_settings(settings)) as urls:
            migrate(urls.database_url)
            url = urls.database_url.replace("+psycopg2", "")
            with psycopg2.connect(url) as connection, connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO categories (name) SELECT 'Shelf ' || n FROM generate_series(1, %s) n", [SHELVES]
                )
            connection.close()
            yield url, settings, folder


def plain_copy(url: str, path: Path) -> float:
    """The seconds of a plain COPY of the file, which is rolled back."""
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor, path.open("rb") as file:
        started = time.perf_counter()
        cursor.copy_expert(f"COPY products ({', '.join(COLUMNS)}) FROM STDIN WITH (FORMAT CSV, HEADER)", file)
        seconds = time.perf_counter() - started
        connection.rollback()
        # Removes the dead rows of the rollback from the table and its indexes.
        cursor.execute("TRUNCATE products CASCADE")
    connection.commit()
    connection.close()
    return seconds


def run(script: str, path: Path, settings: dict[str, str]) -> dict[str, float]:
    """The seconds of the script, and its peak memory in MB."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"scripts.{script}", "products", str(path)],
        cwd=PROJECT_ROOT,
        env={**os.environ, **settings},
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{script} failed")
    return {"seconds": round(time.perf_counter() - started, 2), "rss_mb": round(_megabytes(usage), 1)}


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


def baseline() -> float:
    """Requests per second of the bare route on one core, with the load on another."""
    cores = sorted(os.sched_getaffinity(0))
    with reference_server("benchmarks.bare_route") as bare:
        pin(bare.pid, cores[0])
        os.sched_setaffinity(0, cores[1:2] or cores)
        try:
            return bare.requests_per_second(BASELINE_SECONDS, BASELINE_CONNECTIONS)
        finally:
            os.sched_setaffinity(0, cores)


def measure(rows: int) -> dict[str, float]:
    """The figures for a file of `rows` rows."""
    bare_before = baseline()
    with empty_shop() as (url, settings, folder):
        path = folder / "products.csv"
        write_products(path, rows)
        copied = plain_copy(url, path)
        imported, exported = run("import_csv", path, settings), run("export_csv", folder / "out.csv", settings)
    bare = (bare_before + baseline()) / 2
    return {
        "rows": rows,
        "bare_requests_per_second": round(bare),
        "import_rows_per_bare_request": round(rows / imported["seconds"] / bare, 1),
        "export_rows_per_bare_request": round(rows / exported["seconds"] / bare, 1),
        "plain_copy_rows_per_second": round(rows / copied),
        "import_rows_per_second": round(rows / imported["seconds"]),
        "import_rss_mb": imported["rss_mb"],
        "export_rows_per_second": round(rows / exported["seconds"]),
        "export_rss_mb": exported["rss_mb"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000], help="how many rows the files have")
    options = parser.parse_args()
    figures = [measure(rows) for rows in options.rows]
    for figure in figures:
        print(", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in figure.items()))
    save("csv-files", vars(options), figures)
    fastest = ("import_rows_per_second", "export_rows_per_second")
    return 0 if all(figures[-1][name] >= TARGET for name in fastest) else 1


if __name__ == "__main__":
    sys.exit(main())
