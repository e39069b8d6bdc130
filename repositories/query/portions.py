"""Many rows as the JSON parameters of a few statements."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from schemas.json_codec import to_json

ROWS_PER_STATEMENT = 2000
_BYTES_PER_STATEMENT = 256 * 1024
_ROWS_AT_ONCE = 50


def portions(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The rows as JSON arrays, of as many rows as should go into one statement.

    A statement has to stay well below its timeout, and the driver lets no other thread run while it sends it.
    """
    rest = iter(rows)
    pieces: list[bytes] = []
    while some := list(islice(rest, _ROWS_AT_ONCE)):
        pieces.append(to_json(some)[1:-1])
        if sum(map(len, pieces)) > _BYTES_PER_STATEMENT or len(pieces) * _ROWS_AT_ONCE >= ROWS_PER_STATEMENT:
            yield _array(pieces)
            pieces = []
    if pieces:
        yield _array(pieces)


def _array(pieces: Sequence[bytes]) -> str:
    return b"".join((b"[", b",".join(pieces), b"]")).decode()
