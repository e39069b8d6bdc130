"""Headers as they travel."""

from collections.abc import Iterable


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The headers as lines of HTTP/1.1. Nothing is checked: names and values must be of the shop's own making."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])
