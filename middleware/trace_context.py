"""Traces over several services (W3C Trace Context): the header `traceparent` of a request names its trace."""

import random
import re
from typing import NamedTuple

from infrastructure.server.request_heads import Headers

# Version, trace, parent, flags; later versions may have more behind.
_TRACEPARENT = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?P<parent>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    rb"(?P<more>-[\x20-\x7e]*)?"
)
# The flags of the specification: sampled, and random id.
_KNOWN_FLAGS = 0b11


class Trace(NamedTuple):
    """The trace that a request belongs to: its id, its flags, and the span that sent the request."""

    trace_id: str
    flags: int
    parent_id: str

    def parent(self) -> str:
        """The header that the request came with, in the version of the specification that is known here."""
        return f"00-{self.trace_id}-{self.parent_id}-{self.flags:02x}"

    def traceparent(self) -> str:
        """The header for others, which names this request as a new span of the trace."""
        return f"00-{self.trace_id}-{random.getrandbits(64) or 1:016x}-{self.flags:02x}"


def trace_of(headers: Headers) -> Trace | None:
    """The trace that the headers name; None without one, and for a `traceparent` that is malformed or there twice."""
    values = [value for name, value in headers if name == b"traceparent"]
    match = _TRACEPARENT.fullmatch(values[0].strip()) if len(values) == 1 else None
    if match is None or (match["version"] == b"00" and match["more"]):
        return None
    return Trace(match["trace"].decode(), int(match["flags"], 16) & _KNOWN_FLAGS, match["parent"].decode())
