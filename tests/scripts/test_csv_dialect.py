"""The encoding of a file, and what separates its cells: seen from the file, or said."""

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.embedded.servers import ServerUrls
from scripts.csv_dialect import NoDialect, delimiter_option, dialect_of, encoding_option
from scripts.csv_session import EXIT_REFUSED
from scripts.database import EXIT_FINE
from tests.race.databases import execute, new_database
from tests.scripts.csv_shop import imported, named_by_the_settings, stored

FILE = "name;price\nCaf\u00e9;1,5\n"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "UTF-8, cells separated by commas"),
        (b"name\n", "UTF-8, cells separated by commas"),
        (b"name|price\n", "UTF-8, cells separated by vertical bars"),
        (FILE.encode(), "UTF-8, cells separated by semicolons"),
        (FILE.encode("utf-8-sig"), "UTF-8, cells separated by semicolons"),
        (FILE.encode("cp1252"), "Windows-1252, cells separated by semicolons"),
        (b"name\nCaf\xe9", "Windows-1252, cells separated by commas"),
        (FILE.encode("utf-16"), "UTF-16, cells separated by semicolons"),
        (FILE.encode("utf-16-le"), "UTF-16 (little endian), cells separated by semicolons"),
        (FILE.encode("utf-16-be"), "UTF-16 (big endian), cells separated by semicolons"),
        (FILE.encode("utf-32"), "UTF-32, cells separated by semicolons"),
        (b'"a,b";"c,d";"e"\n', "UTF-8, cells separated by semicolons"),
    ],
)
def test_what_is_seen(content: bytes, said: str) -> None:
    assert str(dialect_of(content, ())) == said


@pytest.mark.unit
def test_letters_far_behind_the_first_bytes_count() -> None:
    rest = [b"plain\n" * 1000, "Caf\u00e9\n".encode("cp1252")]
    assert dialect_of(b"name\n", rest).encoding == "cp1252"
    # An error in UTF-8 does not make another encoding of it, which would spoil all its letters.
    assert dialect_of(b"name\n", ["Caf\u00e9\n".encode(), *rest]).encoding == "utf-8-sig"
    letters = "\u00e9".encode()
    assert dialect_of(b"name\n", [letters[:1], letters[1:], *rest]).encoding == "utf-8-sig"


@pytest.mark.unit
def test_what_is_said_is_not_sought() -> None:
    assert dialect_of(b"a;b,c\n", (), delimiter=",") == dialect_of(b"a,b\n", ())
    assert dialect_of(b"sep=,\na;b\n", (), delimiter=";").delimiter == ";"
    assert dialect_of(FILE.encode("cp1252"), (), encoding_option("windows-1252")).encoding == "cp1252"
    assert dialect_of(FILE.encode("utf-8-sig"), (), encoding_option("utf8")).encoding == "utf-8-sig"
    assert dialect_of(FILE.encode("utf-16-be"), (), encoding_option("UTF-16")).encoding == "utf-16-be"
    assert dialect_of(FILE.encode("utf-16"), (), encoding_option("utf-16-le")).encoding == "utf-16"


@pytest.mark.unit
def test_options_that_make_no_sense_are_told() -> None:
    assert (delimiter_option("auto"), encoding_option("auto")) == (None, None)
    assert [*map(delimiter_option, (";", "tab", "\\t", "|"))] == [";", "\t", "\t", "|"]
    for text in ("", "ab", '"', "\n", " "):
        with pytest.raises(argparse.ArgumentTypeError, match="separates no cells"):
            delimiter_option(text)
    for text in ("", "klingon", "base64", "undefined"):
        with pytest.raises(argparse.ArgumentTypeError, match="is no encoding"):
            encoding_option(text)
    with pytest.raises(NoDialect):
        dialect_of(b'sep="\na\n', ())


@pytest.fixture
def database(servers: ServerUrls) -> Iterator[str]:
    """An empty shop with a category."""
    url = new_database(servers.database_url)
    execute(url, "INSERT INTO categories (name) VALUES ('Tools')")
    with named_by_the_settings(url):
        yield url


@pytest.mark.integration
def test_numbers_that_may_be_two_are_decided_by_the_others_or_by_who_calls(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("sku;name;price;stock;category\nA;Axe;12;1.000;Tools\n")
    assert imported("products", path) == EXIT_REFUSED
    said = capsys.readouterr()
    assert "a decimal point or a decimal comma in numbers, whichever of them is certain" in said.out
    assert "line 2: stock: may be 1.000 or 1000: say with --decimal which sign is the decimal mark" in said.err
    assert imported("products", path, "--decimal", ",") == EXIT_FINE
    path.write_text("sku;name;price;stock;category\nB;Axe;12,5;1.000;Tools\n")
    assert imported("products", path) == EXIT_FINE
    # Commas separate the cells, and are in the numbers too.
    path.write_text('sku,name,price,stock,category\nC,Axe,"1.012,50",1.000,Tools\n')
    assert imported("products", path) == EXIT_FINE
    assert stored(database, "price, stock") == [(12, 1000), (12.5, 1000), (1012.5, 1000)]
    path.write_text("sku;name;price;category\nD;Axe;12,5;Tools\nE;Axe;12.5;Tools\n")
    assert imported("products", path, "--decimal", ",") == EXIT_REFUSED
    assert "line 3: price: has a decimal point, where the file has a decimal comma" in capsys.readouterr().err


@pytest.mark.integration
def test_a_pipe_is_read_like_a_file(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe(io.BytesIO):
        """Gives a few bytes at a time, and no way back."""

        def seekable(self) -> bool:
            return False

        def read1(self, size: int | None = -1) -> bytes:
            return super().read1(3)

        def readinto(self, buffer: object) -> int:
            data = super().read(3)
            memoryview(buffer)[: len(data)] = data  # type: ignore[arg-type]
            return len(data)

    content = "sep=;\nsku;name;price;category\nA;Axe;12,5;Tools\n".encode("utf-16")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Pipe(content))))
    assert imported("products", Path("-")) == EXIT_FINE
    assert stored(database, "sku, price") == [("A", 12.5)]
