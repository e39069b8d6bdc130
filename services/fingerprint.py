"""Fingerprint of a request with an Idempotency-Key: a digest of method, path and body.

It is made of the body's canonical form: sorted keys, no spaces, 5.0 the same as 5.
"""

import hashlib
import json
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

from services.errors import InvalidField

# Integers with fewer digits are written out. Others keep their exponent: 1e999999999 would fill the memory.
_DIGITS = 19
_LARGEST = 2**63
# With it every number that JSON can hold keeps all its digits.
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def fingerprint(method: str, path: str, body: Any) -> bytes:
    """SHA-256 over method, path and body."""
    return hashlib.sha256("\n".join((method, path, _canonical(body))).encode()).digest()


class RowsFingerprint:
    """The fingerprint of a request whose body is an array, made of its elements part by part."""

    def __init__(self, method: str, path: str) -> None:
        self._digest = hashlib.sha256("\n".join((method, path, "[")).encode())
        self._separator = ""

    def add(self, rows: list[Any]) -> None:
        """Add the next elements, at least one."""
        self._digest.update(f"{self._separator}{_canonical(rows)[1:-1]}".encode())
        self._separator = ","

    def digest(self) -> bytes:
        """The `fingerprint` of the array of all elements so far."""
        whole = self._digest.copy()
        whole.update(b"]")
        return whole.digest()


def _canonical(value: Any) -> str:
    try:
        return _ENCODER.encode(value)
    except RecursionError:
        raise InvalidField(("body",), "the nesting is too deep") from None


def _canonical_number(value: Any) -> int | str:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} is not JSON")
    if not value:
        return 0
    # Unlike arithmetic, neither comparison nor rounding here is bounded by the default context.
    if value.adjusted() < _DIGITS and -_LARGEST < value < _LARGEST and value == value.to_integral_value():
        return int(value)
    return str(value.normalize(_EXACT))


_ENCODER = json.JSONEncoder(default=_canonical_number, sort_keys=True, separators=(",", ":"))
