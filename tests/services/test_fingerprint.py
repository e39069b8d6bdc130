"""The fingerprint of a request under an Idempotency-Key: the same for the same request, whatever its numbers."""

import json
from decimal import MAX_EMAX, MIN_ETINY, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.json_codec import MalformedJson, from_json
from services.errors import InvalidField
from services.fingerprint import RowsFingerprint, fingerprint

pytestmark = pytest.mark.unit

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(body=st.dictionaries(st.text(max_size=4), plain, max_size=4))
def test_the_order_of_members_does_not_matter(body: dict[str, Any]) -> None:
    turned = dict(reversed(body.items()))
    assert fingerprint("POST", "/things", turned) == fingerprint("POST", "/things", body)


@given(one=plain, other=plain)
def test_other_bodies_have_other_fingerprints(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (fingerprint("POST", "/things", one) == fingerprint("POST", "/things", other)) == same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Decimal("5.00"), Decimal(5), True),
        (Decimal("5.0"), 5, True),
        (Decimal("5.10"), Decimal("5.1"), True),
        (Decimal("5.1"), Decimal("5.01"), False),
        (5, "5", False),
        (1, True, False),
        (Decimal("1e999999"), Decimal("1e999998"), False),
        (Decimal("1e9999999999"), Decimal("10e9999999998"), True),
        (Decimal("1e9999999999"), Decimal("1e9999999998"), False),
        (Decimal("1e-9999999999"), Decimal("0"), False),
        (Decimal("0e9999999999"), Decimal("0"), True),
        (Decimal("-0.0"), 0, True),
        (Decimal("0." + "1" * 40), Decimal("0." + "1" * 41), False),
    ],
)
def test_numbers_are_compared_by_their_value(one: Any, other: Any, same: bool) -> None:
    assert (fingerprint("POST", "/", {"n": one}) == fingerprint("POST", "/", {"n": other})) is same


def test_method_and_path_are_part_of_it() -> None:
    prints = {fingerprint(method, path, None) for method in ("POST", "PUT") for path in ("/a", "/b")}
    assert len(prints) == 4


def test_a_body_too_deep_to_be_written_down_is_refused() -> None:
    body: Any = []
    for _ in range(100_000):
        body = [body]
    with pytest.raises(InvalidField, match="too deep"):
        fingerprint("POST", "/", body)


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,19})?", fullmatch=True))
def test_every_number_that_json_can_hold_has_one(number: str) -> None:
    try:
        value = from_json(number.encode())
    except MalformedJson:
        return
    assert len(fingerprint("POST", "/", [value])) == 32


@pytest.mark.parametrize("exponent", [MAX_EMAX, MIN_ETINY, 10**9, -(10**9), 10**6, -(10**6)])
def test_numbers_at_the_edges_have_one_too(exponent: int) -> None:
    numbers = [Decimal(f"{digits}E{exponent}") for digits in ("1", "-1", "2", "0")]
    assert len({fingerprint("POST", "/", number) for number in numbers}) == len(numbers)


@given(st.lists(st.lists(values, min_size=1, max_size=3), max_size=4))
def test_piece_by_piece_it_is_the_same_as_of_the_whole(pieces: list[list[Any]]) -> None:
    reading = RowsFingerprint("POST", "/things/bulk")
    for rows in pieces:
        reading.add(rows)
    rows = [row for rows in pieces for row in rows]
    assert reading.digest() == fingerprint("POST", "/things/bulk", rows)
