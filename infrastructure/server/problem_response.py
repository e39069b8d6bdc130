"""Problem responses (RFC 9457) as bytes, for refusals before there is a request that the application could answer."""

import json
from http import HTTPStatus


def problem_bytes(status: int, detail: str, lines: bytes = b"") -> bytes:
    """The bytes of a response of `status` that closes its connection; `lines` are more header lines."""
    title = HTTPStatus(status).phrase
    code = title.lower().replace(" ", "_")
    body = json.dumps(
        {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": detail,
            "message": detail,
            "code": code,
        },
        separators=(",", ":"),
    ).encode()
    about = b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
    return b"HTTP/1.1 %d %b\r\n%b%b\r\n%b" % (status, title.encode(), lines, about, body)
