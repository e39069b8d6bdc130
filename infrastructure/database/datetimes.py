"""Dates and times as PostgreSQL holds them, of which Python only knows those of the years 1 to 9999.

The driver raises for any other, and takes the infinite ones for the last and the first it knows. So connections read
them by `read_datetimes`: what Python has no value for becomes a `FarDatetime`, the text that answers show.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from psycopg.adapt import AdaptersMap, Buffer, Loader
from psycopg2.extensions import DATE, new_type, register_type

# How PostgreSQL writes them in the ISO style, which the driver sets, and with UTC, which the shop sets.
_STORED = re.compile(r"(\d{4,})-(\d\d-\d\d)(?: (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00)?( BC)?", re.ASCII)
_FAR = re.compile(r"[+-]\d{6,7}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{6})?Z)?|-?infinity", re.ASCII)
_TIMESTAMPTZ = 1184


class FarDatetime(str):
    """A date or time beyond Python's, as answers write it: `+010000-01-01T00:00:00Z`, `-000043-03-15`, `infinity`.

    Years have a sign and at least six digits, as in ECMAScript; the year 0 is 1 BC. Equal ones have equal texts.
    """

    __slots__ = ()

    @classmethod
    def stored(cls, text: str) -> "FarDatetime":
        """The one that PostgreSQL writes as `text`."""
        found = _STORED.fullmatch(text)
        if found is None:
            return cls(text)
        year, day, time, fraction, before_christ = found.groups()
        number = 1 - int(year) if before_christ else int(year)
        shown = f"{'-' if number < 0 else '+'}{abs(number):06}-{day}"
        if time is None:
            return cls(shown)
        return cls(f"{shown}T{time}{f'.{fraction:0<6}' if fraction else ''}Z")

    @classmethod
    def shown(cls, text: str) -> "FarDatetime | None":
        """The one that an answer shows as `text`; None for any other text."""
        return cls(text) if _FAR.fullmatch(text) else None


def _read(text: str, known: Callable[[str], date]) -> date | FarDatetime:
    try:
        return known(text)
    except ValueError:
        return FarDatetime.stored(text)


def _reader(known: Callable[[str], date]) -> Callable[[Any, Any], date | FarDatetime | None]:
    return lambda text, cursor: None if text is None else _read(text, known)


# Half as long as what the driver does by itself.
_TYPES = (
    new_type((_TIMESTAMPTZ,), "SHOP_TIME", _reader(datetime.fromisoformat)),
    new_type(DATE.values, "SHOP_DATE", _reader(date.fromisoformat)),
)


def read_datetimes(connection: Any) -> None:
    """Let a connection of psycopg2's read every date and time that there may be. Its time zone must be UTC."""
    for kind in _TYPES:
        register_type(kind, connection)


class _TimeLoader(Loader):
    def load(self, data: Buffer) -> date | FarDatetime:
        return _read(str(data, "ascii"), datetime.fromisoformat)


class _DateLoader(Loader):
    def load(self, data: Buffer) -> date | FarDatetime:
        return _read(str(data, "ascii"), date.fromisoformat)


def read_far_datetimes(adapters: AdaptersMap) -> None:
    """Let what has these adapters of psycopg 3 read every date and time that there may be, which takes it longer.

    PostgreSQL must write them in the ISO style, and with UTC.
    """
    adapters.register_loader("timestamptz", _TimeLoader)
    adapters.register_loader("date", _DateLoader)
