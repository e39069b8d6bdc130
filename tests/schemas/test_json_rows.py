"""The rows of a bulk request: the same as of the whole array, whatever is cut off where, and none that is too large."""

import json
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import json_rows
from schemas.json_codec import MAX_VALUES, MalformedJson, TooManyValues, count_values, from_json, parse_value
from schemas.json_rows import MAX_ROW, MAX_ROW_VALUES, JsonRows, NotAnArray

pytestmark = pytest.mark.unit

# Neither is a multiple of the other: pieces end within chunks, and with them.
CHUNK = 20_000

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
BROKEN = st.text(st.sampled_from('{}[]",:0123456789.eE+- \n\\u\U0001f600tnull'), max_size=40).map(str.encode)


@pytest.fixture(autouse=True, params=[3, 40, 16 * 1024])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so short that every row is cut off somewhere, or that some are, and pieces as they are."""
    monkeypatch.setattr(json_rows, "_PIECE", request.param)


def rows_in(body: bytes) -> JsonRows:
    """The rows of a body that came in chunks, some at a time."""
    return JsonRows(deque(body[start : start + CHUNK] for start in range(0, len(body), CHUNK)))


def rows_of(body: bytes) -> Iterator[Any]:
    """The rows of a body that came in chunks, one after the other."""
    return chain.from_iterable(rows_in(body))


def read(body: bytes) -> list[Any] | str:
    """The rows, or the class of what they are refused by."""
    try:
        return list(rows_of(body))
    except (MalformedJson, NotAnArray) as error:
        return "NotAnArray" if isinstance(error, NotAnArray) else "MalformedJson"


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 2]), st.booleans())
def test_they_are_those_of_the_whole_array(rows: list[Any], indent: int | None, escaped: bool) -> None:
    body = json.dumps(rows, indent=indent, ensure_ascii=escaped).encode()
    assert read(body) == from_json(body)


@given(BROKEN)
def test_what_is_no_json_is_refused_as_the_whole_would_be(inside: bytes) -> None:
    body = b"[" + inside
    try:
        expected: Any = from_json(body)
    except MalformedJson:
        expected = "MalformedJson"
    assert read(body) == expected


@pytest.mark.parametrize("body", [b"{}", b'"[1]"', b"1", b"", b" ", b"null", b"]"])
def test_what_is_no_array_is_said_so(body: bytes) -> None:
    assert read(body) == "NotAnArray"


@pytest.mark.parametrize(
    "body", [b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1] 2", b"[1 2]", b"[1.]", b"[1e]", b'["\xff"]']
)
def test_what_has_no_right_end_is_refused(body: bytes) -> None:
    assert read(body) == "MalformedJson"


def test_the_place_of_an_error_is_that_in_the_whole_body() -> None:
    body = '[{"a": "\N{GRINNING FACE}"}, {"a" 1}]'
    with pytest.raises(MalformedJson, match=f"at position {body.index('1')}$"):
        list(rows_of(body.encode()))


def test_what_comes_behind_is_not_looked_at() -> None:
    rows = rows_of(b'[1, {"a": 2}, no JSON')
    assert [next(rows), next(rows)] == [1, {"a": 2}]


class TestTooMuch:
    @pytest.fixture(autouse=True)
    def pieces(self) -> None:
        """Pieces as they are."""

    def test_a_row_that_fills_its_room_is_read(self) -> None:
        text = "x" * (MAX_ROW - 2)
        assert list(rows_of(f'["{text}"]'.encode())) == [text]
        values = [1] * (MAX_ROW_VALUES - 1)
        assert list(rows_of(json.dumps([values, values]).encode())) == [values, values]

    @pytest.mark.parametrize(
        "row", ['"' + "x" * 2 * MAX_ROW + '"', " " * 2 * MAX_ROW + "1", '{"a": 1,' + " " * 2 * MAX_ROW]
    )
    def test_a_longer_one_is_not(self, row: str) -> None:
        with pytest.raises(MalformedJson, match=str(MAX_ROW)):
            list(rows_of(f"[{row}]".encode()))

    @pytest.mark.parametrize("value", ["1.5", "{}", "[]", '"ab"', "[[]]"])
    def test_one_of_more_values_is_not_and_is_not_read_to_its_end(self, value: str) -> None:
        row = '{"a": 1, "b": [' + ",".join([value] * 200_000)
        rows = rows_in(f"[{row}".encode())
        with pytest.raises(TooManyValues, match="values") as refusal:
            list(rows)
        assert refusal.value.first == {"a": 1}
        assert sum(map(len, rows._chunks)) > len(row) // 2

    def test_many_small_rows_behind_a_long_one_do_not_count_with_it(self) -> None:
        long, small = {"a": "x" * (MAX_ROW // 3)}, {"a": 1}
        assert len(list(rows_of(json.dumps([long, *[small] * 100_000]).encode()))) == 100_001

    def test_nor_does_whatever_stands_between_rows_go_on_for_ever(self) -> None:
        for body in (b"[1" + b" " * 2 * MAX_ROW + b"]", b" " * 2 * MAX_ROW + b"[1]"):
            with pytest.raises(MalformedJson, match="spaces"):
                list(rows_of(body))


@given(VALUES)
def test_the_values_of_a_text_are_never_more_than_are_counted(value: Any) -> None:
    def size(of: Any) -> int:
        inside = of.values() if isinstance(of, dict) else of if isinstance(of, list) else ()
        return 1 + sum(map(size, inside))

    assert size(value) <= count_values(json.dumps(value)) + 1


class TestAsMuchAsIsReadInOneGo:
    def test_is_read(self) -> None:
        body = json.dumps([1] * (MAX_VALUES - 1)).encode()
        assert len(from_json(body)) == MAX_VALUES - 1

    def test_and_no_more_of_an_array(self) -> None:
        with pytest.raises(TooManyValues) as refusal:
            from_json(json.dumps([1] * (MAX_VALUES + 1)).encode())
        assert refusal.value.first == {}

    def test_but_the_first_members_of_an_object(self) -> None:
        fields = {f"field {n}": {"n": [n, "\N{GRINNING FACE}"]} for n in range(MAX_VALUES)}
        with pytest.raises(TooManyValues) as refusal:
            from_json(json.dumps(fields).encode())
        first = refusal.value.first
        assert len(first) == 1000
        assert first.items() <= fields.items()

    def test_of_which_one_may_be_the_one_that_is_too_large(self) -> None:
        with pytest.raises(TooManyValues) as refusal:
            from_json(json.dumps({"a": "b", "c": [1] * MAX_VALUES, "d": 1}).encode())
        assert refusal.value.first == {"a": "b"}


@given(
    st.lists(
        st.sampled_from(['{"a":"},{"}', '{"a":{"b":1},"c":2}', '[{"a":1},{"a":2}]', "{}", "1", '"},"', "\n{}"]),
        min_size=1,
    )
)
def test_what_looks_like_the_end_of_a_row_is_not_taken_for_it(rows: list[str]) -> None:
    body = f"[{','.join(rows)}]".encode()
    assert read(body) == from_json(body)


def test_rows_are_read_together_and_none_of_them_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return parse_value(*arguments)

    monkeypatch.setattr(json_rows, "parse_value", counted)
    rows = [{"name": f"Shelf {n}"} for n in range(2000)]
    assert list(rows_of(json.dumps(rows, separators=(",", ":")).encode())) == rows
    together, calls = calls, 0
    rows = [{"name": "},"}] * 2000
    assert list(rows_of(json.dumps(rows, separators=(",", ":")).encode())) == rows
    if json_rows._PIECE > 1000:
        assert together < 100
    assert calls < 2 * len(rows) + 2000
