"""Traces over several services, after W3C Trace Context: a request that belongs to one says so in `traceparent`."""

import random
import re
from typing import NamedTuple

from infrastructure.server.request_heads import Headers

# Version, trace, parent, flags; later versions may have more behind.
_TRACEPARENT = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-(?P<flags>[0-9a-f]{2})"
    rb"(?P<more>-[\x20-\x7e]*)?"
)
# Of the flags those that the specification knows: sampled, and an id that is random.
_KNOWN_FLAGS = 0b11


class Trace(NamedTuple):
    """The trace that a request belongs to: its id, and its flags."""

    trace_id: str
    flags: int

    def traceparent(self) -> str:
        """What tells others of the trace in the name of this request, which is a new span of it."""
        return f"00-{self.trace_id}-{random.getrandbits(64) or 1:016x}-{self.flags:02x}"


def trace_of(headers: Headers) -> Trace | None:
    """The trace that the headers tell of; None without one, and where what they tell is malformed or told twice."""
    told = [value for name, value in headers if name == b"traceparent"]
    match = _TRACEPARENT.fullmatch(told[0].strip()) if len(told) == 1 else None
    if match is None or (match["version"] == b"00" and match["more"]):
        return None
    return Trace(match["trace"].decode(), int(match["flags"], 16) & _KNOWN_FLAGS)
