"""Headers in both forms: pairs for ASGI, lines for the fast path, which writes to the socket itself."""

import re
from collections.abc import Iterable
from functools import cached_property

_LINE = re.compile(rb"([^:]+): ([^\r]*)\r\n")


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The headers as lines of HTTP/1.1. Nothing is checked: names and values must be of the shop's own making."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class LatestLines:
    """The lines of a list of headers, kept until it is called with another list."""

    def __init__(self) -> None:
        self._headers: object = None
        self._lines = b""

    def __call__(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        if headers is not self._headers:
            self._headers, self._lines = headers, header_lines(headers)
        return self._lines


def parsed_lines(lines: bytes) -> list[tuple[bytes, bytes]]:
    """The headers in lines that the shop made."""
    return _LINE.findall(lines)


class HeaderBlock(list[tuple[bytes, bytes]]):
    """Headers of many responses, as pairs and as lines. They do not change."""

    @cached_property
    def lines(self) -> bytes:
        """The headers as lines."""
        return header_lines(self)
