"""The field types that schemas share. Each takes JSON values only of its own kind: a number is not a text."""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

from annotated_types import GroupedMetadata
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from config.moments import FarMoment

MAX_MONEY = Decimal("9999999999.99")
MAX_QUANTITY = 1_000_000
# What JSON readers that use binary floats can still tell apart.
MAX_STOCK = 2**53 - 1
# Of so many digits at most: 1e999999999 would fill the memory, and 1e3999 takes 3 ms each.
_LONGEST_INTEGER = 400

_CENT = Decimal("0.01")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII)
# Nothing before the @ that has a rule of its own; the other part is the domain.
_PLAIN_EMAIL = re.compile(r"(?=[^@]{1,64}@)[A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*@([A-Za-z0-9.-]+)", re.ASCII)
_URL = TypeAdapter(AnyHttpUrl)

# Addresses below .test or .local cannot be reached from everywhere, but they are well-formed, and people have them.
SPECIAL_USE_DOMAIN_NAMES.clear()


# -- Text ------------------------------------------------------------------------------------------


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain NUL")
    return text


def _email(text: str) -> str:
    # Most addresses are plain, and end in one of few domains.
    plain = _PLAIN_EMAIL.fullmatch(text)
    return text if plain is not None and _is_domain(plain[1]) else _checked_email(text)


@lru_cache(maxsize=1000)
def _is_domain(text: str) -> bool:
    try:
        _checked_email(f"a@{text}")
    except ValueError:
        return False
    return True


def _checked_email(text: str) -> str:
    try:
        checked = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise ValueError("must be a valid e-mail address") from None
    if "." not in (checked.ascii_domain or ""):
        raise ValueError("must be a valid e-mail address")
    return text


def _url(text: str) -> str:
    # Checked, but kept as it was written: a parser would change it.
    try:
        _URL.validate_python(text)
    except ValueError:
        raise ValueError("must be an http or https URL") from None
    return text


def _text_schema(shortest: int, longest: int, **more: str) -> WithJsonSchema:
    # Lengths count after trimming, which JSON Schema cannot say; "not blank" it can (U+0085 is a space in Unicode,
    # but not in its patterns).
    not_blank = {"minLength": shortest, "pattern": r"[^\s\u0085]"} if shortest else {}
    return WithJsonSchema({"type": "string", **not_blank, "maxLength": longest, **more})


@dataclass(frozen=True)
class Trimmed(GroupedMetadata):
    """Text that is trimmed, has `shortest` to `longest` characters, and holds no NUL."""

    longest: int
    shortest: int = 0

    def __iter__(self) -> Iterator[object]:
        yield StringConstraints(strict=True, strip_whitespace=True, min_length=self.shortest, max_length=self.longest)
        yield AfterValidator(_without_nul)
        yield _text_schema(self.shortest, self.longest)


Text20 = Annotated[str, Trimmed(20)]
Text64 = Annotated[str, Trimmed(64)]
Text2000 = Annotated[str, Trimmed(2000)]
Text5000 = Annotated[str, Trimmed(5000)]
BillNumber = Annotated[
    str,
    Trimmed(50, shortest=1),
    Field(description="Left out, the server gives the next; BILL-2026-000001 and its like are the server's alone"),
]
Name100 = Annotated[str, Trimmed(100, shortest=1)]
Name200 = Annotated[str, Trimmed(200, shortest=1)]
Email = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=3, max_length=254),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "minLength": 3, "maxLength": 254}),
]
Telephone = Annotated[
    str, StringConstraints(strict=True, strip_whitespace=True, pattern=r"^\+?[1-9][0-9]{6,19}$", max_length=21)
]
Url = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(_without_nul),
    AfterValidator(_url),
    WithJsonSchema(
        {"type": "string", "format": "uri", "minLength": 1, "maxLength": 500, "description": "An http or https URL"}
    ),
]


# -- Numbers ---------------------------------------------------------------------------------------


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("must be a number")
    return Decimal(value)


def _cents(value: Decimal) -> Decimal:
    # It is finite and not too large to be rounded: the bounds were checked.
    cents = value.quantize(_CENT)
    if cents != value:
        raise ValueError("must have at most two decimals")
    return cents


def _money_schema(**bounds: float) -> WithJsonSchema:
    return WithJsonSchema({"type": "number", "multipleOf": 0.01, "maximum": float(MAX_MONEY), **bounds})


Price = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(gt=0, le=MAX_MONEY),
    AfterValidator(_cents),
    _money_schema(exclusiveMinimum=0),
]
Amount = Annotated[
    Decimal, BeforeValidator(_number), Field(ge=0, le=MAX_MONEY), AfterValidator(_cents), _money_schema(minimum=0)
]
Rating = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(ge=0, le=5),
    AfterValidator(_cents),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 5, "multipleOf": 0.01}),
]


