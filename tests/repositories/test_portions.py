"""Rows on their way into a statement: in their order, and no more of them than the driver should make of at once."""

import json
from typing import Any

import pytest

from repositories.query.new_rows import in_places
from repositories.query.portions import ROWS_PER_STATEMENT, portions

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("count", "length"), [(1, 1), (49, 1), (50, 1), (4001, 10), (700, 1500), (60, 100_000)])
def test_all_rows_are_there_and_none_of_the_portions_is_large(count: int, length: int) -> None:
    rows: list[dict[str, Any]] = [{"name": f"{n}", "text": "\N{GRINNING FACE}" * (length // 4)} for n in range(count)]
    texts = list(portions(in_places(rows)))
    read = [row for text in texts for row in json.loads(text)]
    assert read == [{**row, "place": place} for place, row in enumerate(rows)]
    for text in texts:
        assert len(json.loads(text)) <= ROWS_PER_STATEMENT
        assert len(text.encode()) < 512 * 1024 + 50 * length


def test_of_no_rows_there_is_none() -> None:
    assert list(portions([])) == []
