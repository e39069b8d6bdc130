"""`python -m scripts.import_csv`: the rules of the API, all or nothing or what is sound, and one line for what fails."""

import csv
import gzip
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from config.settings import PROJECT_ROOT, get_settings
from infrastructure.embedded.servers import ServerUrls
from scripts import csv_file
from scripts.csv_session import EXIT_INTERRUPTED, EXIT_REFUSED
from scripts.database import EXIT_CANNOT, EXIT_FINE
from services.csv import importer as csv_import
from tests.race.databases import breaches, connected, execute, new_database, rows_of
from tests.scripts.csv_shop import exported, imported, named_by_the_settings, stored
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

TABLES = "('products', 'stock_movements', 'price_changes')"
INDEXES = f"SELECT indexdef FROM pg_indexes WHERE tablename IN {TABLES} ORDER BY 1"
KEYS = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype IN ('f', 'p') ORDER BY 1"


@pytest.fixture
def database(servers: ServerUrls) -> Iterator[str]:
    """An empty shop with two categories."""
    url = new_database(servers.database_url)
    execute(url, "INSERT INTO categories (name) VALUES ('Tools'), ('Toys')")
    with named_by_the_settings(url):
        yield url


@pytest.fixture
def write(tmp_path: Path) -> "Writer":
    return Writer(tmp_path)


