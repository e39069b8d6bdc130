"""The outermost layer: who this request is, how long it took, and the headers that every answer has."""

import random
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.settings import Network
from infrastructure.observability.access_log import AccessLog
from infrastructure.observability.log_lines import request_id, trace_id
from infrastructure.observability.metrics import Metrics
from infrastructure.server.header_lines import header_lines, parsed_lines
from infrastructure.server.request_heads import Headers, memoize_on_headers
from middleware.cache_control import PRIVATE
from middleware.client_address import client_address, is_from_proxy
from middleware.public_prefix import forwarded_prefix, links_with_prefix, note_prefix, take_off_root_path, with_prefix
from middleware.trace_context import Trace, trace_of
from middleware.untrusted_proxies import PROXY_HEADERS, UntrustedProxies

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_POLICY_OF_DATA = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_FOR_CACHES = (b"cache-control", PRIVATE)
_CLOSE = (b"connection", b"close")
_LINES = b"x-request-id: %b\r\nx-response-time: %.2f\r\n" + header_lines(_HEADERS)
# Of every answer that does not say another one.
POLICY_LINES = header_lines([_POLICY_OF_DATA])

_BEGUN = "shop.begun"
_VERSION_BITS = 4 << 76 | 2 << 62
_RANDOM_BITS = ~(0xF << 76 | 3 << 62)


@dataclass(slots=True)
class Begun:
    """A request that was taken up: the id it goes by, when that was (see `time.perf_counter`), and its client's address.

    `prefix` is what stands before its path for the client. `trace_id` is the trace that it belongs to, `traceparent` what
    its answer tells of it; both only if it has one.
    """

    identity: str
    started: float
    client: str
    prefix: str = ""
    trace_id: str | None = None
    traceparent: bytes = b""


class Service(Protocol):
    """What this layer asks about the service: whether it is about to stop."""

    @property
    def draining(self) -> bool: ...


class RequestContext:
    """Gives a request its id, its answer the headers of the contract and a line in `access_log`, and counts them.

    `trusted` are the proxies that are believed about whom they speak for.
    Sets `scope["shop.request_id"]`, `scope["shop.client"]`, the client's address, and `scope["shop.path"]`, the path
    as the client sent it. The layers within see paths without a prefix, and answers lead clients below it. While
    `service` is draining, answers ask clients to close their connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: Service,
        metrics: Metrics | None = None,
        access_log: AccessLog | None = None,
        trusted: tuple[Network, ...] = (),
    ) -> None:
        self.app = app
        self._service = service
        self._metrics = metrics or Metrics()
        self._access_log = access_log
        self._trusted = trusted
        self._untrusted_proxies = UntrustedProxies(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = scope.get(_BEGUN) or self.begin(scope)
        # What the log says of an answer that never began.
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._completed(message.get("headers", ()), begun)
            await send(message)

        tokens = request_id.set(begun.identity), trace_id.set(begun.trace_id)
        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            self.has_answered(scope, begun, status)
            request_id.reset(tokens[0])
            trace_id.reset(tokens[1])

    # What the fast path does in the name of this layer, without calling it.

    @property
    def draining(self) -> bool:
        """Whether answers have to ask clients to close their connection."""
        return self._service.draining

    def begin(self, scope: Scope) -> Begun:
        """Take up a request. When this layer is called with it later, it does not begin anew."""
        told = memoize_on_headers(scope, _told_by)
        if told.proxy_header is not None:
            self._untrusted_proxies.look_at(scope, told.proxy_header)
        identity, client = told.request_id or _new_uuid(), client_address(scope, self._trusted)
        begun = scope[_BEGUN] = Begun(identity, time.perf_counter(), client, self._prefix(scope, told))
        if told.trace is not None:
            begun.trace_id, begun.traceparent = told.trace.trace_id, told.trace.traceparent().encode()
        scope["shop.client"] = begun.client
        scope["shop.request_id"] = begun.identity
        scope["shop.path"] = _path_as_sent(scope)
        if begun.prefix:
            note_prefix(scope, begun.prefix)
            scope["shop.path"] = begun.prefix + scope["shop.path"]
        return begun

    def _prefix(self, scope: Scope, told: "_Told") -> str:
        prefix = take_off_root_path(scope) if scope.get("root_path") else ""
        return told.prefix if told.prefix and is_from_proxy(scope, self._trusted) else prefix

    @staticmethod
    def led_back(lines: bytes, begun: Begun) -> bytes:
        """The lines of an answer's own headers, with links that the client can follow."""
        return links_with_prefix(lines, begun.prefix) if begun.prefix else lines

    @staticmethod
    def lines(begun: Begun) -> bytes:
        """The headers that every answer has, as lines."""
        milliseconds = (time.perf_counter() - begun.started) * 1000
        lines = _LINES % (begun.identity.encode(), milliseconds)
        return b"%btraceparent: %b\r\n" % (lines, begun.traceparent) if begun.traceparent else lines

    def has_answered(self, scope: Scope, begun: Begun, status: int, hit: bool | None = None) -> None:
        """Count and log a request that is done with. `hit`: whether the cache had the answer, if it could have had it."""
        seconds = time.perf_counter() - begun.started
        if hit is not None:
            self._metrics.count_read(hit=hit)
        self._metrics.count_request(scope["method"], scope["path"], status, seconds)
        if self._access_log is not None:
            about = (begun.identity, scope["method"], scope["shop.path"], status, seconds * 1000, begun.client)
            self._access_log.note(*about, begun.trace_id)

    def _completed(self, headers: Iterable[tuple[bytes, bytes]], begun: Begun) -> list[tuple[bytes, bytes]]:
        unsaid = {_FOR_CACHES[0]: _FOR_CACHES, _POLICY_OF_DATA[0]: _POLICY_OF_DATA}
        for name, value in headers:
            if name in unsaid:
                del unsaid[name]
            elif name == b"x-cache-hit":
                self._metrics.count_read(hit=value == b"true")
        if begun.prefix:
            headers = with_prefix(headers, begun.prefix)
        completed = [*headers, *unsaid.values(), *parsed_lines(self.lines(begun))]
        if self.draining and _CLOSE not in completed:
            completed.append(_CLOSE)
        return completed


class _Told(NamedTuple):
    """What the headers of a request tell of where it comes from."""

    request_id: str
    trace: Trace | None
    # By which header the request names a client other than its peer, as a proxy does.
    proxy_header: str | None
    # What a proxy says that it has taken off the path.
    prefix: str


def _told_by(headers: Headers) -> _Told:
    # Most requests tell nothing, and a dict finds that out sooner than a walk for each.
    names = dict(headers)
    return _Told(
        _given_id(headers) if b"x-request-id" in names else "",
        trace_of(headers) if b"traceparent" in names else None,
        next((shown for name, shown in PROXY_HEADERS.items() if name in names), None),
        forwarded_prefix(headers) if b"x-forwarded-prefix" in names else "",
    )


def _given_id(headers: Headers) -> str:
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return ""


def _new_uuid() -> str:
    """A random UUID (version 4). `uuid.uuid4` takes ten times as long, because it asks the system for each."""
    digits = f"{random.getrandbits(128) & _RANDOM_BITS | _VERSION_BITS:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _path_as_sent(scope: Scope) -> str:
    raw = scope.get("raw_path")
    # Still percent-encoded, so that no path can break a line of the log.
    return raw.decode("latin-1") if raw else quote(scope["path"])
