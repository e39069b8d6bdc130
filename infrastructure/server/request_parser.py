"""The parser of requests: httptools', which reads on where a client offers another protocol.

`Upgrade: h2c` is an offer that a server may ignore (RFC 9110, section 7.8): the request is one of HTTP/1.1, and so is its
body. The parser would stop behind the head and leave the body out.
"""

from typing import Any

from httptools import HttpParserUpgrade, HttpRequestParser

_CONNECT = b"CONNECT"
# By these the parser finds the end of a body.
_FRAMING = (b"content-length", b"transfer-encoding")


class RequestParser(HttpRequestParser):
    """Tells `protocol` what it reads. Behind an offer it begins anew, as if the head had been without."""

    # Whether the parser stops behind this head. Until it has begun anew, what it says of the body's end is wrong.
    has_offer = HttpRequestParser.should_upgrade

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._begin(protocol)

    def _begin(self, protocol: Any) -> None:
        super().__init__(protocol)
        # What comes behind a last request is dropped, and does not spoil the answer.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    def should_upgrade(self) -> bool:
        """No offer is taken."""
        return False

    def feed_data(self, data: Any) -> None:
        """Read on. Raises `HttpParserUpgrade` behind the head of a CONNECT, which has no body that could be read."""
        while True:
            try:
                super().feed_data(data)
            except HttpParserUpgrade as offer:
                if self.get_method() == _CONNECT:
                    raise
                data = data[offer.args[0] :]
                self._read_behind_head()
            else:
                return

    def _read_behind_head(self) -> None:
        method, version = self.get_method(), self.get_http_version().encode()
        lines = [b"%b: %b\r\n" % header for header in self._protocol.headers if header[0] in _FRAMING]
        self._begin(_BehindHead(self._protocol))
        super().feed_data(b"%b / HTTP/%b\r\n%b\r\n" % (method, version, b"".join(lines)))


class _BehindHead:
    """Hands on what the parser says, from the end of its first head on. That head `protocol` knows."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._is_behind = False

    def on_message_begin(self) -> None:
        if self._is_behind:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._is_behind:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_behind:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_behind:
            self._protocol.on_headers_complete()
        self._is_behind = True

    def on_body(self, body: bytes) -> None:
        self._protocol.on_body(body)

    def on_message_complete(self) -> None:
        self._protocol.on_message_complete()
