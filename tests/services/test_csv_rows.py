"""Cells of CSV files by the rules of the API's bodies."""

import pytest

from schemas.product import ProductCreate
from services.csv_rows import BadRow, Batch, FieldColumn, NameColumn, RowChecker

pytestmark = pytest.mark.unit

NUMBERS = {
    "1": "1.00",
    " 1.5 ": "1.50",
    "1e2": "100.00",
    "9999999999.99": "9999999999.99",
    "1,5": None,
    "0x10": None,
    "\u0661": None,
    "NaN": None,
    "1_000": None,
    "1e999999999": None,
    "-1": None,
}


@pytest.mark.parametrize(("text", "cell"), NUMBERS.items())
def test_prices(text: str, cell: str | None) -> None:
    cells, problems = FieldColumn(ProductCreate, "price").cells({text})
    assert (cells.get(text), text in problems) == (cell, cell is None)


@pytest.mark.parametrize(
    ("text", "cell"), {"true": "True", "FALSE": "False", "": "True", "1": None, "yes": None}.items()
)
def test_flags(text: str, cell: str | None) -> None:
    cells, problems = FieldColumn(ProductCreate, "active", left_out=True).cells({text})
    assert (cells.get(text), text in problems) == (cell, cell is None)


def test_what_was_wrong_once_is_wrong_again() -> None:
    column = FieldColumn(ProductCreate, "stock", left_out=0)
    for _ in range(2):
        cells, problems = column.cells({"5", "-5", ""})
        assert (cells["5"], cells[""], [*problems]) == ("5", "0", ["-5"])


def test_many_different_numbers_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.csv_rows._MOST_REMEMBERED", 10)
    column = FieldColumn(ProductCreate, "stock")
    for start in range(0, 100, 20):
        texts = {str(number) for number in range(start, start + 20)}
        assert column.cells(texts)[0].keys() == texts


def test_a_row_is_told_everything_that_is_wrong_with_it() -> None:
    checker = RowChecker(
        [FieldColumn(ProductCreate, "name"), None, NameColumn("category", "category_id", {"Tools": 7})]
    )
    rows, bad = checker.check(
        Batch([2, 3, 6], [["Saw", "?", " Tools "], ["\x00", "?", "Toys"], ["short"]], [BadRow(9, "!")])
    )
    assert (rows.lines, rows.columns) == ([2], {"name": ["Saw"], "category_id": ["7"]})
    assert sorted(bad, key=lambda row: row.line) == [
        BadRow(3, "name: Value error, must not contain NUL; category: There is no category 'Toys'"),
        BadRow(6, "1 cells, where the header has 3"),
        BadRow(9, "!"),
    ]


def test_without_rows_there_are_none() -> None:
    rows, bad = RowChecker([FieldColumn(ProductCreate, "name")]).check(Batch([], []))
    assert (len(rows), bad) == (0, [])
