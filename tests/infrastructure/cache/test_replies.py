"""What Redis answers is held against what was asked."""

from collections.abc import Callable
from typing import Any

import pytest

from infrastructure.cache.gateway import RedisUnavailable
from infrastructure.cache.replies import integers, values

pytestmark = pytest.mark.unit


def test_what_fits_is_returned() -> None:
    assert integers([1, -2], 2) == [1, -2]
    assert values([b"a", None], 2) == [b"a", None]


@pytest.mark.parametrize("check", [integers, values])
@pytest.mark.parametrize(
    "answer", [None, 1, b"OK", "OK", {}, [], [1], [b"a"], [1, b"a"], [1.5, 2], [True, 1], [[1], [2]]]
)
def test_anything_else_is_no_answer(check: Callable[[Any, int], Any], answer: Any) -> None:
    with pytest.raises(RedisUnavailable):
        check(answer, 2)
