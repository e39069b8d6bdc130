"""Field types of queries, whose values are always text. Tuple types take several values."""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Context, Decimal
from enum import Enum
from itertools import islice
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema

from config.countries import COUNTRIES, COUNTRY_EXAMPLE
from models.bill import BillKind, PaymentType
from models.client import Channel
from models.job import JobStatus
from models.notification import NotificationKind, NotificationStatus
from models.order import DeliveryMethod, OrderStatus
from models.payment import PaymentMethod
from models.stock_movement import StockReason
from models.webhook import DeliveryStatus
from schemas.enumerations import member_parser, request_schema_of
from schemas.field_types import as_country, refusal, without_nul
from schemas.json_schema import MAX_KEY, text_schema
from schemas.time_types import end_of, moment_schema, start_of
from security.scopes import Role

# The number of values that one filter takes.
MAX_VALUES = 1000
# The key of no row: the value of a filter that has impossible keys only.
_NO_KEY = 0

_INTEGER = re.compile(r"-?[0-9]{1,100}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_FLAGS = {"true": True, "false": False}
_KEY_SCHEMA = {"type": "integer", "format": "int64"}
# More digits than the pattern allows: nothing is rounded.
_ALL_DIGITS = Context(prec=200)


def _integer(value: Any) -> Any:
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise refusal("must be an integer such as 7")
        return int(value)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            raise refusal("must be a number such as 9.99")
        # All spellings of a number (5, 5.00 and 5e0; 0 and -0.0) share one cache key.
        return _ALL_DIGITS.normalize(Decimal(value)) or Decimal(0)
    return value


def _flag(value: Any) -> Any:
    if isinstance(value, str):
        if value.lower() not in _FLAGS:
            raise refusal("must be true or false")
        return _FLAGS[value.lower()]
    return value


# -- Several values: the parameter is repeated, or they are separated by commas --------------------


def _split(value: Any) -> Iterator[str]:
    for text in value if isinstance(value, list | tuple) else (value,):
        yield from (part.strip() for part in text.split(","))


def _parse_all(value: Any, parse: Callable[[Any], Any]) -> tuple[Any, ...]:
    """The values, each once and sorted, so that equal filters share one cache key."""
    texts = list(islice(_split(value), MAX_VALUES + 1))
    if len(texts) > MAX_VALUES:
        raise refusal(f"must be at most {MAX_VALUES} values")
    return tuple(sorted({parse(text) for text in texts}))


def _keys(value: Any) -> tuple[int, ...]:
    keys = tuple(key for key in _parse_all(value, _integer) if 1 <= key <= MAX_KEY)
    return keys or (_NO_KEY,)


def _members(kind: type[Enum]) -> BeforeValidator:
    parse = member_parser(list(kind), digits=True)
    return BeforeValidator(lambda value: _parse_all(value, parse))


def _array_schema(schema: dict[str, Any], description: str) -> WithJsonSchema:
    description += "; several may stand with commas between"
    return WithJsonSchema({"type": "array", "items": schema, "maxItems": MAX_VALUES, "description": description})


def _enum_schema(kind: type[Enum]) -> WithJsonSchema:
    return _array_schema(request_schema_of(kind), "Only rows with one of these values")


def subset_of(allowed: Sequence[str]) -> Callable[[Any], tuple[str, ...]]:
    """A parser for names that must all be in `allowed`; it returns each once, in the order of `allowed`."""

    def parse(value: Any) -> tuple[str, ...]:
        names = set(_split(value))
        if not names <= set(allowed):
            raise refusal(f"must name some of {', '.join(allowed)}")
        return tuple(name for name in allowed if name in names)

    return parse


def names_schema(allowed: Sequence[str]) -> dict[str, Any]:
    """The schema of a parameter with names from `allowed`."""
    return {"type": "array", "items": {"type": "string", "enum": list(allowed)}, "examples": [list(allowed[-2:])]}


QueryKeys = Annotated[
    tuple[int, ...],
    BeforeValidator(_keys),
    _array_schema(_KEY_SCHEMA, "Only rows with one of these keys"),
]
QueryReferences = Annotated[
    tuple[int, ...],
    BeforeValidator(_keys),
    _array_schema(_KEY_SCHEMA, "Only rows that point to one of these keys"),
]
QueryOrderStatuses = Annotated[tuple[int, ...], _members(OrderStatus), _enum_schema(OrderStatus)]
QueryDeliveryMethods = Annotated[tuple[int, ...], _members(DeliveryMethod), _enum_schema(DeliveryMethod)]
QueryPaymentTypes = Annotated[tuple[str, ...], _members(PaymentType), _enum_schema(PaymentType)]
QueryPaymentMethods = Annotated[tuple[str, ...], _members(PaymentMethod), _enum_schema(PaymentMethod)]
QueryBillKinds = Annotated[tuple[str, ...], _members(BillKind), _enum_schema(BillKind)]
QueryRoles = Annotated[tuple[str, ...], _members(Role), _enum_schema(Role)]
QueryJobStatuses = Annotated[tuple[str, ...], _members(JobStatus), _enum_schema(JobStatus)]
QueryDeliveryStatuses = Annotated[tuple[str, ...], _members(DeliveryStatus), _enum_schema(DeliveryStatus)]
QueryChannels = Annotated[tuple[str, ...], _members(Channel), _enum_schema(Channel)]
QueryNotificationKinds = Annotated[tuple[str, ...], _members(NotificationKind), _enum_schema(NotificationKind)]
QueryNotificationStatuses = Annotated[tuple[str, ...], _members(NotificationStatus), _enum_schema(NotificationStatus)]
QueryStockReasons = Annotated[tuple[str, ...], _members(StockReason), _enum_schema(StockReason)]


QueryCountries = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: _parse_all(value, as_country)),
    _array_schema(
        {"type": "string", "enum": sorted(COUNTRIES), "examples": [COUNTRY_EXAMPLE]},
        "Only rows of one of these countries",
    ),
]


# -- One value -------------------------------------------------------------------------------------

QueryText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=320),
    AfterValidator(without_nul),
    text_schema(0, 320, description="Only rows with this text, in whatever case and Unicode form"),
]
QueryKey = Annotated[int, BeforeValidator(_integer), WithJsonSchema(_KEY_SCHEMA)]
QueryNumber = Annotated[
    Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number", "format": "decimal", "examples": [4.5]})
]
QueryFlag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean", "examples": [True]})]
# Whatever is beyond the numbers of PostgreSQL is as good as its bounds.
QueryStock = Annotated[
    int,
    BeforeValidator(_integer),
    AfterValidator(lambda number: min(max(number, 0), MAX_KEY)),
    WithJsonSchema({"type": "integer", "format": "int64"}),
]
QueryCount = Annotated[int, BeforeValidator(_integer)]
QueryFrom = Annotated[
    dt.datetime,
    BeforeValidator(start_of),
    moment_schema("Only rows of this time or later; of a plain date, from the beginning of that day on (UTC)"),
]
QueryTo = Annotated[
    dt.datetime,
    BeforeValidator(end_of),
    moment_schema(
        "Only rows of this time or earlier; of a plain date, to the end of that day (UTC), which is included"
    ),
]
