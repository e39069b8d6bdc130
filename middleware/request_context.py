"""The outermost layer: the id, the client and the duration of a request, and the headers that every response has."""

import random
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.settings import Network
from infrastructure.observability import server_timing
from infrastructure.observability.access_log import AccessLog
from infrastructure.observability.log_lines import request_id, trace_id
from infrastructure.observability.metrics import Metrics
from infrastructure.observability.redaction import redact
from infrastructure.observability.route_templates import RouteTemplates
from infrastructure.observability.tracing import Span, Tracer, current_span
from infrastructure.server.header_lines import header_lines, parsed_lines
from infrastructure.server.request_heads import Headers, memoize_on_headers
from middleware.cache_control import NO_STORE, PRIVATE
from middleware.callers import actor_of
from middleware.client_address import client_address, is_from_proxy
from middleware.public_prefix import forwarded_prefix, keep_prefix, links_with_prefix, take_off_root_path, with_prefix
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
# For every response that has no policy of its own.
POLICY_LINES = header_lines([_POLICY_OF_DATA])

TIMING = b"server-timing"

_INFO = "shop.request_info"
_VERSION_BITS = 4 << 76 | 2 << 62
_RANDOM_BITS = ~(0xF << 76 | 3 << 62)


@dataclass(slots=True)
class RequestInfo:
    """A request under way: its id, its start (see `time.perf_counter`), and the address of its client.

    `prefix` is the public prefix of its path, and `may_be_stored` whether caches may keep its response. `trace_id` is its
    trace and `traceparent` the header of its response; both only if the request has a trace.
    """

    identity: str
    started: float
    client: str
    prefix: str = ""
    trace_id: str | None = None
    traceparent: bytes = b""
    may_be_stored: bool = True
    # The parts of its time, if it asks for them (see `infrastructure.observability.server_timing`).
    timing: server_timing.Parts | None = None
    # The seconds in which it only waited for something to happen.
    waited: float = 0.0
    # Its span, if it is sampled.
    span: Span | None = None


class Service(Protocol):
    """What this layer needs to know of the service: whether it is about to stop, and what begins spans, if anything does."""

    @property
    def draining(self) -> bool: ...

    @property
    def tracer(self) -> Tracer | None: ...


