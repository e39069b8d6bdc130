"""The access log: one line for every request.

A request only leaves its values. The lines of many requests are rendered in one batch, which takes a fifth of the time
of single ones; and in the event loop, because a thread that computes would compete with the loop for the interpreter.
The log's own thread only writes the text.

Refused requests (4xx) have lines of their own only up to a rate: a flood of them must not rotate the day's lines out of
the files. The others are counted, and one line from time to time reports their number.
"""

import asyncio
import logging
import re
import time
from collections import Counter
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from infrastructure.observability.log_lines import (
    ShopHandler,
    json_line,
    request_id,
    timestamp,
    trace_id,
    trace_suffix,
)
from infrastructure.observability.redaction import escape, redact
from infrastructure.observability.token_bucket import TokenBucket

log = logging.getLogger("shop.access")

# Seconds between the first entry of a batch and its rendering.
GATHER_SECONDS = 0.05

# Characters of a path in a line. A cut could leave half a secret that redaction does not find: so a longer piece is
# redacted first, and cut after that.
PATH_LENGTH = 512
_SEARCHED_LENGTH = 2 * PATH_LENGTH

# Lines for refused requests: the burst, and the rate after it. At the greatest length these are 60 MB in a day, which is
# the size of the files.
REFUSAL_BURST = 100
REFUSALS_PER_SECOND = 1.0
# Seconds between two reports of the others.
REPORT_SECONDS = 10.0

_PHRASES = {status.value: f" {status.phrase}" for status in HTTPStatus}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


class AccessLogEntry(NamedTuple):
    """The values of one line.

    `moment` is the time of the response in seconds since 1970; `path` is as the client sent it, `client` the address
    that limits count, `trace_id` the client's trace, if it has one, `route` the template of the path, and `principal` the
    caller as the audit trail says it, if it is known.
    """

    moment: float
    request_id: str
    method: str
    path: str
    status: int
    milliseconds: float
    client: str = ""
    trace_id: str | None = None
    route: str = ""
    principal: str | None = None


class AccessLog:
    """Logs the requests of one event loop."""

    def __init__(self) -> None:
        self._entries: list[AccessLogEntry] = []
        self._refusals = TokenBucket(REFUSAL_BURST, REFUSALS_PER_SECOND)
        self._unlisted: Counter[int] = Counter()

    def note(
        self,
        request_id: str,
        method: str,
        path: str,
        status: int,
        milliseconds: float,
        client: str = "",
        trace_id: str | None = None,
        route: str = "",
        principal: str | None = None,
    ) -> None:
        """Log a request within GATHER_SECONDS."""
        if 400 <= status < 500 and not self._refusals.take():
            self._count_unlisted(status)
            return
        if not self._entries:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.write)
        if len(path) > _SEARCHED_LENGTH:
            path = path[:_SEARCHED_LENGTH]
        self._entries.append(
            AccessLogEntry(
                time.time(), request_id, method, path, status, milliseconds, client, trace_id, route, principal
            )
        )

    def write(self) -> None:
        """Write the lines of all entries."""
        requests, self._entries = self._entries, []
        if not requests or not log.isEnabledFor(logging.INFO):
            return
        handlers = logging.root.handlers
        if len(handlers) == 1 and isinstance(handlers[0], ShopHandler) and not log.handlers:
            line_of = _text_line if handlers[0].writes_text else _json_line
            for request in requests:
                handlers[0].put(line_of(request))
        else:
            # Another handler is there, which takes records only.
            for request in requests:
                tokens = request_id.set(request.request_id), trace_id.set(request.trace_id)
                log.info("%s", access_message(request))
                request_id.reset(tokens[0])
                trace_id.reset(tokens[1])

    def close(self) -> None:
        """Write all entries, and report the requests without a line."""
        self.write()
        self._report_unlisted()

    def _count_unlisted(self, status: int) -> None:
        if not self._unlisted:
            asyncio.get_running_loop().call_later(REPORT_SECONDS, self._report_unlisted)
        self._unlisted[status] += 1

    def _report_unlisted(self) -> None:
        unlisted, self._unlisted = self._unlisted, Counter()
        if unlisted:
            counts = ", ".join(f"{count} x {status}" for status, count in sorted(unlisted.items()))
            log.warning("%d more refused requests have no line of their own: %s", unlisted.total(), counts)


def access_message(request: AccessLogEntry) -> str:
    """The message for a request, such as `[abc-123] GET /products - 200 OK (45ms) 203.0.113.7`.

    It holds no secrets. Spaces in the path are shown as %20, so that a path cannot look like another status.
    """
    return _message(_safe_id(request.request_id), _safe_path(request.path), request)


def _message(safe_id: str, safe_path: str, request: AccessLogEntry) -> str:
    client = f" {request.client}" if request.client else ""
    return (
        f"[{safe_id}] {request.method} {safe_path} - "
        f"{request.status}{_PHRASES.get(request.status, '')} ({request.milliseconds:.0f}ms){client}"
    )


def _text_line(request: AccessLogEntry) -> str:
    return f"{timestamp(request.moment)} INFO {log.name} {access_message(request)}{trace_suffix(request.trace_id)}"


def _json_line(request: AccessLogEntry) -> str:
    safe_id, safe_path = _safe_id(request.request_id), _safe_path(request.path)
    return json_line(
        {
            "ts": timestamp(request.moment),
            "level": "INFO",
            "logger": log.name,
            "request_id": safe_id,
            "trace_id": request.trace_id,
            "client": request.client,
            "method": request.method,
            "route": request.route,
            "path": safe_path,
            "status": request.status,
            "ms": round(request.milliseconds, 2),
            "principal": request.principal,
            # As in the text form: so a search for it finds both.
            "message": _message(safe_id, safe_path, request),
        }
    )


def _safe_id(request_id: str) -> str:
    # Most ids are made by the shop, and hold no secret.
    return request_id if _UUID.fullmatch(request_id) else redact(request_id)


@lru_cache(maxsize=2048)
def _safe_path(path: str) -> str:
    shown = escape(redact(path)).replace(" ", "%20")
    return shown if len(shown) <= PATH_LENGTH else f"{shown[:PATH_LENGTH]}…"