class Writer:
    """Makes the files of a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, content: str | bytes, name: str = "rows.csv") -> Path:
        path = self._folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def test_products_keep_the_five_invariants(database: str, write: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("sku,name,price,stock,category_id,active\nA,Axe,9.99,5,1,false\n,Saw,1e1,,2,\n")
    assert imported("products", path) == EXIT_FINE
    assert "2 products added, 0 rows were refused." in capsys.readouterr().out
    rows = stored(database, "sku, name, price, stock, category_id, active")
    assert rows == [("A", "Axe", Decimal("9.99"), 5, 1, False), (None, "Saw", Decimal("10.00"), 0, 2, True)]
    assert rows_of(database, "SELECT product_id, delta, reason FROM stock_movements") == [(1, 5, "initial")]
    assert breaches(database) == []


def test_clients_are_compared_by_their_address_whatever_its_case(
    database: str, write: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    header = "email,name,lastname,telephone\n"
    assert imported("clients", write(header + "Ann@Example.com,Ann,Bell,+4912345678\n")) == EXIT_FINE
    assert stored(database, "email, email_key, telephone", "clients") == [
        ("Ann@Example.com", "ann@example.com", "+4912345678")
    ]
    assert imported("clients", write(header + "ANN@example.com,Ann,Bell,\n")) == EXIT_REFUSED
    assert "line 2: email: Client with email 'ANN@example.com' already exists" in capsys.readouterr().err


BAD = (
    'sku,name,price,stock,category\nA,"a\n\nb",1,,Tools\nB,B,9.999,-1,Tools\n\n'
    "C,C,1,0,Nowhere\nD,D,1,0\nE,,1,0,Tools\nA,again,1,0,Tools\nF,F,abc,0,Toys\n"
)
REASONS = [
    "line 5: price: must have at most two decimals, such as 9.99; stock: Input should be greater than or equal to 0",
    "line 7: category: There is no category 'Nowhere'",
    "line 8: 4 cells, where the header has 5",
    "line 9: name: Field required",
    "line 10: sku: Product with sku 'A' already exists",
    "line 11: price: must be a number such as 9.99",
]


def test_bad_rows_are_told_with_their_lines_and_nothing_is_imported(
    database: str, write: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported("products", write(BAD)) == EXIT_REFUSED
    assert capsys.readouterr().err.splitlines() == [*REASONS, "Nothing was imported: 6 rows were refused."]
    assert stored(database, "sku") == []


def test_bad_rows_are_skipped_if_asked(database: str, write: Writer, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    assert imported("products", write(BAD), "--on-error", "skip", "--rejects", str(report)) == EXIT_FINE
    assert stored(database, "sku, name") == [("A", "a\n\nb")]
    assert [f"line {line}: {reason}" for line, reason in csv.reader(report.read_text().splitlines())][1:] == REASONS


def test_the_reasons_are_those_of_the_api(
    client: httpx.Client, database: str, write: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"name": "N", "price": -1, "stock": 2**60, "category_id": 1, "image": "ftp://x", "sku": "s" * 65}
    answer = client.post("/products", json=body)
    assert answer.status_code == 422
    path = write("name,price,stock,category_id,image,sku\n" + ",".join(map(str, body.values())) + "\n")
    assert imported("products", path) == EXIT_REFUSED
    told = capsys.readouterr().err
    for one in answer.json()["detail"]:
        assert f"{one['loc'][-1]}: {one['msg']}" in told


def test_references_by_key_must_exist(database: str, write: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(f"name,price,category_id\nA,1,77\nB,1,0\nC,1,{2**63}\nD,1,2\n")
    assert imported("products", path, "--on-error", "skip") == EXIT_FINE
    told = capsys.readouterr().err
    for line, key in ((2, 77), (3, 0), (4, 2**63)):
        assert f"line {line}: category_id: Category with id {key} not found" in told
    assert stored(database, "name") == [("D",)]


def test_addresses_that_only_the_index_takes_for_one(
    database: str, write: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    # Somebody wrote past the shop, and a key that is not the address's.
    past = "INSERT INTO clients (name, lastname, email, email_key) VALUES ('N', 'L', 'I@example.com', 'of another')"
    execute(database, past)
    lines = [f"{name}@example.com,N,L\n" for name in ("x1", "x2", "x4", "i", "x3")]
    assert imported("clients", write("email,name,lastname\n" + "".join(lines)), "--on-error", "skip") == EXIT_FINE
    assert "line 5: email: Client with email 'i@example.com' already exists" in capsys.readouterr().err
    assert len(stored(database, "email", "clients")) == 5


def many(count: int, first: int = 0) -> str:
    rows = "".join(f"S{number},Saw {number},1.5,{number % 3},Tools\n" for number in range(first, first + count))
    return f"sku,name,price,stock,category\n{rows}"


@pytest.mark.parametrize("before", [False, True], ids=["into an empty catalog", "beside other rows"])
def test_several_batches(
    database: str, write: Writer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], before: bool
) -> None:
    monkeypatch.setattr(csv_file, "_ROWS_PER_BATCH", 100)
    monkeypatch.setattr(csv_import, "ROWS_WORTH_INDEXES", 100)
    if before:
        execute(database, "INSERT INTO products (name, price, category_id) VALUES ('Old', 1, 1)")
    schema = rows_of(database, INDEXES), rows_of(database, KEYS)
    path = write(many(250) + "S7,twice,1,0,Tools\nS249,twice,1,0,Tools\n")
    assert imported("products", path, "--on-error", "skip") == EXIT_FINE
    assert "250 products added, 2 rows were refused." in capsys.readouterr().out
    assert [sku for (sku,) in stored(database, "sku")][-250:] == [f"S{number}" for number in range(250)]
    assert (rows_of(database, INDEXES), rows_of(database, KEYS)) == schema
    assert breaches(database) == []
    # The next key is nobody's yet.
    execute(database, "INSERT INTO products (name, price, category_id) VALUES ('New', 1, 1)")


def test_rows_without_their_category_leave_the_others_in_order(
    database: str, write: Writer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(csv_file, "_ROWS_PER_BATCH", 10)
    monkeypatch.setattr(csv_import, "ROWS_WORTH_INDEXES", 10)
    # Category 9 is lost in several batches, category 2 comes only late.
    categories = [9 if number in (0, 13, 14, 29) else 1 + number // 20 for number in range(30)]
    rows = "".join(f"S{number},Saw,1.5,1,{category}\n" for number, category in enumerate(categories))
    assert imported("products", write(f"sku,name,price,stock,category_id\n{rows}"), "--on-error", "skip") == EXIT_FINE
    refused = [f"line {line}: category_id: Category with id 9 not found" for line in (2, 15, 16, 31)]
    assert capsys.readouterr().err.splitlines() == refused
    kept = [(f"S{number}", category) for number, category in enumerate(categories) if category != 9]
    assert stored(database, "sku, category_id") == kept
    assert breaches(database) == []


def test_a_refused_import_leaves_the_indexes(database: str, write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_import, "ROWS_WORTH_INDEXES", 1)
    schema = rows_of(database, INDEXES), rows_of(database, KEYS)
    assert imported("products", write(many(3) + "S1,twice,1,0,Tools\n")) == EXIT_REFUSED
    assert (rows_of(database, INDEXES), rows_of(database, KEYS)) == schema
    assert stored(database, "sku") == []


def test_a_busy_catalog_is_imported_into_without_locking_it(
    database: str, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_import, "ROWS_WORTH_INDEXES", 1)
    monkeypatch.setattr("repositories.csv.indexes._LOCK_WAIT", "50ms")
    with connected(database) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN; SELECT FROM products")
        assert imported("products", write(many(3))) == EXIT_FINE
    assert len(stored(database, "sku")) == 3


UNUSABLE = {
    "empty": (b"", "Stopped: the file is empty: its first line must name the columns"),
    "no text": (
        b"name\nCaf\xe9 \x81\n",
        "is not Windows-1252, in line 1 or later: save it as UTF-8, or name its --encod",
    ),
    "broken UTF-8": (
        "name\nCaf\u00e9 ".encode() + b"\xe9\n",
        "is not UTF-8, in line 1 or later: save it as UTF-8, or ",
    ),
    "cells apart by quotes": (b'sep="\nname\nX\n', "cells cannot be separated by '\"'"),
    "wrong header": (b"title\nX\n", "Stopped: unknown column 'title'; allowed: name"),
    "a column twice": (b"name,name\nX,X\n", "Stopped: the column 'name' is there twice"),
    "a missing column": (b"id_key\n1\n", "Stopped: there is no column 'name'; the first line must name the columns"),
    "a broken header": (b'"name"x\n', "Stopped: the header cannot be read: ',' expected after '\"'"),
    "half a gzip file": (gzip.compress(b"name\nX\n" * 99)[:-12], "Stopped: cannot read "),
    "no gzip file": (b"\x1f\x8bname\n", "Stopped: cannot read "),
}


@pytest.mark.parametrize(("content", "told"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_file_is_one_line(
    database: str, write: Writer, capsys: pytest.CaptureFixture[str], content: bytes, told: str
) -> None:
    assert imported("categories", write(content)) == EXIT_CANNOT
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert told in errors[0]


def test_a_file_that_is_not_there(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported("categories", tmp_path / "none.csv") == EXIT_CANNOT
    assert capsys.readouterr().err.startswith("Stopped: cannot read ")


def test_a_report_that_cannot_be_written(database: str, write: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported("categories", write("name\nX\n"), "--rejects", "/nonexistent/x") == EXIT_CANNOT
    assert capsys.readouterr().err == "Stopped: cannot write /nonexistent/x: No such file or directory\n"
    assert len(stored(database, "name", "categories")) == 2


def test_a_database_that_is_not_migrated(
    servers: ServerUrls, write: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    with named_by_the_settings(servers.database_url):
        assert imported("categories", write("name\nX\n")) == EXIT_CANNOT
    assert "not at the newest migration" in capsys.readouterr().err


READABLE = {
    "BOM and CRLF": b'\xef\xbb\xbfname\r\nX\r\n"Y\r\nZ"\r\n',
    "no line end at the end": b'name\nX\n"Y\r\nZ"',
    "gzip": gzip.compress(b'name\nX\n"Y\r\nZ"\n'),
    "UTF-16": 'name\nX\n"Y\r\nZ"\n'.encode("utf-16"),
    "spaces and ignored columns": b'id_key, name ,updated_at\n9,X,\n8,"  Y\r\nZ ",now\n',
}


@pytest.mark.parametrize("content", READABLE.values(), ids=READABLE)
def test_files_as_programs_write_them(database: str, write: Writer, content: bytes) -> None:
    assert imported("categories", write(content)) == EXIT_FINE
    assert stored(database, "name", "categories")[2:] == [("X",), ("Y\r\nZ",)]


def test_standard_input(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(gzip.compress(b"name\nX\n")))))
    assert imported("categories", Path("-")) == EXIT_FINE
    assert ("X",) in stored(database, "name", "categories")


BROKEN = {
    "text behind a quote": ('name\nX\n"Y"y\nZ\n', "line 3: ',' expected after '\"'"),
    "never closed": ('name\nX\n"Y\nZ\nW\n', "line 3: unexpected end of data"),
    "closed by the next one": ('name\nX\n"Y\nZ\n"W"\nV\n', "line 3: ',' expected after '\"'"),
    "rows that became one": ('name\n\nX\n"Y\nZ",W\nV\n', "line 4: 2 cells in several lines, where the header has 1"),
    "an endless cell": ('name\nX\n"' + "Y" * 200_000 + '"\nZ\n', "line 3: field larger than field limit (131072)"),
}


@pytest.mark.parametrize(("content", "told"), BROKEN.values(), ids=BROKEN)
def test_nothing_is_read_after_a_broken_cell(
    database: str, write: Writer, capsys: pytest.CaptureFixture[str], content: str, told: str
) -> None:
    path = write(content)
    assert imported("categories", path, "--on-error", "skip") == EXIT_FINE
    told_of, imported_rows = capsys.readouterr().err.splitlines()
    assert told_of == f"{told}: nothing from this line on was read"
    assert imported_rows == f"Only what is before {told.partition(':')[0]} was imported."
    assert stored(database, "name", "categories")[2:] == [("X",)]
    execute(database, "DELETE FROM categories WHERE name = 'X'")
    assert imported("categories", path) == EXIT_REFUSED
    assert capsys.readouterr().err.splitlines() == [told_of, "Nothing was imported: 1 row was refused."]
    assert stored(database, "name", "categories")[2:] == []


EXCEL = (
    "sku;name;price;stock;category;active;description\n"
    'A;M\u00fcsli;1234,5;1.000.000;Tools;WAHR;"zwei; drei"\n'
    "B;Caf\u00e9;1.234,50;7;Tools;FALSCH;\n"
    "C;Salz;0,99;;Toys;;\n"
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (EXCEL.encode("cp1252"), "Windows-1252, cells separated by semicolons, a decimal comma in numbers"),
        (EXCEL.encode("utf-8-sig"), "UTF-8, cells separated by semicolons, a decimal comma in numbers"),
        (("sep=;\r\n" + EXCEL).encode("cp1252"), "Windows-1252, cells separated by semicolons, a decimal comma"),
        (
            EXCEL.replace("zwei;", "zwei,").replace(";", "\t").replace("zwei,", "zwei;").encode("utf-16"),
            "UTF-16, cells separated by tabs, a decimal comma in numbers",
        ),
        (EXCEL.encode("utf-16-le"), "UTF-16 (little endian), cells separated by semicolons, a decimal comma"),
        (EXCEL.encode("utf-16-be"), "UTF-16 (big endian), cells separated by semicolons, a decimal comma"),
        (gzip.compress(EXCEL.encode("cp1252")), "Windows-1252, cells separated by semicolons"),
    ],
    ids=["cp1252", "UTF-8", "sep", "UTF-16 and tabs", "UTF-16 LE", "UTF-16 BE", "gzip"],
)
def test_files_of_spreadsheets_are_understood_and_said(
    database: str, write: Writer, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    assert imported("products", write(content)) == EXIT_FINE
    assert f"\nRead as: {said}" in capsys.readouterr().out
    assert stored(database, "sku, name, price, stock, active, description") == [
        ("A", "M\u00fcsli", Decimal("1234.50"), 1_000_000, True, "zwei; drei"),
        ("B", "Caf\u00e9", Decimal("1234.50"), 7, False, None),
        ("C", "Salz", Decimal("0.99"), 0, True, None),
    ]


def test_numbers_that_may_mean_two_things_are_refused(
    database: str, write: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("name;price;stock;category\nA;1,234;0;Tools\nB;1.234;0;Tools\nC;1;1,000;Tools\nD;1;1.000;Tools\n")
    assert imported("products", path, "--on-error", "skip") == EXIT_FINE
    told = capsys.readouterr().err
    assert [f"line {line}: " in told for line in (2, 3, 4)] == [True, True, True]
    # One way or the other, 1.000 pieces are either one or a thousand: they are what JSON takes them for, or refused.
    assert [stock for (stock,) in stored(database, "stock")] in ([], [1])


def test_an_error_behind_a_separator_line_has_its_line(
    database: str, write: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("sep=;\nname;price;category\nA;1;Tools\nB;x;Tools\n")
    assert imported("products", path) == EXIT_REFUSED
    assert "line 4: price: " in capsys.readouterr().err


def test_duplicates_are_skipped_if_asked(database: str, write: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    header = "sku,name,price,stock,category\n"
    assert imported("products", write(header + "A,Axe,1,5,Tools\n")) == EXIT_FINE
    path = write(header + "A,Other,2,6,Toys\nB,Saw,3,1,Tools\nB,Twice,4,1,Tools\n")
    assert imported("products", path, "--on-duplicate", "skip") == EXIT_FINE
    assert "1 products added, 2 there already, 0 rows were refused." in capsys.readouterr().out
    assert stored(database, "sku, name, price, stock") == [("A", "Axe", 1, 5), ("B", "Saw", 3, 1)]
    assert breaches(database) == []


def test_duplicates_are_updated_if_asked(database: str, write: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    header = "sku,name,price,stock,category,active,description\n"
    assert imported("products", write(header + "A,Axe,1,5,Tools,false,sharp\n")) == EXIT_FINE
    path = write(header + "A,Big axe,2,,Toys,,\nB,Saw,3,1,Tools,,\nB,Saw again,4,,Tools,,\nC,,1,1,Tools,,\n")
    assert imported("products", path, "--on-duplicate", "update", "--on-error", "skip") == EXIT_FINE
    assert "1 products added, 2 updated, 0 unchanged, 1 row was refused." in capsys.readouterr().out
    assert stored(database, "sku, name, price, stock, active, description, category_id") == [
        ("A", "Big axe", 2, 5, False, "sharp", 2),
        ("B", "Saw again", 4, 1, True, None, 1),
    ]
    assert breaches(database) == []
    assert (
        imported("products", write("sku,name,price,stock,category\nA,Axe,1,9,Tools\n"), "--on-duplicate", "update") == 0
    )
    assert rows_of(database, "SELECT delta, reason FROM stock_movements WHERE product_id = 1 ORDER BY id_key") == [
        (5, "initial"),
        (4, "edit"),
    ]
    assert breaches(database) == []


def test_an_export_goes_back_in_unchanged(database: str, write: Writer, tmp_path: Path) -> None:
    header = "sku,name,price,stock,category,active,description\n"
    assert imported("products", write(header + 'A,"Axe, ""big""",1,5,Tools,false,"two\n lines; =1+1"\n')) == EXIT_FINE
    before = rows_of(database, "SELECT * FROM products")
    out = tmp_path / "out.csv"
    exported("products", out)
    for mode in ("update", "skip"):
        assert imported("products", out, "--on-duplicate", mode) == EXIT_FINE
        assert rows_of(database, "SELECT * FROM products") == before