class RequestContext:
    """Gives a request its id, its response the headers of the contract and a line in `access_log`, and counts both.

    `trusted` are the proxies whose word about their clients is believed, `routes` the names of requests.
    Sets `scope["shop.request_id"]`, `scope["shop.client"]`, the client's address, `scope["shop.path"]`, the path
    as the client sent it, and `scope["shop.trace_parent"]`, what it says of its trace, if it does. The layers within see paths without the public prefix; the links of responses have it. While
    `service` is draining, responses ask clients to close their connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: Service,
        metrics: Metrics | None = None,
        access_log: AccessLog | None = None,
        trusted: tuple[Network, ...] = (),
        routes: RouteTemplates | None = None,
    ) -> None:
        self.app = app
        self.routes = routes or RouteTemplates(())
        self._service = service
        self._metrics = metrics or Metrics()
        self._access_log = access_log
        self._trusted = trusted
        self._untrusted_proxies = UntrustedProxies(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        info = scope.get(_INFO) or self.begin(scope)
        # For the log, if no response begins.
        status = 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.get("headers", ())
                if not info.may_be_stored:
                    headers = [(name, value) for name, value in headers if name != b"cache-control"]
                    headers.append((b"cache-control", NO_STORE))
                message["headers"] = self._complete(headers, info)
            await send(message)

        tokens = request_id.set(info.identity), trace_id.set(info.trace_id)
        timing = server_timing.parts.set(info.timing)
        outer = None if info.span is None else current_span.set(info.span)
        self._metrics.begin_request()
        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            self._metrics.end_request()
            if outer is not None:
                current_span.reset(outer)
            self.finish(scope, info, status, actor=actor_of(scope))
            request_id.reset(tokens[0])
            trace_id.reset(tokens[1])
            server_timing.parts.reset(timing)

    # What the fast path takes from this layer, without calling it.

    @property
    def draining(self) -> bool:
        """Whether responses have to ask clients to close their connection."""
        return self._service.draining

    def begin(self, scope: Scope) -> RequestInfo:
        """Begin a request. A later call of this layer with the same scope goes on with it."""
        given = memoize_on_headers(scope, _header_info)
        if given.proxy_header is not None:
            self._untrusted_proxies.warn_once(scope, given.proxy_header)
        identity, client = given.request_id or _new_uuid(), client_address(scope, self._trusted)
        info = scope[_INFO] = RequestInfo(identity, time.perf_counter(), client, self._prefix(scope, given))
        if given.trace is not None:
            info.trace_id, info.traceparent = given.trace.trace_id, given.trace.traceparent().encode()
            scope["shop.trace_parent"] = given.trace.parent()
        info.timing = {} if given.wants_timing else None
        if self._service.tracer is not None:
            self._begin_span(self._service.tracer, scope, info, given.trace)
        scope["shop.client"] = info.client
        scope["shop.request_id"] = info.identity
        scope["shop.path"] = _path_as_sent(scope)
        if info.prefix:
            keep_prefix(scope, info.prefix)
            scope["shop.path"] = info.prefix + scope["shop.path"]
        return info

    @staticmethod
    def _begin_span(tracer: Tracer, scope: Scope, info: RequestInfo, trace: Trace | None) -> None:
        info.span = tracer.begin("server", trace)
        if info.span is not None:
            info.trace_id = f"{info.span.trace_id:032x}"
            scope["shop.trace_parent"] = info.span.traceparent()
            info.traceparent = scope["shop.trace_parent"].encode()

    def _prefix(self, scope: Scope, given: "_HeaderInfo") -> str:
        prefix = take_off_root_path(scope) if scope.get("root_path") else ""
        return given.prefix if given.prefix and is_from_proxy(scope, self._trusted) else prefix

    @staticmethod
    def with_links(lines: bytes, info: RequestInfo) -> bytes:
        """The lines of a response's own headers, its links with the public prefix."""
        return links_with_prefix(lines, info.prefix) if info.prefix else lines

    @staticmethod
    def lines(info: RequestInfo) -> bytes:
        """The headers that every response has, as lines."""
        milliseconds = (time.perf_counter() - info.started) * 1000
        lines = _LINES % (info.identity.encode(), milliseconds)
        return b"%btraceparent: %b\r\n" % (lines, info.traceparent) if info.traceparent else lines

    def finish(
        self, scope: Scope, info: RequestInfo, status: int, *, hit: bool | None = None, actor: str | None = None
    ) -> None:
        """Count and log a request at its end. `hit`: whether its response came from the cache; None if it is never cached."""
        seconds = time.perf_counter() - info.started
        if hit is not None:
            self._metrics.count_read(hit=hit)
        route = self.routes.of(scope["path"])
        self._metrics.count_request(scope["method"], route, status, max(0.0, seconds - info.waited))
        if info.span is not None:
            _end_span(info.span, scope, route, status)
        if self._access_log is not None:
            about = (info.identity, scope["method"], scope["shop.path"], status, seconds * 1000, info.client)
            self._access_log.note(*about, info.trace_id, route, actor)

    def _complete(self, headers: Iterable[tuple[bytes, bytes]], info: RequestInfo) -> list[tuple[bytes, bytes]]:
        hit = None
        defaults = {_FOR_CACHES[0]: _FOR_CACHES, _POLICY_OF_DATA[0]: _POLICY_OF_DATA}
        for name, value in headers:
            if name in defaults:
                del defaults[name]
            elif name == b"x-cache-hit":
                hit = value == b"true"
                self._metrics.count_read(hit=hit)
        if info.prefix:
            headers = with_prefix(headers, info.prefix)
        completed = [*headers, *defaults.values(), *parsed_lines(self.lines(info))]
        if info.timing is not None:
            seconds = time.perf_counter() - info.started
            completed.append((TIMING, server_timing.header(info.timing, seconds, hit=hit)))
        if self.draining and _CLOSE not in completed:
            completed.append(_CLOSE)
        return completed


def forbid_storing(scope: Scope) -> None:
    """Let no cache keep the response, whatever it says itself: it is for one caller, or has a token in it."""
    info: RequestInfo | None = scope.get(_INFO)
    # Copies of the scope share it. A layer that is tested by itself has none.
    if info is not None:
        info.may_be_stored = False


def hide_timing(scope: Scope) -> None:
    """Say nothing of what the request takes its time for: it would tell which accounts there are."""
    info: RequestInfo | None = scope.get(_INFO)
    if info is not None:
        info.timing = None


def note_waiting(scope: Scope, seconds: float) -> None:
    """Leave this time out of the metrics of the request: it waited for news as it was asked to, and kept nobody busy."""
    info: RequestInfo | None = scope.get(_INFO)
    if info is not None:
        info.waited += seconds


def _end_span(span: Span, scope: Scope, route: str, status: int) -> None:
    span.name = f"{scope['method']} {route}"
    span.attributes.update(
        {
            "http.request.method": scope["method"],
            "http.route": route,
            "url.path": redact(scope["shop.path"]),
            "http.response.status_code": status,
            "client.address": scope["shop.client"],
        }
    )
    span.is_error = status >= 500
    span.end()


class _HeaderInfo(NamedTuple):
    """What the headers of a request say of its origin."""

    request_id: str
    trace: Trace | None
    # The header by which a proxy names its client.
    proxy_header: str | None
    # The prefix that a proxy has taken off the path, as it says.
    prefix: str
    # Whether the response is to say what it has taken its time for.
    wants_timing: bool


def _header_info(headers: Headers) -> _HeaderInfo:
    # Most requests have none of these headers, and a dict finds that out sooner than a walk for each.
    names = dict(headers)
    return _HeaderInfo(
        _given_id(headers) if b"x-request-id" in names else "",
        trace_of(headers) if b"traceparent" in names else None,
        next((shown for name, shown in PROXY_HEADERS.items() if name in names), None),
        forwarded_prefix(headers) if b"x-forwarded-prefix" in names else "",
        TIMING in names,
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
