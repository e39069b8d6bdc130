"""What `export_csv` writes beside its plain files: cells for spreadsheets, and rows that are only exported."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import psycopg2.extras
import pytest

from infrastructure.embedded.servers import ServerUrls
from schemas.base import Read
from schemas.bill import BillRead
from schemas.order import OrderRead
from schemas.order_detail import OrderDetailRead
from scripts.database import EXIT_FINE
from services.csv.exporter import EXPORTS
from services.csv.guards import without_guards
from tests.race.databases import connected, execute, new_database, rows_of
from tests.scripts.csv_shop import exported, imported, named_by_the_settings, stored

SAFE = "--for-spreadsheets"

# What is stored, and the cell for spreadsheets.
CELLS = {
    "=1+1": "'=1+1",
    "+49 1": "'+49 1",
    "-2+3": "'-2+3",
    "-5": "'-5",
    "@SUM(A1)": "'@SUM(A1)",
    "\uff1d1": "'\uff1d1",
    "'=1": "''=1",
    "''@": "'''@",
    "'s-Hertogenbosch": "'s-Hertogenbosch",
    "'": "'",
    "1-1=0": "1-1=0",
    '"=1': '"=1',
    "100%": "100%",
}
# Only a program that writes past the API stores such text, which the API would trim.
UNTRIMMED = {"\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1", "\t1": "'\t1"}


@pytest.fixture
def database(servers: ServerUrls) -> Iterator[str]:
    url = new_database(servers.database_url)
    with named_by_the_settings(url):
        yield url


def add_clients(url: str, names: list[str]) -> None:
    with connected(url) as connection, connection.cursor() as cursor:
        values = "INSERT INTO clients (name, lastname, email, email_key, telephone) VALUES %s"
        rows = [(name, "L", f"{number}@b.de", f"{number}@b.de", "+4912345678") for number, name in enumerate(names)]
        psycopg2.extras.execute_values(cursor, values, rows)


def cells_of(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.integration
def test_no_cell_for_spreadsheets_is_a_formula(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_clients(database, [*CELLS])
    header, *rows = cells_of(exported("clients", tmp_path / "safe.csv", SAFE))
    assert header == ["name", "lastname", "email", "telephone", "language", "notify"]
    assert [(row[0], row[3]) for row in rows] == [(cell, "'+4912345678") for cell in CELLS.values()]
    before = rows_of(database, "SELECT * FROM clients ORDER BY id_key")
    for options in ((SAFE,), ()):
        exported("clients", tmp_path / "out.csv", *options)
        assert imported("clients", tmp_path / "out.csv", "--on-duplicate", "update") == EXIT_FINE
        assert f"0 clients added, 0 updated, {len(CELLS)} unchanged, 0 rows were refused." in capsys.readouterr().out
    assert rows_of(database, "SELECT * FROM clients ORDER BY id_key") == before
    new = new_database(database)
    with named_by_the_settings(new):
        assert imported("clients", tmp_path / "safe.csv") == EXIT_FINE
        assert stored(new, "name, telephone", "clients") == [(name, "+4912345678") for name in CELLS]


@pytest.mark.integration
def test_what_the_api_would_trim_is_harmless_too(database: str, tmp_path: Path) -> None:
    add_clients(database, [*UNTRIMMED])
    _, *rows = cells_of(exported("clients", tmp_path / "safe.csv", SAFE))
    assert [row[0] for row in rows] == [*UNTRIMMED.values()]


@pytest.mark.integration
def test_numbers_are_no_formulas(database: str, tmp_path: Path) -> None:
    execute(database, "INSERT INTO bills (bill_number, total, payment_type, discount) VALUES ('=B', 0, 'cash', 0)")
    (row,) = csv.DictReader(exported("bills", tmp_path / "b.csv", SAFE).decode().splitlines())
    assert (row["bill_number"], row["total"], row["discount"]) == ("'=B", "0.00", "0.00")


@pytest.mark.unit
def test_guards_are_taken_away() -> None:
    cells = CELLS | UNTRIMMED
    assert without_guards([*cells.values()]) == [*cells]
    assert without_guards(["Saw", "", "=1"]) == ["Saw", "", "=1"]


@pytest.mark.integration
def test_orders_with_their_lines_and_bills_are_exported_with_their_keys(database: str, tmp_path: Path) -> None:
    execute(
        database,
        """
        INSERT INTO categories (name) VALUES ('Tools');
        INSERT INTO products (name, price, category_id, stock) VALUES ('Saw', 5, 1, 9);
        INSERT INTO clients (name, lastname, email, email_key) VALUES ('A', 'B', 'a@b.de', 'a@b.de');
        INSERT INTO bills (bill_number, date, total, payment_type, client_id)
            SELECT 'B-' || n, '2026-01-02', 10, 'cash', 1 FROM generate_series(1, 3000) n;
        INSERT INTO orders (date, total, delivery_method, client_id, bill_id)
            SELECT '2026-01-02 03:04:05+02', 10, 1, 1, id_key FROM bills ORDER BY id_key;
        INSERT INTO order_details (quantity, price, order_id, product_id)
            SELECT 2, 5, id_key, 1 FROM orders ORDER BY id_key;
        """,
    )
    kinds = ("orders", "order_details", "bills")
    files = {kind: exported(kind, tmp_path / "out.csv").decode() for kind in kinds}
    rows = {kind: list(csv.DictReader(content.splitlines())) for kind, content in files.items()}
    for found in rows.values():
        keys = [int(row["id_key"]) for row in found]
        assert len(keys) == 3000
        assert keys == sorted(keys)
    order, line, bill = (rows[kind][0] for kind in kinds)
    shown = [order[name] for name in ("date", "total", "status", "client_id", "bill_id", "address_id")]
    assert shown == ["2026-01-02T01:04:05.000000Z", "10.00", "1", "1", bill["id_key"], ""]
    assert (line["order_id"], line["product_id"], line["quantity"]) == (order["id_key"], "1", "2")
    assert (bill["bill_number"], bill["date"], bill["total"], bill["kind"]) == ("B-1", "2026-01-02", "10.00", "sale")
    # What is exported only is not imported.
    with pytest.raises(SystemExit):
        imported("orders", tmp_path / "out.csv")


@pytest.mark.unit
@pytest.mark.parametrize(
    ("kind", "schema"), {"orders": OrderRead, "order_details": OrderDetailRead, "bills": BillRead}.items()
)
def test_columns_are_what_the_api_shows(kind: str, schema: type[Read]) -> None:
    stored_columns = {column.name for column in EXPORTS[kind].table.c}
    assert set(EXPORTS[kind].columns) == schema.model_fields.keys() & stored_columns
