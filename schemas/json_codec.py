"""JSON codec: strict parsing and exact rendering.

Money never becomes a binary float: a number with a fraction is parsed as `Decimal`, and a `Decimal` is rendered with its
own digits (`999.90`, not `999.9000000000001`).
"""

import json
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson

# The number of values in a body of one row (a key counts with its value). To parse them takes about 30 ms, in which the
# worker serves no other request. An order of 6,800 lines, which fills 1 MiB, can be sent back complete.
MAX_VALUES = 60_000

# For longer integers the time of parsing and rendering grows with the square of the digits.
MAX_DIGITS = 1000

# An escaped lone surrogate can be parsed, but neither stored nor rendered.
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = re.compile(r"[ \t\n\r]*")
# The errors of a request that is cut off are those of this number of its members.
_FIRST_MEMBERS = 1000


class MalformedJson(ValueError):
    """The text is not JSON that this service accepts; the message says why, without echoing it."""


class CutOff(MalformedJson):
    """The text is no JSON, or only the beginning of it."""


class TooManyValues(MalformedJson):
    """The text has too many values. If it is an object, `first` has its first members."""

    def __init__(self, message: str, first: dict[str, Any]) -> None:
        super().__init__(message)
        self.first = first


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise MalformedJson(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJson(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=Decimal, parse_constant=_refuse_constant)


def from_json(body: bytes) -> Any:
    """The value of a JSON text, with `Decimal` for every number that has a fraction or an exponent.

    Raises `MalformedJson` for anything else than RFC 8259 JSON in UTF-8: also for `NaN`, `Infinity`,
    lone surrogates, numbers of thousands of digits, nesting beyond the interpreter's depth, and `TooManyValues`.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeError:
        raise MalformedJson("the text is not valid Unicode") from None
    # A shorter text has no room for them.
    if len(text) > MAX_VALUES and count_values(text) > MAX_VALUES:
        first = first_members(text[:MAX_VALUES])
        raise TooManyValues(f"the text has more than {MAX_VALUES} values", first)
    value, end = parse_value(text, skip_spaces(text, 0))
    rest = skip_spaces(text, end)
    if rest != len(text):
        raise MalformedJson(f"Extra data at position {rest}")
    return value


def parse_value(text: str, start: int, offset: int = 0) -> tuple[Any, int]:
    """The JSON value that begins at `start`, and the position after it. Raises `MalformedJson`.

    `offset` is the number of characters before the text, for the positions in messages.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
        if _SURROGATE_ESCAPE.search(text, start, end):
            json.dumps(value, ensure_ascii=False, default=bool).encode("utf-8")
    except MalformedJson:
        raise
    except json.JSONDecodeError as error:
        raise CutOff(f"{error.msg} at position {offset + error.pos}") from None
    except UnicodeError:
        raise MalformedJson("the text is not valid Unicode") from None
    except RecursionError:
        raise MalformedJson("the nesting is too deep") from None
    except InvalidOperation:
        raise MalformedJson("a number is out of range") from None
    return value, end


def skip_spaces(text: str, start: int) -> int:
    """The position of the next character that is no space."""
    match = _SPACE.match(text, start)
    assert match is not None, "it matches also nothing"
    return match.end()


def count_values(text: str) -> int:
    """An upper bound of the values in the JSON text: each stands after a comma or the start of an array or object."""
    return text.count(",") + text.count("[") + text.count("{")


def first_members(text: str) -> dict[str, Any]:
    """The first complete members of the object that `text` begins with; it may be cut off. Empty for other values."""
    members: dict[str, Any] = {}
    place = _after(text, 0, "{")
    while place is not None and len(members) < _FIRST_MEMBERS:
        try:
            name, end = parse_value(text, skip_spaces(text, place))
            begin = _after(text, end, ":")
            if not isinstance(name, str) or begin is None:
                break
            value, end = parse_value(text, skip_spaces(text, begin))
        except MalformedJson:
            break
        members[name] = value
        place = _after(text, end, ",")
    return members


def _after(text: str, start: int, char: str) -> int | None:
    """The position after `char`, if that is the next character that is no space."""
    place = skip_spaces(text, start)
    return place + 1 if text.startswith(char, place) else None


def to_json(value: Any) -> bytes:
    """Compact UTF-8 JSON. Times end in `Z`; a `Decimal` becomes a JSON number with its own digits."""
    return b"%b" % _dumps(value)


def json_body(value: Any) -> bytes:
    """The JSON of a response, with a line break at its end, for terminals and files."""
    return _dumps(value) + b"\n"


def _dumps(value: Any) -> bytes:
    """The JSON in a bytes object that takes up to fourteen times its length: orjson does not shrink its buffer.

    A caller that keeps it must copy it.
    """
    return orjson.dumps(value, default=_write_exactly, option=orjson.OPT_UTC_Z)


def json_array(elements: Iterable[bytes]) -> bytes:
    """As `json_body` of a list whose elements, one or some at a time, are JSON already.

    They are rendered one after the other, so that other threads can run in between.
    """
    return b"".join((b"[", b",".join(elements), b"]\n"))


def _write_exactly(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} has no JSON form")
