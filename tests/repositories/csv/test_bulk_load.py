"""Cells for COPY, and the rows they stand in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repositories.csv.bulk_load import Rows, copy_cell, copy_cells, text_of

pytestmark = pytest.mark.unit


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cell_holds_its_text_and_ends_neither_column_nor_row(text: str) -> None:
    cell = copy_cell(text)
    assert text_of(cell) == text
    assert not {"\t", "\n", "\r"} & {*cell}


@pytest.mark.parametrize("texts", [["Saw", "Axe"], ["Saw", "", "a\tb"], ["Saw", "a\\b"], []])
def test_many_cells_are_each_what_one_is(texts: list[str]) -> None:
    assert [*copy_cells(texts)] == [copy_cell(text) for text in texts]


def test_what_is_missing_is_an_empty_cell() -> None:
    assert copy_cell(None) == copy_cell("") == ""


def test_rows_without_some_and_in_halves() -> None:
    rows = Rows([2, 3, 5], {"a": ["x", "y", "z"]})
    assert rows.without({1}) == Rows([2, 5], {"a": ["x", "z"]})
    assert rows.without(set()) is rows
    assert rows.halves() == (Rows([2], {"a": ["x"]}), Rows([3, 5], {"a": ["y", "z"]}))
