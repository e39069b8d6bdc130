"""Field types of dates and times. All times are UTC; a time without an offset counts as UTC."""

import datetime as dt
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidatorFunctionWrapHandler, WithJsonSchema, WrapValidator

from infrastructure.database.datetimes import FarDatetime
from schemas.field_types import refusal

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII)

_NO_TIME = "must be a time such as 2026-11-16T10:00:00Z"
_NO_DATE = "must be a date such as 2026-11-16"
_NO_MOMENT = f"{_NO_TIME}, or a date such as 2026-11-16"


def _rfc3339(value: Any, message: str = _NO_TIME) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        raise refusal(message)
    try:
        moment = dt.datetime.fromisoformat(value.upper())
        # A time without offset is UTC; the conversion raises if the year is out of range.
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise refusal(message) from None


def _iso_date(value: Any, message: str = _NO_DATE) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise refusal(message)
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise refusal(message) from None


def start_of(value: Any) -> dt.datetime:
    """The time itself, or the start of the date, in UTC."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        return dt.datetime.combine(_iso_date(value, _NO_MOMENT), dt.time.min, dt.UTC)
    return _rfc3339(value, _NO_MOMENT)


def end_of(value: Any) -> dt.datetime:
    """The time itself, or the last microsecond of the date, in UTC."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        return dt.datetime.combine(_iso_date(value, _NO_MOMENT), dt.time.max, dt.UTC)
    return _rfc3339(value, _NO_MOMENT)


def moment_schema(description: str) -> WithJsonSchema:
    """The schema of a time that may also be a plain date."""
    kinds = [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]
    return WithJsonSchema({"anyOf": kinds, "description": description, "examples": ["2026-11-16"]})


def _far_or(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    far = FarDatetime.shown(value) if isinstance(value, str) else None
    return handler(value) if far is None else far


# A far time, which a row may show although no client can set it: the body of a change may repeat it unchanged.
OR_FAR = WrapValidator(_far_or)

Timestamp = Annotated[dt.datetime, BeforeValidator(_rfc3339), WithJsonSchema({"type": "string", "format": "date-time"})]
Date = Annotated[dt.date, BeforeValidator(_iso_date), WithJsonSchema({"type": "string", "format": "date"})]
Moment = Annotated[
    dt.datetime,
    BeforeValidator(start_of),
    moment_schema("A time, in UTC if it names no offset; a plain date is the moment it begins (UTC)"),
]
