"""Server timing (W3C): what a request has taken its time for, told to who asks by a header `Server-Timing` of its own.

The parts are counted where the time is spent, by a context variable: whoever does not ask pays for one look at it.
"""

from collections.abc import Mapping
from contextvars import ContextVar

Parts = dict[str, float]

# The seconds of each part of the request under way, if it asks for them.
parts: ContextVar[Parts | None] = ContextVar("server_timing", default=None)


def note(part: str, seconds: float) -> None:
    """Add these seconds to the part of the request under way."""
    counted = parts.get()
    if counted is not None:
        counted[part] = counted.get(part, 0.0) + seconds


def header(counted: Mapping[str, float], total: float, *, hit: bool | None) -> bytes:
    """The header's value, with `total` seconds, and whether the response came from the cache, if it is cached at all."""
    shown = [
        f"total;dur={total * 1000:.2f}",
        *(f"{part};dur={seconds * 1000:.2f}" for part, seconds in counted.items()),
    ]
    if hit is not None:
        shown.append(f"cache;desc={'hit' if hit else 'miss'}")
    return ", ".join(shown).encode()
