"""Dates and times that Python has no value for, as the driver reads them and as answers write them."""

import datetime as dt
from typing import Any

import pytest

from infrastructure.database.datetimes import FarDatetime, read_datetimes
from tests.race.databases import connected

FAR = [
    ("timestamptz '10000-01-01'", "+010000-01-01T00:00:00Z"),
    ("timestamptz '294276-12-31 23:59:59.999999Z'", "+294276-12-31T23:59:59.999999Z"),
    ("timestamptz '10000-01-01 00:00:00.5Z'", "+010000-01-01T00:00:00.500000Z"),
    ("timestamptz '0001-12-31 10:00:00Z BC'", "+000000-12-31T10:00:00Z"),
    ("timestamptz '4714-11-24 00:00:00Z BC'", "-004713-11-24T00:00:00Z"),
    ("timestamptz 'infinity'", "infinity"),
    ("timestamptz '-infinity'", "-infinity"),
    ("date '10000-01-01'", "+010000-01-01"),
    ("date '5874897-12-31'", "+5874897-12-31"),
    ("date '0044-03-15 BC'", "-000043-03-15"),
    ("date 'infinity'", "infinity"),
    ("date '-infinity'", "-infinity"),
]
NEAR = [
    ("timestamptz '9999-12-31 23:59:59.999999Z'", dt.datetime.max.replace(tzinfo=dt.UTC)),
    ("timestamptz '0001-01-01Z'", dt.datetime.min.replace(tzinfo=dt.UTC)),
    ("timestamptz '2026-11-28 10:00:00.5+02'", dt.datetime(2026, 11, 28, 8, 0, 0, 500_000, dt.UTC)),
    ("date '9999-12-31'", dt.date.max),
    ("date '0001-01-01'", dt.date.min),
    ("null::timestamptz", None),
    ("null::date", None),
]


def read(database_url: str, expression: str) -> Any:
    with connected(database_url) as connection, connection.cursor() as cursor:
        read_datetimes(connection)
        cursor.execute("SET TIME ZONE 'UTC'")
        cursor.execute(f"SELECT {expression}")
        return cursor.fetchone()[0]


@pytest.mark.integration
@pytest.mark.parametrize(("expression", "text"), FAR)
def test_what_python_has_no_value_for_is_a_text(database_url: str, expression: str, text: str) -> None:
    found = read(database_url, expression)
    assert isinstance(found, FarDatetime)
    assert found == text
    assert FarDatetime.shown(text) == found


@pytest.mark.integration
@pytest.mark.parametrize(("expression", "value"), NEAR)
def test_everything_else_is_what_it_was(database_url: str, expression: str, value: object) -> None:
    assert read(database_url, expression) == value


@pytest.mark.unit
@pytest.mark.parametrize(
    "text", ["", "2026-11-28", "2026-11-28T10:00:00Z", "10000-01-01", "+10000-01-01", "Infinity", "+infinity", "x" * 99]
)
def test_other_texts_are_none_of_them(text: str) -> None:
    assert FarDatetime.shown(text) is None
