"""Every column that can hold a text is classified: nobody adds one without saying whether it is about a person."""

from collections import Counter

import pytest
from sqlalchemy import JSON, LargeBinary, String, Table
from sqlalchemy.dialects.postgresql import ARRAY

from models import Base
from models.personal_data import PERSONAL_DATA, ROWS_OF_A_CLIENT, Holds, columns_that_hold

pytestmark = pytest.mark.unit

# Those of the library that the queue belongs to are only referred to.
TABLES = [table for table in Base.metadata.sorted_tables if not table.name.startswith("procrastinate_")]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_text_is_classified_once(table: Table) -> None:
    """Add the new column to `models.personal_data`: what it holds decides what an export shows and an erasure removes."""
    texts = [column.name for column in table.c if isinstance(column.type, (String, JSON, LargeBinary, ARRAY))]
    assert Counter(columns_that_hold(table.name, *Holds)) == Counter(texts)


def test_no_table_is_classified_that_is_no_more() -> None:
    assert set(PERSONAL_DATA) | set(ROWS_OF_A_CLIENT) <= {table.name for table in TABLES}


@pytest.mark.parametrize("table", PERSONAL_DATA)
def test_what_is_about_a_person_is_found_by_the_client(table: str) -> None:
    """What expires by itself, such as kept replies, need not be."""
    if columns_that_hold(table, Holds.PERSON, Holds.DOCUMENT, Holds.COPIES):
        assert table in ROWS_OF_A_CLIENT