def test_only_the_first_bad_rows_are_shown(database: str, write: Writer, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported("categories", write("name\n" + "Tools\n" * 120)) == EXIT_REFUSED
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 102
    assert errors[-2:] == ["... and 20 more", "Nothing was imported: 120 rows were refused."]


def test_an_interrupted_import_leaves_nothing(database: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.import_csv", "products", "-"],
        cwd=PROJECT_ROOT,
        stdin=reader,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(reader)
    with os.fdopen(writer, "w") as stdin:
        stdin.write(many(25_000))
        stdin.flush()
        _wait_for_rows_on_their_way(database)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert process.returncode == EXIT_INTERRUPTED
    assert output.startswith("Database: ")
    assert errors == "Interrupted: nothing was changed.\n"
    assert stored(database, "sku") == []


def _wait_for_rows_on_their_way(database: str) -> None:
    waited = threading.Event()
    for _ in range(600):
        # A sequence does not wait for a transaction.
        if rows_of(database, "SELECT is_called FROM products_id_key_seq") == [(True,)]:
            return
        waited.wait(0.05)
    raise AssertionError("the import never began to store")


def test_a_running_shop_shows_the_rows_at_once(servers: ServerUrls, redis_url: str, tmp_path: Path) -> None:
    url = new_database(servers.database_url)
    execute(url, "INSERT INTO categories (name) VALUES ('Tools')")
    environment = environment_of(url, redis_url, tmp_path)
    path = Writer(tmp_path)(many(5))
    with shop_in_thread(environment) as shop, httpx.Client(base_url=shop) as http:
        for _ in range(2):
            assert http.get("/products").json() == []
        with named_by_the_settings(url, redis_url):
            assert imported("products", path) == EXIT_FINE
        answer = http.get("/products")
        assert [row["sku"] for row in answer.json()] == ["S0", "S1", "S2", "S3", "S4"]
        assert answer.headers["x-total-count"] == "5"


def test_without_redis_the_rows_are_there_and_it_is_said(
    servers: ServerUrls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = new_database(servers.database_url)
    with named_by_the_settings(url, "redis://127.0.0.1:1/0"):
        assert imported("categories", Writer(tmp_path)("name\nX\n")) == EXIT_FINE
    assert "Redis cannot be reached: a running shop may show" in capsys.readouterr().err
    assert stored(url, "name", "categories") == [("X",)]


@pytest.mark.parametrize("auth", ["on", "off"])
def test_the_audit_trail_has_what_was_imported(
    database: str, write: Writer, monkeypatch: pytest.MonkeyPatch, auth: str
) -> None:
    monkeypatch.setenv("AUTH", auth)
    get_settings.cache_clear()
    assert imported("categories", write("name\nLamps\nChairs\n")) == EXIT_FINE
    assert imported("clients", write("name,lastname,email\nAda,Lovelace,ada@example.com\n")) == EXIT_FINE
    changed = write("name,lastname,email\nAda,King,ada@example.com\nGrace,Hopper,grace@example.com\n")
    assert imported("clients", changed, "--on-duplicate", "update") == EXIT_FINE
    entries = rows_of(
        database, "SELECT actor, action, resource, resource_id, changes FROM audit_entries ORDER BY id_key"
    )
    ((ada, *_), *_) = stored(database, "id_key", "clients")
    system = ("system", "import_csv")
    expected = [
        (*system, "categories", None, {"rows_added": [0, 2]}),
        (*system, "clients", None, {"rows_added": [0, 1]}),
        (*system, "clients", ada, {"lastname": ["Lovelace", "King"]}),
        (*system, "clients", None, {"rows_added": [0, 1]}),
    ]
    assert entries == (expected if auth == "on" else [])


def test_levels_prices_and_stock_alerts(database: str, write: Writer, tmp_path: Path) -> None:
    """A file may have levels or none; its prices are in the history, and stock that it lowers is told."""
    assert (
        imported("products", write("sku,name,price,stock,category,reorder_level\nA,Axe,1,9,Tools,5\nB,Saw,2,9,Toys,\n"))
        == 0
    )
    assert stored(database, "sku, reorder_level, low_stock") == [("A", 5, False), ("B", None, False)]
    assert exported("products", tmp_path / "out.csv").splitlines()[0].endswith(b",active,reorder_level,currency")
    path = write("sku,name,price,stock,category\nA,Axe,3,5,Tools\nB,Saw,2,0,Toys\nC,Hoe,7,0,Tools\n")
    assert imported("products", path, "--on-duplicate", "update") == EXIT_FINE
    assert stored(database, "sku, reorder_level, low_stock") == [("A", 5, True), ("B", None, False), ("C", None, False)]
    history = rows_of(database, "SELECT product_id, price, old_price FROM price_changes ORDER BY product_id, id_key")
    assert [row[1:] for row in history] == [(1, None), (3, 1), (2, None), (7, None)]
    alerts = "SELECT type, resource_id FROM events WHERE type LIKE 'stock.%' ORDER BY position"
    assert rows_of(database, alerts) == [("stock.low", 1), ("stock.out", 2)]
    assert imported("products", write("sku,name,price,category,reorder_level\nD,Fork,1,Tools,-1\n")) == EXIT_REFUSED


def test_tax_classes_are_named_or_left_out(write: Writer, database: str) -> None:
    execute(database, "INSERT INTO tax_classes (name) VALUES ('Reduced')")
    assert imported("categories", write("name,tax_class\nBooks, reduced \nPens,\n")) == EXIT_FINE
    assert stored(database, "name, tax_class_id", "categories")[2:] == [("Books", 2), ("Pens", None)]
    assert imported("categories", write("name,tax_class\nX,none\n")) == EXIT_REFUSED
    assert imported("products", write("name,price,category,tax_class_id\nX,1,Books,3\n")) == EXIT_REFUSED
    assert imported("products", write("name,price,category,tax_class\nX,1,Books,Standard\n")) == EXIT_FINE
    assert stored(database, "tax_class_id", "products")[-1:] == [(1,)]
