"""The field types: what each takes, as what, and what it refuses."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas import enumerations, field_types, query_types, time_types

pytestmark = pytest.mark.unit

UTC = dt.UTC
TEN = dt.datetime(2026, 11, 16, 10, tzinfo=UTC)


def field(name: str) -> TypeAdapter[Any]:
    """The type of this name, wherever it is."""
    modules = (field_types, enumerations, time_types, query_types)
    return TypeAdapter(next(getattr(module, name) for module in modules if hasattr(module, name)))


TAKEN: list[tuple[str, Any, Any]] = [
    ("Name100", "  Ada ", "Ada"),
    ("Name100", "x" * 100 + " ", "x" * 100),
    ("Name100", "'; DROP TABLE clients; --", "'; DROP TABLE clients; --"),
    ("Text20", "", ""),
    ("Text20", "   ", ""),
    ("Email", "Ada.Lovelace+shop@Example.COM", "Ada.Lovelace+shop@Example.COM"),
    ("Email", " ada@example.com ", "ada@example.com"),
    ("Email", "ada@mail.test", "ada@mail.test"),
    ("Email", "ädä@exämple.org", "ädä@exämple.org"),
    ("Telephone", "+442071234567", "+442071234567"),
    ("Telephone", "1234567", "1234567"),
    ("Url", "https://example.com/a b?c=d#e", "https://example.com/a b?c=d#e"),
    ("Url", "HTTP://EXAMPLE.com", "HTTP://EXAMPLE.com"),
    ("Price", 10, Decimal("10.00")),
    ("Price", Decimal("0.01"), Decimal("0.01")),
    ("Price", Decimal("1.100"), Decimal("1.10")),
    ("Price", Decimal("1E+2"), Decimal("100.00")),
    ("Price", Decimal("9999999999.99"), Decimal("9999999999.99")),
    ("Amount", 0, Decimal("0.00")),
    ("Amount", Decimal("-0.0"), Decimal("0.00")),
    ("Amount", Decimal("-0E+2"), Decimal("0.00")),
    ("Rating", Decimal("-0.00"), Decimal("0.00")),
    ("Stock", Decimal("-0.0"), 0),
    ("Rating", 5, Decimal("5.00")),
    ("Rating", Decimal("4.5"), Decimal("4.50")),
    ("Reference", 10**30, 10**30),
    ("Reference", -1, -1),
    ("Reference", Decimal("7.0"), 7),
    ("Quantity", 1_000_000, 1_000_000),
    ("Quantity", Decimal("1E+3"), 1000),
    ("Stock", 0, 0),
    ("StockDelta", -5, -5),
    ("Flag", False, False),
    ("DeliveryMethod", 3, 3),
    ("DeliveryMethod", Decimal("3.0"), 3),
    ("OrderStatus", 4, 4),
    ("DeliveryMethod", "home_delivery", 3),
    ("OrderStatus", "Pending", 1),
    ("PaymentType", "cash", "cash"),
    ("PaymentType", "CASH", "cash"),
    ("BillKind", "Credit", "credit"),
    ("StockReasonByHand", "RECEIPT", "receipt"),
    ("Timestamp", "2026-11-16T10:00:00Z", TEN),
    ("Timestamp", "2026-11-16t10:00:00z", TEN),
    ("Timestamp", "2026-11-16T10:00:00", TEN),
    ("Timestamp", "2026-11-16 12:00:00.000+02:00", TEN),
    ("Date", "2026-11-16", dt.date(2026, 11, 16)),
    ("Moment", "2026-11-16", dt.datetime(2026, 11, 16, tzinfo=UTC)),
    ("Moment", "2026-11-16T10:00:00Z", TEN),
    ("QueryTo", "2026-11-16", dt.datetime(2026, 11, 16, 23, 59, 59, 999999, tzinfo=UTC)),
    ("QueryTo", "2026-11-16T10:00:00Z", TEN),
    ("QueryText", " lamp ", "lamp"),
    ("QueryKey", "-7", -7),
    ("QueryKey", "1" + "0" * 30, 10**30),
    ("QueryReferences", "7", (7,)),
    ("QueryReferences", ["3,1", "2", " 3 "], (1, 2, 3)),
    ("QueryReferences", ["-7", "1" + "0" * 30], (0,)),
    ("QueryKeys", ",".join(map(str, range(1000, 0, -1))), tuple(range(1, 1001))),
    ("QueryNumber", "9.99", Decimal("9.99")),
    ("QueryNumber", "-1e+22", Decimal("-1e22")),
    ("QueryNumber", "10.00", Decimal("1e1")),
    ("QueryNumber", "-0.0", Decimal("0")),
    ("QueryNumber", "0." + "1" * 100, Decimal("0." + "1" * 100)),
    ("QueryFlag", "true", True),
    ("QueryFlag", "True", True),
    ("QueryFlag", "FALSE", False),
    ("QueryDeliveryMethods", "2", (2,)),
    ("QueryDeliveryMethods", "home_delivery,1", (1, 3)),
    ("QueryOrderStatuses", ["4", "PENDING", "1"], (1, 4)),
    ("QueryPaymentTypes", "Card,cash", ("card", "cash")),
    ("QueryStockReasons", "SALE", ("sale",)),
    ("QueryCount", "0", 0),
]
REFUSED: list[tuple[str, Any]] = [
    ("Name100", ""),
    ("Name100", " \t\n\u2003"),
    ("Name100", "\u200b\u2800 \u3164"),
    ("BillNumber", "\ufeff"),
    ("Name100", "x" * 101),
    ("Name100", "a\x00b"),
    ("Name100", 7),
    ("Name100", None),
    ("Text20", "x" * 21),
    ("Email", "ada"),
    ("Email", "ada@"),
    ("Email", "@example.com"),
    ("Email", "ada@localhost"),
    ("Email", "a b@example.com"),
    ("Email", "ada@example..com"),
    ("Email", "ada@-example.com"),
    ("Email", "a@b.org\x00"),
    ("Email", "ada@" + "example." * 40 + "com"),
    ("Telephone", "123456"),
    ("Telephone", "0123456789"),
    ("Telephone", "+1234567x"),
    ("Telephone", "+1" + "2" * 20),
    ("Telephone", "+１２３４５６７８"),
    ("Url", "ftp://example.com/a"),
    ("Url", "javascript:alert(1)"),
    ("Url", "example.com"),
    ("Url", "https://"),
    ("Url", "https://example.com/" + "a" * 500),
    ("Price", 0),
    ("Price", Decimal("-0.01")),
    ("Price", Decimal("0.001")),
    ("Price", Decimal("10000000000")),
    ("Price", Decimal("1e400")),
    ("Price", Decimal("NaN")),
    ("Price", Decimal("Infinity")),
    ("Price", "1.00"),
    ("Price", True),
    ("Price", 1.5),
    ("Amount", Decimal("-0.01")),
    ("Rating", Decimal("5.01")),
    ("Rating", -1),
    ("Reference", "7"),
    ("Reference", True),
    ("Reference", Decimal("7.5")),
    ("Reference", Decimal("1e999999999")),
    ("Reference", None),
    ("Quantity", 0),
    ("Quantity", -1),
    ("Quantity", 10**12),
    ("Quantity", Decimal("0.5")),
    ("Stock", -1),
    ("Stock", 2**53),
    ("StockDelta", -(2**53)),
    ("Flag", 1),
    ("Flag", "true"),
    ("DeliveryMethod", 0),
    ("DeliveryMethod", True),
    ("DeliveryMethod", "1"),
    ("OrderStatus", 5),
    ("OrderStatus", "1"),
    ("OrderStatus", "SHIPPED"),
    ("OrderStatus", None),
    ("PaymentType", "crypto"),
    ("PaymentType", ""),
    ("StockReasonByHand", "sale"),
    ("Timestamp", "2026-11-16"),
    ("Timestamp", "2026-02-30T10:00:00Z"),
    ("Timestamp", "0001-01-01T00:00:00+14:00"),
    ("Timestamp", "2026-11-16T10:00:00 Z"),
    ("Timestamp", 1_700_000_000),
    ("Date", "2026-02-30"),
    ("Date", "2026-11-16T10:00:00Z"),
    ("Date", "20261116"),
    ("Moment", "today"),
    ("QueryText", "  "),
    ("QueryText", "a\x00"),
    ("QueryReferences", "1.0"),
    ("QueryReferences", "+1"),
    ("QueryReferences", "1_0"),
    ("QueryReferences", "１"),
    ("QueryKey", "9" * 101),
    ("QueryReferences", "1,,2"),
    ("QueryReferences", ["1"] * 1001),
    ("QueryNumber", "NaN"),
    ("QueryNumber", "1e9999"),
    ("QueryNumber", ".5"),
    ("QueryFlag", "1"),
    ("QueryFlag", "yes"),
    ("QueryDeliveryMethods", "4"),
    ("QueryDeliveryMethods", "1,4"),
]


@pytest.mark.parametrize(("name", "value", "expected"), TAKEN)
def test_takes(name: str, value: Any, expected: Any) -> None:
    taken = field(name).validate_python(value)
    assert taken == expected
    assert type(taken) is type(expected)
    if isinstance(expected, Decimal):
        assert str(taken) == str(expected)
    if isinstance(expected, dt.datetime):
        assert taken.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_refuses(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        field(name).validate_python(value)


WORDS = [
    ("Telephone", "12-34-567", "international, digits only, such as +442071234567"),
    ("Email", "ada", "such as ada@example.com"),
    ("Url", "lamp.jpg", "such as https://example.com/lamp.jpg"),
    ("Price", "9.99", "must be a number such as 9.99"),
    ("Price", Decimal("9.999"), "at most two decimals"),
    ("DeliveryMethod", 4, "must be one of 1 (DRIVE_THRU), 2 (ON_HAND), 3 (HOME_DELIVERY)"),
    ("PaymentType", "crypto", "must be one of cash, card"),
    ("StockReasonByHand", "sale", "must be one of receipt, edit"),
    ("Date", "16.11.2026", "must be a date such as 2026-11-16"),
    ("Timestamp", "2026-11-16", "must be a time such as 2026-11-16T10:00:00Z"),
    ("Moment", "16.11.2026", "must be a time such as 2026-11-16T10:00:00Z, or a date such as 2026-11-16"),
    ("QueryTo", "2026-02-30", "must be a time such as 2026-11-16T10:00:00Z, or a date such as 2026-11-16"),
    ("QueryFlag", "1", "must be true or false"),
    ("QueryReferences", "x", "must be an integer such as 7"),
    ("QueryReferences", ["1"] * 1001, "must be at most 1000 values"),
    ("QueryOrderStatuses", "9", "must be one of 1 (PENDING), 2 (IN_PROGRESS), 3 (DELIVERED), 4 (CANCELED)"),
]


@pytest.mark.parametrize(("name", "value", "words"), WORDS)
def test_says_in_words_what_is_wanted(name: str, value: Any, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        field(name).validate_python(value)
    (error,) = refused.value.errors()
    assert words in error["msg"]
    assert not error["msg"].startswith("Value error")


def test_no_query_number_is_larger_than_postgresql_takes() -> None:
    number = field("QueryNumber").validate_python("9" * 100 + "e999")
    assert number.adjusted() < 131_072


@given(st.from_regex(r"[aZ9._+@-]{1,8}@[aZ9.-]{1,6}(\.org)?", fullmatch=True))
@example("a" * 64 + "@example.org")
@example("a" * 65 + "@example.org")
@example("ada@example.org@example.org")
def test_plain_addresses_are_judged_as_all_others(text: str) -> None:
    assert _is_email(field_types._email, text) is _is_email(field_types._checked_email, text)


def _is_email(check: Callable[[str], str], text: str) -> bool:
    try:
        return check(text) == text
    except ValueError:
        return False
