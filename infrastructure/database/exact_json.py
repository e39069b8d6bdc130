"""JSON columns whose numbers are exact: what has a fraction is read as `Decimal`, and written with its own digits."""

import json
from decimal import Decimal
from typing import Any

import orjson

# Made once: to make it takes longer than to read a small text.
_DECODER = json.JSONDecoder(parse_float=Decimal)


def read_json(text: str | bytes) -> Any:
    """The value of the JSON of a column."""
    return _DECODER.decode(text if isinstance(text, str) else text.decode())


def write_json(value: Any) -> str:
    """The JSON of a value of a column."""
    return orjson.dumps(value, default=_exactly).decode()


def _exactly(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} has no JSON form")
