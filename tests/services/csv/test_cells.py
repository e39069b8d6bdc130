"""Cells of CSV files by the rules of the API's bodies."""

import pytest
from sqlalchemy.orm import Session

from models.text_key import text_key
from schemas.bill import BillCreate
from schemas.client import ClientCreate
from schemas.product import ProductCreate
from services.client import ClientService
from services.csv.cells import BadRow, Batch, Column, FieldColumn, KeyColumn, NameColumn, RowChecker

pytestmark = pytest.mark.unit


def cell_of(column: Column, text: str) -> str | None:
    """What the table gets for the text; None where it is refused."""
    (cell,), problems = column.cells([text])
    return None if text in problems else cell


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
    assert cell_of(FieldColumn(ProductCreate, "price"), text) == cell


@pytest.mark.parametrize(
    ("text", "cell"), {"true": "True", "FALSE": "False", "": "True", "1": None, "yes": None}.items()
)
def test_flags(text: str, cell: str | None) -> None:
    assert cell_of(FieldColumn(ProductCreate, "active", left_out=True), text) == cell


def test_what_was_wrong_once_is_wrong_again() -> None:
    column = FieldColumn(ProductCreate, "stock", left_out=0)
    for _ in range(2):
        cells, problems = column.cells(["5", "", "-5", "5"])
        assert (cells[0], cells[1], cells[3], [*problems]) == ("5", "0", "5", ["-5"])


def test_many_different_numbers_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.csv.cells._MOST_CACHED", 10)
    column = FieldColumn(ProductCreate, "stock")
    for start in range(0, 100, 20):
        texts = [str(number) for number in range(start, start + 20)]
        assert column.cells(texts) == (texts, {})


TEXTS = {
    "as they are": (["Saw", "Axe"], ["Saw", "Axe"]),
    "trimmed": ([" Saw ", "Axe"], ["Saw", "Axe"]),
    "some with escapes": (["a\tb", "c\\d", "e"], ["a\\tb", "c\\\\d", "e"]),
    "some left out": (["", "Saw", "", "a\nb"], ["", "Saw", "", "a\\nb"]),
    "all left out": (["", ""], ["", ""]),
}


@pytest.mark.parametrize(("texts", "cells"), TEXTS.values(), ids=TEXTS)
def test_texts(texts: list[str], cells: list[str]) -> None:
    assert FieldColumn(ProductCreate, "description").cells(texts) == (cells, {})


def test_one_wrong_text_spoils_no_other() -> None:
    texts = ["Saw", "", "x" * 201, " Axe "]
    cells, problems = FieldColumn(ProductCreate, "name").cells(texts)
    assert (cells[0], cells[3]) == ("Saw", "Axe")
    assert problems == {"": "Field required", "x" * 201: "String should have at most 200 characters"}


def test_a_key_goes_with_the_form_it_is_compared_by() -> None:
    column = KeyColumn(ClientCreate, "email", ClientService(Session()))
    assert column.names == ("email", "email_key")
    for texts in (["Ann@Example.com", "bob@example.com"], ["Ann@Example.com", "nobody"]):
        cells, problems = column.cells(texts)
        assert cells[0] == "Ann@Example.com\tann@example.com"
        assert [*problems] == [text for text in texts if "@" not in text]


def test_a_row_is_published_everything_that_is_wrong_with_it() -> None:
    checker = RowChecker(
        [FieldColumn(ProductCreate, "name"), None, NameColumn("category", "category_id", {"tools": 7}, text_key)]
    )
    rows, bad = checker.check(
        Batch([2, 3, 6], [["Saw", "?", " Tools "], ["\x00", "?", "Toys"], ["short"]], [BadRow(9, "!")])
    )
    assert (rows.lines, rows.columns) == ([2], {"name": ["Saw"], "category_id": ["7"]})
    assert sorted(bad, key=lambda row: row.line) == [
        BadRow(3, "name: must not contain NUL; category: There is no category 'Toys'"),
        BadRow(6, "1 cells, where the header has 3"),
        BadRow(9, "!"),
    ]


def test_without_rows_there_are_none() -> None:
    rows, bad = RowChecker([FieldColumn(ProductCreate, "name")]).check(Batch([], []))
    assert (len(rows), bad) == (0, [])


def test_a_cell_with_nothing_to_be_seen_is_none_where_the_field_may_be() -> None:
    optional, required = FieldColumn(ProductCreate, "description"), FieldColumn(ProductCreate, "name")
    assert optional.cells(["", " ", "\u200b", "Warm"]) == (["", "", "", "Warm"], {})
    _, problems = required.cells([" ", "\u200b", "Lamp"])
    assert problems.keys() == {" ", "\u200b"}


def test_zero_has_no_sign() -> None:
    column = FieldColumn(ProductCreate, "stock")
    assert column.cells(["-0", "-0.0", "0e3"]) == (["0", "0", "0"], {})
    local = FieldColumn(ProductCreate, "stock", decimal=",")
    assert local.cells(["-0", "-0,0", "-0,00"]) == (["0", "0", "0"], {})
    total = FieldColumn(BillCreate, "total", decimal=",")
    assert total.cells(["-0", "-0,00"]) == (["0.00", "0.00"], {})