def _whole(value: Any) -> Any:
    # For JSON, as for JavaScript, 2.0 and 2 are one and the same integer.
    if isinstance(value, Decimal) and value.adjusted() < _LONGEST_INTEGER and value == value.to_integral_value():
        return int(value)
    return value


def _plain_integer(value: Any) -> Any:
    if type(_whole(value)) is not int:
        raise ValueError("must be an integer")
    return _whole(value)


Reference = Annotated[int, Field(strict=True), BeforeValidator(_whole)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=MAX_QUANTITY), BeforeValidator(_whole)]
Stock = Annotated[int, Field(strict=True, ge=0, le=MAX_STOCK), BeforeValidator(_whole)]
StockDelta = Annotated[int, Field(strict=True, ge=-MAX_STOCK, le=MAX_STOCK), BeforeValidator(_whole)]
Flag = Annotated[bool, Field(strict=True)]


DeliveryMethod = Annotated[Literal[1, 2, 3], BeforeValidator(_plain_integer)]
OrderStatus = Annotated[Literal[1, 2, 3, 4], BeforeValidator(_plain_integer)]
PaymentType = Literal["cash", "card"]


# -- What answers hold: never validated, only documented -------------------------------------------

Key = Annotated[int, WithJsonSchema({"type": "integer", "format": "int64", "minimum": 1})]
Money = Annotated[Decimal, WithJsonSchema({"type": "number", "minimum": 0, "maximum": float(MAX_MONEY)})]


# -- Times -----------------------------------------------------------------------------------------


def _rfc3339(value: Any) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise ValueError("must be a time such as 2026-11-16T10:00:00Z")
    try:
        moment = dt.datetime.fromisoformat(value.upper())
        # A time without offset is UTC; the year must survive the way there.
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-11-16T10:00:00Z") from None


def _iso_date(value: Any) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueError("must be a date such as 2026-11-16")
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a date such as 2026-11-16") from None


def _far_or(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    far = FarMoment.shown(value) if isinstance(value, str) else None
    return handler(value) if far is None else far


# What a row may show although no client can set it: it is accepted in the body of a change, where it can be no change.
OR_FAR = WrapValidator(_far_or)

Timestamp = Annotated[dt.datetime, BeforeValidator(_rfc3339), WithJsonSchema({"type": "string", "format": "date-time"})]
Date = Annotated[dt.date, BeforeValidator(_iso_date), WithJsonSchema({"type": "string", "format": "date"})]


# -- Values of a query, which are always text ------------------------------------------------------


def _query_integer(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,100}", value):
            raise ValueError("must be an integer")
        return int(value)
    return value


def _query_number(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,100}(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,3})?", value, re.ASCII):
            raise ValueError("must be a number such as 9.99")
        return Decimal(value)
    return value


def _query_flag(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError("must be true or false")
        return value == "true"
    return value


def _query_word(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def start_of(value: Any) -> dt.datetime:
    """The first moment that a date or time names, in UTC."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        return dt.datetime.combine(_iso_date(value), dt.time.min, dt.UTC)
    return _rfc3339(value)


def end_of(value: Any) -> dt.datetime:
    """The last moment (to the microsecond) that a date or time names, in UTC."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        return dt.datetime.combine(_iso_date(value), dt.time.max, dt.UTC)
    return _rfc3339(value)


_TIME_OR_DATE = WithJsonSchema({"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]})
_INTEGER = WithJsonSchema({"type": "integer"})

Moment = Annotated[dt.datetime, BeforeValidator(start_of), _TIME_OR_DATE]
QueryText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=320),
    AfterValidator(_without_nul),
    _text_schema(1, 320, description="Only rows with this text, whatever its case"),
]
QueryReference = Annotated[int, BeforeValidator(_query_integer), _INTEGER]
QueryNumber = Annotated[Decimal, BeforeValidator(_query_number), WithJsonSchema({"type": "number"})]
QueryFlag = Annotated[bool, BeforeValidator(_query_flag), WithJsonSchema({"type": "boolean"})]
QueryPaymentType = Annotated[PaymentType, BeforeValidator(_query_word)]
QueryFrom = Moment
QueryTo = Annotated[dt.datetime, BeforeValidator(end_of), _TIME_OR_DATE]
QueryDeliveryMethod = Annotated[Literal[1, 2, 3], BeforeValidator(_query_integer)]
QueryOrderStatus = Annotated[Literal[1, 2, 3, 4], BeforeValidator(_query_integer)]
QueryCount = Annotated[int, BeforeValidator(_query_integer)]
