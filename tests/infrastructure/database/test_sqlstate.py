"""What PostgreSQL's error codes mean to whoever sent a statement."""

import psycopg
import psycopg2
import pytest

from infrastructure.database.sqlstate import READ_ONLY, RETRIABLE, is_busy, is_no_answer

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("code", [None, "08006", "53100", "53300", "55P03", "57014", "57P01", "58030", "XX000"])
def test_the_server_cannot_now(code: str | None) -> None:
    assert is_busy(code)


@pytest.mark.parametrize("code", ["22003", "23503", "23505", "42P01", "55000", "P0001", READ_ONLY, *sorted(RETRIABLE)])
def test_another_time_would_be_no_better(code: str) -> None:
    assert not is_busy(code)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        MemoryError(),
        psycopg2.DataError("BC"),
        psycopg2.ProgrammingError("can't adapt"),
        psycopg.DataError("NUL"),
        psycopg.ProgrammingError("cannot adapt"),
        None,
    ],
)
def test_values_that_the_driver_cannot_take_are_no_answer(error: Exception | None) -> None:
    assert is_no_answer(error)


@pytest.mark.parametrize(
    "error",
    [
        psycopg2.OperationalError(),
        psycopg2.InterfaceError(),
        psycopg2.DatabaseError(),
        psycopg.OperationalError(),
        psycopg.errors.DeadlockDetected(),
    ],
)
def test_a_lost_connection_is_no_matter_of_values(error: Exception) -> None:
    assert not is_no_answer(error)
