"""What was built for some arguments is not built again, and all that builds shares one bound."""

import pytest

from repositories.query import statement_cache
from repositories.query.statement_cache import memoized

pytestmark = pytest.mark.unit


def test_functions_share_a_cache_and_its_bound() -> None:
    @memoized
    def power(base: int, exponent: int) -> int:
        return int(base**exponent)

    larger = memoized(max)
    assert [power(base, 2) for base in range(1000)] == [base**2 for base in range(1000)]
    assert power(2, exponent=3) == 8
    assert larger(2, 3) == 3
    assert len(statement_cache._statements) == 256


def test_what_is_made_is_made_once_even_if_it_is_nothing() -> None:
    asked: list[int] = []
    ask = memoized(asked.append)
    for _ in range(3):
        assert ask(7) is None
    assert asked == [7]
