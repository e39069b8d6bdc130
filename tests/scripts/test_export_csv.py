"""`python -m scripts.export_csv`: a file that makes the same rows again, whatever they hold, or no file at all."""

import csv
import gzip
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg2.extras
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from config.settings import PROJECT_ROOT
from infrastructure.embedded.servers import ServerUrls
from models.text_key import is_blank, text_key
from scripts.database import EXIT_CANNOT, EXIT_FINE
from scripts.export_csv import main
from tests.race.databases import connected, execute, new_database, rows_of
from tests.scripts.csv_shop import exported, imported, named_by_the_settings, stored

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def databases(servers: ServerUrls) -> tuple[str, str]:
    """Two shops: one to export from, one to import into."""
    return new_database(servers.database_url), new_database(servers.database_url)


@pytest.fixture
def database(databases: tuple[str, str]) -> Iterator[str]:
    execute(databases[0], "TRUNCATE categories, clients, bills RESTART IDENTITY CASCADE")
    with named_by_the_settings(databases[0]):
        yield databases[0]


def text(longest: int, shortest: int = 0) -> st.SearchStrategy[str]:
    """Text as it is stored: trimmed, without NUL, not blank, and anything else."""
    signs = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
    special = st.sampled_from(
        ['"', ",", "\n", "\r\n", "\r", "\\", "\\.", "=1+1", "\t", "'", "NULL", "\\N", ";", " ", "'=", "''-"]
    )
    pieces = st.lists(st.one_of(signs, special), max_size=12).map("".join)
    return pieces.map(str.strip).filter(lambda value: shortest <= len(value) <= longest and not is_blank(value))


PRODUCTS = st.lists(
    st.tuples(
        text(200, 1),
        st.none() | text(64, 1),
        st.none() | text(5000),
        st.decimals("0.01", "9999999999.99", places=2),
        st.integers(0, 2**53 - 1),
        st.none() | st.just("https://example.com/a,b?c=%22"),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda row: text_key(row[1]) if row[1] else object(),
)


@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    names=st.lists(text(100, 1), min_size=1, max_size=3, unique_by=text_key),
    products=PRODUCTS,
    options=st.sampled_from([(), ("--for-spreadsheets",)]),
)
# PostgreSQL may know signs that Python does not, and the other way round: here a letter of Unicode 15.
@example(names=["\U0001e068"], products=[("Lamp", None, None, Decimal(1), 1, None, True)], options=())
def test_a_file_makes_the_same_rows_in_another_database(
    databases: tuple[str, str],
    tmp_path: Path,
    names: list[str],
    products: list[tuple[Any, ...]],
    options: tuple[str, ...],
) -> None:
    for url in databases:
        execute(url, "TRUNCATE categories, products RESTART IDENTITY CASCADE")
    _fill(databases[0], names, products)
    first = _exported(databases[0], tmp_path, *options)
    with named_by_the_settings(databases[1]):
        for entity, content in first.items():
            (tmp_path / "moved.csv").write_bytes(content)
            assert imported(entity, tmp_path / "moved.csv") == EXIT_FINE
    assert _exported(databases[1], tmp_path, *options) == first
    columns = "name, sku, nullif(description, ''), price, stock, image, active"
    assert stored(databases[1], columns) == stored(databases[0], columns)


def _fill(url: str, names: list[str], products: list[tuple[Any, ...]]) -> None:
    with connected(url) as connection, connection.cursor() as cursor:
        # The keys of the other database are others.
        cursor.execute("ALTER SEQUENCE categories_id_key_seq RESTART 700")
        values = "INSERT INTO categories (name) VALUES %s RETURNING id_key"
        keys = psycopg2.extras.execute_values(cursor, values, [(name,) for name in names], fetch=True)
        rows = [(*row, keys[place % len(keys)][0]) for place, row in enumerate(products)]
        columns = "name, sku, description, price, stock, image, active, category_id"
        psycopg2.extras.execute_values(cursor, f"INSERT INTO products ({columns}) VALUES %s", rows)


def _exported(url: str, folder: Path, *options: str) -> dict[str, bytes]:
    with named_by_the_settings(url):
        return {entity: exported(entity, folder / "rows.csv", *options) for entity in ("categories", "products")}


EVERY_CHANNEL = '"{""sms"": true, ""mail"": true, ""push"": true}"'


def test_clients_go_the_same_way(database: str, databases: tuple[str, str], tmp_path: Path) -> None:
    execute(
        database,
        "INSERT INTO clients (name, lastname, email, email_key, telephone) VALUES ('=A()', 'O''Neil', 'A@b.de', 'a@b.de',"
        "'+4912345678'), ('B', '\"', 'b@b.de', 'b@b.de', NULL)",
    )
    content = exported("clients", tmp_path / "clients.csv")
    assert content.decode().splitlines() == [
        "name,lastname,email,telephone,language,notify",
        f"=A(),O'Neil,A@b.de,+4912345678,en,{EVERY_CHANNEL}",
        f'B,"""",b@b.de,,en,{EVERY_CHANNEL}',
    ]
    with named_by_the_settings(databases[1]):
        assert imported("clients", tmp_path / "clients.csv") == EXIT_FINE
        assert exported("clients", tmp_path / "again.csv") == content


