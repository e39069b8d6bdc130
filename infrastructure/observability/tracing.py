"""Tracing: spans of requests that are sampled, and of what is done for them. For all others it costs a look at a variable.

    Tracer.begin → Span of the request → span("…") within it → the sink, which sends them (`infrastructure.observability.otlp`)

Nothing is loaded, and no thread runs, where no collector is named.
"""

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, Protocol

from config.settings import Settings

Kind = Literal["server", "client", "internal", "consumer"]
Attributes = Mapping[str, str | int | float | bool]

SAMPLED = 0b1
_NOTHING: AbstractContextManager[None] = nullcontext()


@dataclass(slots=True)
class Span:
    """Something that takes time, within a trace. Times are nanoseconds since 1970; ids are those of W3C Trace Context."""

    sink: "Sink"
    name: str
    kind: Kind
    trace_id: int
    parent_id: int | None
    attributes: dict[str, str | int | float | bool] = field(default_factory=dict)
    span_id: int = field(default_factory=lambda: random.getrandbits(64) or 1)
    started: int = field(default_factory=time.time_ns)
    ended: int = 0
    is_error: bool = False

    def traceparent(self) -> str:
        """The header for others, which names this span as the one that called them."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{SAMPLED:02x}"

    def end(self) -> None:
        """It is over: hand it to the sink."""
        self.ended = time.time_ns()
        self.sink.add(self)


class Sink(Protocol):
    """Takes spans that have ended, and never waits."""

    def add(self, span: Span) -> None: ...


# The span within which this task works, if its request is sampled.
current_span: ContextVar[Span | None] = ContextVar("current_span", default=None)


class Tracer:
    """Begins the spans of requests, `ratio` (0 to 1) of those that no trace of the caller decides about."""

    def __init__(self, sink: Sink, ratio: float) -> None:
        self._sink, self._ratio = sink, ratio

    def begin(self, kind: Kind, trace: tuple[str, int, str] | None) -> Span | None:
        """The span of a request, or None where it is not sampled. `trace` are id, flags and parent of the caller's trace."""
        if trace is None:
            if random.random() >= self._ratio:  # noqa: S311 (nobody gains by guessing)
                return None
            return Span(self._sink, "", kind, random.getrandbits(128) or 1, None)
        trace_id, flags, parent_id = trace
        return Span(self._sink, "", kind, int(trace_id, 16), int(parent_id, 16)) if flags & SAMPLED else None


def span(name: str, kind: Kind = "internal", **attributes: str | int) -> AbstractContextManager[None]:
    """A block that is a span of its own, where the request is sampled. Dots in names of attributes are written as `__`."""
    parent = current_span.get()
    return _NOTHING if parent is None else _within(parent, name, kind, attributes)


@contextmanager
def _within(parent: Span, name: str, kind: Kind, attributes: Attributes) -> Iterator[None]:
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    child = Span(parent.sink, name, kind, parent.trace_id, parent.span_id, named)
    token = current_span.set(child)
    try:
        yield
    except BaseException:
        child.is_error = True
        raise
    finally:
        current_span.reset(token)
        child.end()


@contextmanager
def tracer_of(settings: Settings, release: str) -> Iterator[Tracer | None]:
    """What begins the spans of this process during a block; None where no collector is named."""
    if settings.otel_exporter_otlp_endpoint is None:
        yield None
        return
    # It imports an HTTP client.
    from infrastructure.observability.otlp import OtlpSink

    headers = dict(settings.otel_exporter_otlp_headers)
    sink = OtlpSink(settings.otel_exporter_otlp_endpoint, settings.otel_service_name, release, headers)
    try:
        yield Tracer(sink, settings.otel_traces_sampler_arg)
    finally:
        sink.close()
