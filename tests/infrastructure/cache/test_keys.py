"""Keys are built from typed values: no text can stand for another part of a key (I14)."""

from decimal import Decimal
from enum import Enum, IntEnum
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.cache.keys import build_key

pytestmark = pytest.mark.unit


class Color(Enum):
    RED = "red"


class Status(IntEnum):
    PENDING = 1


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (build_key("products", "id", 7), "products:id:7"),
        (build_key("products", "list", skip=0, limit=20), "products:list:skip:0:limit:20"),
        (build_key("products", "list", active=True, after=None), "products:list:active:true:after:none"),
        (build_key("products", "list", min_price=Decimal("9.90")), "products:list:min_price:9.90"),
        (build_key("orders", "list", status=Status.PENDING), "orders:list:status:1"),
        (build_key("things", color=Color.RED), "things:color:'red'"),
        (build_key("orders", "list", status_in=(1, 2)), "orders:list:status_in:('1%2C2')"),
        (build_key("products", q="red shoes"), "products:q:'red%20shoes'"),
    ],
)
def test_keys_read_as_they_are_documented(key: str, text: str) -> None:
    assert key == text


@pytest.mark.parametrize("text", ["a:b", "*", "a\nb", "a b", "?", "[x]", "\\", "'", "\0", "\ud800", "é", "x" * 500, ""])
def test_no_text_leaves_a_separator_or_a_wildcard(text: str) -> None:
    for key in (build_key("things", text), build_key("things", name=text)):
        value = key.split(":", 1)[1].removeprefix("name:")
        assert not set(value) & set(":*?[]\\\n\r\0 ")
        assert len(key) < 100


def test_a_text_is_not_the_value_it_looks_like() -> None:
    looks = [7, "7", True, "true", None, "null", Decimal("7.0"), "7.0", "skip:0", "x" * 64, "x" * 65]

    for one, other in combinations(looks, 2):
        assert build_key("things", value=one) != build_key("things", value=other)


def test_only_plain_values_make_a_key() -> None:
    with pytest.raises(TypeError):
        build_key("things", [1, 2])


values: Any = st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=100))


@given(st.tuples(values, values), st.tuples(values, values))
def test_different_values_make_different_keys(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    same = [type(value) for value in one] == [type(value) for value in other] and one == other

    assert (build_key("list", a=one[0], b=one[1]) == build_key("list", a=other[0], b=other[1])) == same


def test_several_values_are_neither_one_text_nor_others_and_never_long() -> None:
    values = [(1, 2), (12,), (1, 22), ("1", "2"), ("1,2",), "1,2", "(1,2)", tuple(range(1000)), tuple(range(1, 1001))]
    keys = {build_key("things", a=value) for value in values}
    assert len(keys) == len(values)
    assert max(map(len, keys)) < 100
