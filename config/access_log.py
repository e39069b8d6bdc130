"""The access log: a line for every answered request.

A request only leaves a few values behind. The lines of many requests are made at once, because a loop over a hundred
takes a fifth of the time of a hundred single ones between other work; and by the event loop, because a thread that
computes makes the event loop wait for its turn at every step. The thread of the log has the text only to write.
"""

import asyncio
import logging
import re
import time
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from config.logging import ShopHandler, json_line, request_id, timestamp
from config.redaction import cut, escape, redact

log = logging.getLogger("shop.access")

# So long, in seconds, requests gather before their lines are made.
GATHER_SECONDS = 0.05

_PHRASES = {status.value: f" {status.phrase}" for status in HTTPStatus}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


class AnsweredRequest(NamedTuple):
    """What the log says of a request: when it was answered (seconds since 1970), its id, its path as it was sent."""

    moment: float
    request_id: str
    method: str
    path: str
    status: int
    milliseconds: float


class AccessLog:
    """Logs the answered requests of one event loop."""

    def __init__(self) -> None:
        self._waiting: list[AnsweredRequest] = []

    def note(self, request_id: str, method: str, path: str, status: int, milliseconds: float) -> None:
        """Have a request logged, within GATHER_SECONDS."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.write)
        self._waiting.append(AnsweredRequest(time.time(), request_id, method, path, status, milliseconds))

    def write(self) -> None:
        """Write the lines of all requests that wait."""
        requests, self._waiting = self._waiting, []
        if not requests or not log.isEnabledFor(logging.INFO):
            return
        handlers = logging.root.handlers
        if len(handlers) == 1 and isinstance(handlers[0], ShopHandler) and not log.handlers:
            line_of = _text_line if handlers[0].writes_text else _json_line
            for request in requests:
                handlers[0].put(line_of(request))
        else:
            # Somebody else listens too, and knows records only.
            for request in requests:
                token = request_id.set(request.request_id)
                log.info("%s", access_message(request))
                request_id.reset(token)


def access_message(request: AnsweredRequest) -> str:
    """The message for an answered request, such as `[abc-123] GET /products - 200 OK (45ms)`, without secrets.

    Spaces in the path are shown as %20, so that a path cannot look like another status.
    """
    return _message(_safe_id(request.request_id), request)


def _message(safe_id: str, request: AnsweredRequest) -> str:
    return (
        f"[{safe_id}] {request.method} {_safe_path(request.path)} - "
        f"{request.status}{_PHRASES.get(request.status, '')} ({request.milliseconds:.0f}ms)"
    )


def _text_line(request: AnsweredRequest) -> str:
    return f"{timestamp(request.moment)} INFO {log.name} {access_message(request)}"


def _json_line(request: AnsweredRequest) -> str:
    safe_id = _safe_id(request.request_id)
    return json_line(
        {
            "timestamp": timestamp(request.moment),
            "level": "INFO",
            "logger": log.name,
            "request_id": safe_id,
            "message": _message(safe_id, request),
        }
    )


def _safe_id(request_id: str) -> str:
    # Ids that the shop gave, which most are, hold no secret.
    return request_id if _UUID.fullmatch(request_id) else redact(request_id)


@lru_cache(maxsize=2048)
def _safe_path(path: str) -> str:
    return escape(redact(cut(path))).replace(" ", "%20")
