"""A memo never holds more than its capacity, and forgets first what was not asked for longest."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.cache.lru_cache import LruCache, lru_cached_of_short

pytestmark = pytest.mark.unit


def test_what_was_asked_for_last_stays() -> None:
    memo: LruCache[str, int] = LruCache(2)
    memo.put("a", 1)
    memo.put("b", 2)
    assert memo.get("a") == 1
    memo.put("c", 3)

    assert [memo.get(key) for key in "abc"] == [1, None, 3]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12), st.booleans())))
def test_it_never_weighs_more_than_its_capacity(steps: list[tuple[int, int, bool]]) -> None:
    memo: LruCache[int, int] = LruCache(10)
    weights: dict[int, int] = {}
    for key, weight, is_put in steps:
        if is_put:
            memo.put(key, weight, weight)
            weights[key] = weight
            assert memo.get(key) == (weight if weight <= 10 else None)
        else:
            memo.forget(key)
            assert memo.get(key) is None
    held = [key for key in weights if memo.get(key) is not None]
    assert sum(weights[key] for key in held) <= 10
    assert len(memo) == len(held)


@pytest.mark.parametrize("size", [8, 9, 60_000])
def test_of_long_texts_nothing_is_remembered(size: int) -> None:
    asked: list[str] = []

    @partial(lru_cached_of_short, longest=8, number=2)
    def shout(text: str) -> str:
        asked.append(text)
        return text.upper()

    assert [shout("x" * size), shout("x" * size)] == ["X" * size] * 2
    assert len(asked) == (1 if size <= 8 else 2)
