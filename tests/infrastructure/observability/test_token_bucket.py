"""So many lines at once, so many more as time goes by, and the rest counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.observability.token_bucket import TokenBucket

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_what_time_brings() -> None:
    clock = Clock()
    allowance = TokenBucket(3, 0.5, clock)
    assert [allowance.take() for _ in range(5)] == [True, True, True, False, False]
    assert allowance.take_refused() == 2
    clock.now = 2.0
    assert [allowance.take() for _ in range(2)] == [True, False]
    assert allowance.take_refused() == 1
    assert allowance.take_refused() == 0


@given(st.lists(st.floats(0, 100), max_size=200))
def test_never_more_than_the_burst_and_what_time_brought(pauses: list[float]) -> None:
    clock = Clock()
    allowance = TokenBucket(5, 0.25, clock)
    taken = 0
    for pause in pauses:
        clock.now += pause
        taken += allowance.take()
    assert taken <= 5 + clock.now * 0.25 + 1e-6
    assert taken + allowance.refused == len(pauses)
