"""Requests as bytes, so that a load generator builds nothing while it measures.

A request may contain `MARK` where every copy needs data of its own: the generator replaces it by a number of the same
width, so that the Content-Length stays true.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

MARK = "@" * 15


@dataclass(frozen=True, slots=True)
class Scenario:
    """The requests of a load, repeated in this order, and the expected status codes."""

    name: str
    requests: Sequence[bytes]
    expected: frozenset[int] = frozenset({200})

    @property
    def asks_for_heads(self) -> bool:
        """Whether there is a HEAD request, whose response has a Content-Length and no body."""
        return any(request.startswith(b"HEAD ") for request in self.requests)


def raw_request(method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
    """One HTTP/1.1 request; `body` is sent as JSON."""
    content = b"" if body is None else orjson.dumps(body)
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: shop",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(content)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def blend(kinds: Sequence[tuple[int, Sequence[bytes]]], seed: int = 1) -> list[bytes]:
    """A thousand requests in random but repeatable order; each kind has its share of them.

    Raises `ValueError` when the shares do not add up to a thousand.
    """
    whole = sum(share for share, _ in kinds)
    if whole != 1000:
        raise ValueError(f"the shares make up {whole} of 1,000")
    requests = [kind[place % len(kind)] for share, kind in kinds for place in range(share)]
    random.Random(seed).shuffle(requests)
    return requests


def first_number() -> int:
    """The first number for `MARK`: above those of every earlier load, which sent less than one request per µs."""
    return int(time.time_ns() // 1000 % 10 ** len(MARK))
