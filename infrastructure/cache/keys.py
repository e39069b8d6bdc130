"""Cache keys: texts built so that no value can be mistaken for another part of the key."""

import re
from datetime import date
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from urllib.parse import quote

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_TEXT = 64


def build_key(*parts: object, **named: object) -> str:
    """`build_key("products", "list", skip=0, limit=20)` is `products:list:skip:0:limit:20`.

    Numbers, booleans, None and enums are written as they are, and so is a part that is a plain name. Any other text,
    and every text that is a named value, is quoted: it cannot hold `:`, `*` or a line end, nor look like a number. A
    tuple is quoted as one text in parentheses. Raises `TypeError` for a value of another type.
    """
    texts = [_part(part) for part in parts]
    for name, value in named.items():
        texts += [name, _value(value)]
    return ":".join(texts)


def _part(part: object) -> str:
    if isinstance(part, str) and not isinstance(part, Enum) and _NAME.fullmatch(part) and len(part) <= _LONGEST_TEXT:
        return part
    return _value(part)


def _value(value: object) -> str:
    if isinstance(value, Enum):
        return _value(value.value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple):
        return f"({_quoted(','.join(map(_value, value)))})"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, date):
        return _quoted(value.isoformat())
    raise TypeError(f"A cache key is built from plain values, not from {type(value).__name__}")


def _quoted(text: str) -> str:
    quoted = quote(text, safe="", errors="surrogatepass")
    if len(quoted) > _LONGEST_TEXT:
        # `#` cannot come out of the quoting, so no short text equals a long one's digest.
        quoted = "#" + sha256(quoted.encode()).hexdigest()
    return f"'{quoted}'"
