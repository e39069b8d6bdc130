"""JSON on the wire: exact numbers both ways, and a plain refusal of everything that is not strict JSON."""

import datetime as dt
import json
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.json_codec import MalformedJson, from_json, json_body, to_json

pytestmark = pytest.mark.unit

MONEY = st.decimals(min_value=-(10**12), max_value=10**12, places=2)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT | MONEY,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(MONEY)
@settings(deadline=None)
def test_money_keeps_every_digit_both_ways(amount: Decimal) -> None:
    written = to_json({"price": amount})
    assert written == f'{{"price":{amount:.2f}}}'.encode()
    read = from_json(written)["price"]
    assert isinstance(read, Decimal)
    assert str(read) == str(amount)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
@settings(deadline=None)
def test_a_decimal_is_written_without_an_exponent(number: Decimal) -> None:
    written = to_json(number)
    assert b"E" not in written.upper()
    assert from_json(written) == number


@given(VALUES)
@settings(deadline=None)
def test_what_was_written_is_read_again(value: Any) -> None:
    assert from_json(to_json(value)) == value


@given(st.binary(max_size=40) | st.text(st.sampled_from('{}[]",:0123456789.eE+-nulltruefas\\ud8')).map(str.encode))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """And what is read is what the standard library makes of it: only `MalformedJson` may be raised."""
    try:
        value = from_json(body)
    except MalformedJson:
        return
    json.dumps(value, default=float, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": 1,}',
        b"{'a': 1}",
        b'{"a": 1} {"b": 2}',
        b"NaN",
        b"[Infinity]",
        b'{"a": -Infinity}',
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"0x10",
        b'"\x01"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        rb'"\ud800"',
        rb'{"\udc00": 1}',
        rb'["\ud83d", "\ude00"]',
        b"\xef\xbb\xbf{}",
        b"[" * 20_000 + b"]" * 20_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        b"9" * 5_000,
        b"1e99999999999999999999",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_everything_else_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        from_json(body)


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(MalformedJson) as refusal:
        from_json(b'{"password": "hunter2" oops}')
    assert "hunter2" not in str(refusal.value)
    assert "oops" not in str(refusal.value)


def test_a_pair_of_surrogates_is_one_sign() -> None:
    assert from_json(rb'"\ud83d\ude00"') == "\N{GRINNING FACE}"


def test_of_duplicate_keys_the_last_wins() -> None:
    assert from_json(b'{"a": 1, "a": 2}') == {"a": 2}


def test_integers_stay_integers_and_fractions_stay_exact() -> None:
    read = from_json(b"[1, 1.0, 1e2, 0.1, 12345678901234567890123]")
    assert [type(number) for number in read] == [int, Decimal, Decimal, Decimal, int]
    assert read == [1, Decimal("1.0"), Decimal(100), Decimal("0.1"), 12345678901234567890123]


def test_times_are_written_in_utc_with_a_z() -> None:
    moment = dt.datetime(2026, 11, 16, 10, 0, 0, 123456, tzinfo=dt.UTC)
    assert to_json([moment, moment.date()]) == b'["2026-11-16T10:00:00.123456Z","2026-11-16"]'


def test_what_has_no_json_form_is_an_error_of_the_program() -> None:
    with pytest.raises(TypeError):
        to_json({"a": object()})


@pytest.mark.parametrize("write", [to_json, json_body])
@pytest.mark.parametrize("length", [10, 1500, 20_000])
def test_what_is_written_holds_no_more_memory_than_it_has_bytes(write: Any, length: int) -> None:
    value = {"text": "x" * length}
    tracemalloc.start()
    try:
        written = [write(value) for _ in range(50)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < sum(map(len, written)) + 50 * 100 + 1000