def test_rows_are_in_the_order_of_their_keys(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(database, "INSERT INTO categories (name) SELECT 'C' || n FROM generate_series(1, 12000) n")
    execute(database, "UPDATE categories SET name = 'changed' WHERE id_key = 5")
    lines = exported("categories", tmp_path / "categories.csv").decode().splitlines()
    assert lines == ["name,tax_class", *(f"C{n}," if n != 5 else "changed," for n in range(1, 12001))]
    assert "12000 categories exported." in capsys.readouterr().err


def test_a_name_that_ends_in_gz_is_compressed(database: str, tmp_path: Path) -> None:
    execute(database, "INSERT INTO categories (name) VALUES ('Tools')")
    path = tmp_path / "categories.csv.gz"
    assert gzip.decompress(exported("categories", path)) == b"name,tax_class\nTools,\n"
    execute(database, "DELETE FROM categories")
    assert imported("categories", path) == EXIT_FINE


def test_what_cannot_be_written_is_one_line(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["categories", "/nonexistent/rows.csv"]) == EXIT_CANNOT
    named, told = capsys.readouterr().err.splitlines()
    assert named.startswith("Database: ")
    assert told == "Stopped: cannot write /nonexistent/rows.csv: No such file or directory"


def test_an_export_that_fails_leaves_the_file_of_before(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "categories.csv"
    path.write_text("of before")

    def fail(self: object, row: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scripts.export_csv.CountedFile.write", fail)
    assert main(["categories", str(path)]) == EXIT_CANNOT
    assert [one.name for one in tmp_path.iterdir()] == ["categories.csv"]
    assert path.read_text() == "of before"


def test_standard_output_and_a_reader_that_goes_away(database: str) -> None:
    execute(database, "INSERT INTO categories (name) SELECT repeat('x', 90) || n FROM generate_series(1, 20000) n")
    command = [sys.executable, "-m", "scripts.export_csv", "categories", "-"]
    whole = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert whole.stdout.splitlines() == [
        "name,tax_class",
        *(f"{name}," for (name,) in rows_of(database, "SELECT name FROM categories")),
    ]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        named, told = process.stderr.read().splitlines()
        assert named.startswith(b"Database: ")
        assert told == b"Stopped: cannot write -: Broken pipe"
    assert process.returncode == EXIT_CANNOT


def test_money_has_two_decimals(database: str, tmp_path: Path) -> None:
    execute(database, "INSERT INTO categories (name) VALUES ('Tools')")
    execute(database, "INSERT INTO products (name, price, category_id) VALUES ('Saw', %s, 1)", Decimal(5))
    assert exported("products", tmp_path / "p.csv").decode().splitlines() == [
        "name,sku,description,price,stock,category,tax_class,image,active,reorder_level,currency",
        "Saw,,,5.00,0,Tools,,,true,,EUR",
    ]


_SOLD = """
    INSERT INTO clients (name, lastname, email, email_key) VALUES ('=HYPERLINK(1)', 'L', 'a@x.org', 'a@x.org');
    INSERT INTO bills (bill_number, total, payment_type, client_id, date) VALUES ('INV-1', 12.50, 'card', 1, '2031-05-05');
"""


@pytest.mark.parametrize("is_for_spreadsheets", [False, True])
def test_reports_are_files(database: str, tmp_path: Path, is_for_spreadsheets: bool) -> None:
    execute(database, _SOLD)
    path, days = tmp_path / "report.csv", ["--from", "2031-05-05", "--to", "2031-05-05"]
    flag = ["--for-spreadsheets"] if is_for_spreadsheets else []
    assert main(["reports", str(path), *days, "--group", "client", *flag]) == EXIT_FINE
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert (row["key"], row["net"]) == ("1", "12.50")
    assert row["name"] == ("'=HYPERLINK(1) L" if is_for_spreadsheets else "=HYPERLINK(1) L")
    for name in ("best_sellers", "clients", "taxes"):
        assert main(["reports", str(path), "--report", name, *days]) == EXIT_FINE
    assert main(["reports", str(path), "--report", "stock"]) == EXIT_FINE
    assert path.read_text().startswith("products,units,")


@pytest.mark.parametrize(
    "arguments",
    [
        ["reports", "-", "--group", "color"],
        ["reports", "-", "--from", "yesterday"],
        ["reports", "-", "--limit", "0"],
        ["reports", "-", "--report", "stock", "--group", "day"],
        ["products", "-", "--group", "day"],
    ],
)
def test_what_a_report_does_not_take_is_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == EXIT_CANNOT
