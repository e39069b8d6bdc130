"""JSON on the wire: read strictly, written exactly.

Money never becomes a binary float: a number with a fraction is read as `Decimal`, and a `Decimal`
is written digit by digit (`999.90`, not `999.9000000000001`).
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson

# An escaped lone surrogate is the one kind of text that parses and cannot be stored or sent back.
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class MalformedJson(ValueError):
    """The text is not JSON that this service accepts; the message says why, without echoing it."""


def _exact_number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise MalformedJson("a number is out of range") from None


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJson(f"{name} is not a JSON number")


def from_json(body: bytes) -> Any:
    """The value of a JSON text, with `Decimal` for every number that has a fraction or an exponent.

    Raises `MalformedJson` for anything else than RFC 8259 JSON in UTF-8: also for `NaN`, `Infinity`,
    lone surrogates, numbers of thousands of digits and nesting beyond the interpreter's depth.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_float=_exact_number, parse_constant=_refuse_constant)
        if _SURROGATE_ESCAPE.search(body):
            json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    except MalformedJson:
        raise
    except json.JSONDecodeError as error:
        raise MalformedJson(f"{error.msg} at position {error.pos}") from None
    except UnicodeError:
        raise MalformedJson("the text is not valid Unicode") from None
    except RecursionError:
        raise MalformedJson("the nesting is too deep") from None
    except ValueError:
        raise MalformedJson("a number has too many digits") from None
    return value


def to_json(value: Any) -> bytes:
    """Compact UTF-8 JSON. Times end in `Z`; a `Decimal` becomes a JSON number with its own digits."""
    return orjson.dumps(value, default=_write_exactly, option=orjson.OPT_UTC_Z)


def json_body(value: Any) -> bytes:
    """The JSON of an answer, which ends with a line break, so that it stands by itself in a terminal and in a file."""
    return orjson.dumps(value, default=_write_exactly, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def _write_exactly(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} has no JSON form")
