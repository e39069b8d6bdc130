"""The outermost layer: who this request is, how long it took, and the headers that every answer has."""

import random
import re
import time
from collections.abc import Iterable
from typing import Protocol
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.access_log import AccessLog
from config.http_protocol import by_messages_only, header_lines, set_writer, writer_of
from config.logging import request_id
from config.metrics import Metrics

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_POLICY_OF_DATA = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
# The pages of /docs and /redoc start their scripts inline and show images from data: URLs.
_POLICY_OF_PAGES = (
    b"content-security-policy",
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; worker-src blob:; frame-ancestors 'none'",
)
_CLOSE = (b"connection", b"close")
_LINES = header_lines((*_HEADERS, _POLICY_OF_DATA))

_VERSION_BITS = 4 << 76 | 2 << 62
_RANDOM_BITS = ~(0xF << 76 | 3 << 62)


class Service(Protocol):
    """What this layer asks about the service: whether it is about to stop."""

    @property
    def draining(self) -> bool: ...


class RequestContext:
    """Gives a request its id, its answer the headers of the contract and a line in `access_log`, and counts them.

    Sets `scope["shop.request_id"]` and `scope["shop.path"]`, the path as the client sent it. While
    `service` is draining, answers ask clients to close their connection.
    """

    def __init__(
        self, app: ASGIApp, *, service: Service, metrics: Metrics | None = None, access_log: AccessLog | None = None
    ) -> None:
        self.app = app
        self._service = service
        self._metrics = metrics or Metrics()
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        identity = _identity(scope)
        scope["shop.request_id"] = identity
        scope["shop.path"] = _path_as_sent(scope)
        # What the log says of an answer that never began.
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._completed(message.get("headers", ()), identity, started)
            await send(message)

        def write_with_headers(status_code: int, headers: bytes, body: bytes) -> bool:
            nonlocal status
            status = status_code
            written = write(status_code, b"".join((headers, _about(identity, started), _LINES)), body)
            hit = scope.get("shop.cache_hit")
            if written and hit is not None:
                self._metrics.count_read(hit=hit)
            return written

        write = writer_of(scope)
        set_writer(scope, by_messages_only if self._service.draining else write_with_headers)
        token = request_id.set(identity)
        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.count_request(scope["method"], scope["path"], status, seconds)
            if self._access_log is not None:
                self._access_log.note(identity, scope["method"], scope["shop.path"], status, seconds * 1000)
            request_id.reset(token)

    def _completed(
        self, headers: Iterable[tuple[bytes, bytes]], identity: str, started: float
    ) -> list[tuple[bytes, bytes]]:
        policy = _POLICY_OF_DATA
        for name, value in headers:
            if name == b"content-type" and value.startswith(b"text/html"):
                policy = _POLICY_OF_PAGES
            elif name == b"x-cache-hit":
                self._metrics.count_read(hit=value == b"true")
        completed = [
            *headers,
            (b"x-request-id", identity.encode()),
            (b"x-response-time", b"%.2f" % _milliseconds_since(started)),
            *_HEADERS,
            policy,
        ]
        if self._service.draining and _CLOSE not in completed:
            completed.append(_CLOSE)
        return completed


def _about(identity: str, started: float) -> bytes:
    return b"x-request-id: %b\r\nx-response-time: %.2f\r\n" % (identity.encode(), _milliseconds_since(started))


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _identity(scope: Scope) -> str:
    """The client's request id where it is one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return _new_uuid()


def _new_uuid() -> str:
    """A random UUID (version 4). `uuid.uuid4` takes ten times as long, because it asks the system for each."""
    digits = f"{random.getrandbits(128) & _RANDOM_BITS | _VERSION_BITS:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _path_as_sent(scope: Scope) -> str:
    raw = scope.get("raw_path")
    # Still percent-encoded, so that no path can break a line of the log.
    return raw.decode("latin-1") if raw else quote(scope["path"])
