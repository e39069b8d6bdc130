"""Numbers in cells: what can be only one number is read, what may be two is decided by the file or refused."""

from decimal import Decimal
from typing import Any

import pytest

from services.csv.numbers import DecimalMark, decimal_mark_of, misread, number_of

pytestmark = pytest.mark.unit

NUMBERS: dict[str, tuple[Any, Any, Any]] = {
    # text: with a decimal point, with a decimal comma, with either
    "7": (7, 7, 7),
    "-7": (-7, -7, -7),
    " 1234 ": (1234, 1234, 1234),
    "1e2": (100, 100, 100),
    "1.5": ("1.5", None, "1.5"),
    "1,5": (None, "1.5", "1.5"),
    "-0,00": (None, 0, 0),
    "-0.00": (0, None, 0),
    "1,234": (1234, "1.234", None),
    "1.234": ("1.234", 1234, None),
    "1.000": (1, 1000, None),
    "0,500": (None, "0.5", "0.5"),
    "0.500": ("0.5", None, "0.5"),
    "1234,500": (None, "1234.5", "1234.5"),
    "1,234.50": ("1234.5", None, "1234.5"),
    "1.234,50": (None, "1234.5", "1234.5"),
    "1,234,567": (1234567, None, 1234567),
    "1.234.567": (None, 1234567, 1234567),
    "1 234": (1234, 1234, 1234),
    "1\u202f234,5": (None, "1234.5", "1234.5"),
    "1\u00a0234.5": ("1234.5", None, "1234.5"),
    "1'234'567.5": ("1234567.5", None, "1234567.5"),
    "1\u2019234": (1234, 1234, 1234),
    "12,34,567": (None, None, None),
    "1.234 567,5": (None, None, None),
    "1,2345,678": (None, None, None),
    "012,345": (None, "12.345", "12.345"),
    "1.5e3": (1500, None, 1500),
    "": (None, None, None),
    ",5": (None, None, None),
    "+5": (None, None, None),
    "NaN": (None, None, None),
    "\u0661": (None, None, None),
}


@pytest.mark.parametrize(("text", "numbers"), NUMBERS.items(), ids=NUMBERS)
def test_numbers(text: str, numbers: tuple[Any, Any, Any]) -> None:
    marks: tuple[DecimalMark | None, ...] = (".", ",", None)
    for mark, expected in zip(marks, numbers, strict=True):
        number = number_of(text, mark)
        if expected is None:
            assert number == text.strip()
        else:
            assert not isinstance(number, str)
            assert Decimal(number) == Decimal(expected)


MARKS: list[tuple[str, str, DecimalMark | None]] = [
    ("1,234 9,99", ";", ","),
    ("1,234 9.99", ";", "."),
    ("1,234 1,234.5", ",", "."),
    ("1.234 9,99", ",", ","),
    ("1.234 1.234.567", ";", ","),
    ("1,234 0,500", ";", ","),
    ("1,234", ";", None),
    ("1.234", ";", None),
    ("1,234", ",", None),
    ("1.234 5", ",", "."),
    ("9,99 9.99", ";", None),
    ("5 7 x", ";", None),
]


@pytest.mark.parametrize(("texts", "delimiter", "mark"), MARKS)
def test_the_other_numbers_show_the_mark(texts: str, delimiter: str, mark: DecimalMark | None) -> None:
    assert decimal_mark_of(texts.split(), delimiter) == mark


def test_what_may_be_two_numbers_is_told() -> None:
    assert misread("1,234", None) == "may be 1.234 or 1234: say with --decimal which sign is the decimal mark"
    assert misread("1.5", ",") == "has a decimal point, where the file has a decimal comma"
    assert misread("1,5", ".") == "has a decimal comma, where the file has a decimal point"
    for mark in (".", ",", None):
        assert misread("seven", mark) is None
        assert misread("7", mark) is None
