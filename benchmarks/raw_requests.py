"""Requests as the bytes that go over the wire, so that a load generator has nothing to build while it measures.

A request may hold `MARK` where every sending needs data of its own: the generator puts a number of the
same width there, so that the stated length of the body stays true.
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
    """What a load sends, over and over in this order, and the status codes that are right answers to it."""

    name: str
    requests: Sequence[bytes]
    expected: frozenset[int] = frozenset({200})

    @property
    def asks_for_heads(self) -> bool:
        """Whether any answer comes without the body that its length speaks of."""
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
    """A thousand requests in random but repeatable order, of each kind as many per thousand as stands before it.

    Raises `ValueError` when the shares do not make up a thousand.
    """
    whole = sum(share for share, _ in kinds)
    if whole != 1000:
        raise ValueError(f"the shares make up {whole} of 1,000")
    requests = [kind[place % len(kind)] for share, kind in kinds for place in range(share)]
    random.Random(seed).shuffle(requests)
    return requests


def first_number() -> int:
    """Where the numbers that replace `MARK` begin: beyond those of every earlier load, which sent less than one a µs."""
    return int(time.time_ns() // 1000 % 10 ** len(MARK))
