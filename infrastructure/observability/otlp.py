"""OTLP: spans that have ended are sent to an OpenTelemetry collector as JSON by HTTP, in batches, by a thread.

OpenTelemetry's own SDK is not taken: the Redis client imports it wherever it is installed, in each process of a shop that
traces nothing.
"""

import gzip
import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import orjson

from infrastructure.observability.tracing import Span

log = logging.getLogger("shop.tracing")

_MOST_WAITING = 4096
_BATCH = 512
_BATCH_SECONDS = 1.0
_TIMEOUT_SECONDS = 5.0
_LOG_SECONDS = 60.0

# The numbers of the protocol.
_KINDS = {"internal": 1, "server": 2, "client": 3, "consumer": 5}
_UNSET, _ERROR = 0, 2


class OtlpSink:
    """Sends to the collector at `endpoint`, such as http://127.0.0.1:4318. It belongs to one process, because of its thread.

    What the collector does not take, or not in time, is dropped, which the log says once a minute.
    """

    def __init__(self, endpoint: str, service: str, release: str, headers: Mapping[str, str]) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._headers = {**headers, "content-type": "application/json", "content-encoding": "gzip"}
        self._resource = {"attributes": _attributes({"service.name": service, "service.version": release})}
        # None is the last.
        self._waiting: queue.Queue[Span | None] = queue.Queue(_MOST_WAITING)
        self._dropped, self._said_at = 0, -_LOG_SECONDS
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def add(self, span: Span) -> None:
        try:
            self._waiting.put_nowait(span)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Send what is left, for some seconds at most. It waits."""
        try:
            self._waiting.put(None, timeout=_TIMEOUT_SECONDS)
        except queue.Full:
            return
        self._thread.join(2 * _TIMEOUT_SECONDS)

    def _run(self) -> None:
        with httpx.Client(headers=self._headers, timeout=_TIMEOUT_SECONDS) as client:
            while True:
                spans, is_last = self._next_batch()
                if spans:
                    self._send(client, spans)
                if is_last:
                    return

    def _next_batch(self) -> tuple[list[Span], bool]:
        """Spans that have come within a second of the first of them; and whether there will be no more."""
        spans: list[Span] = []
        until = None
        while len(spans) < _BATCH:
            try:
                span = self._waiting.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if span is None:
                return spans, True
            spans.append(span)
            until = until or time.monotonic() + _BATCH_SECONDS
        return spans, False

    def _send(self, client: httpx.Client, spans: Sequence[Span]) -> None:
        content = {
            "resourceSpans": [
                {"resource": self._resource, "scopeSpans": [{"scope": {"name": "shop"}, "spans": [*map(_json, spans)]}]}
            ]
        }
        try:
            client.post(self._url, content=gzip.compress(orjson.dumps(content), 1)).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._dropped += len(spans)
            self._say(error)

    def _say(self, error: Exception) -> None:
        if time.monotonic() - self._said_at >= _LOG_SECONDS:
            self._said_at = time.monotonic()
            dropped, self._dropped = self._dropped, 0
            log.warning("The collector of traces does not take them, and %d spans are lost: %s", dropped, error)


def _json(span: Span) -> dict[str, Any]:
    """The span as the protocol has it: ids in hexadecimal digits, and times as texts, because readers lose such large numbers."""
    content: dict[str, Any] = {
        "traceId": f"{span.trace_id:032x}",
        "spanId": f"{span.span_id:016x}",
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.started),
        "endTimeUnixNano": str(span.ended),
        "attributes": _attributes(span.attributes),
        "status": {"code": _ERROR if span.is_error else _UNSET},
    }
    if span.parent_id is not None:
        content["parentSpanId"] = f"{span.parent_id:016x}"
    return content


def _attributes(attributes: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: object) -> dict[str, object]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}
