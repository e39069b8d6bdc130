"""What of a `traceparent` is believed, and what the shop tells of the trace."""

import re

import pytest

from middleware.trace_context import trace_of

pytestmark = pytest.mark.unit

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),
        (f" 00-{TRACE}-{SPAN}-01 ", 1),
        (f"01-{TRACE}-{SPAN}-01", 1),
        (f"fe-{TRACE}-{SPAN}-01-what comes later", 1),
    ],
)
def test_a_trace_is_taken_in_and_passed_on_as_a_span_of_its_own(value: str, flags: int) -> None:
    trace = trace_of([(b"host", b"shop"), (b"traceparent", value.encode())])
    assert trace is not None
    assert trace.trace_id == TRACE
    told = re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-0{flags}", trace.traceparent())
    assert told is not None
    assert told[1] not in (SPAN, "0" * 16)
    assert trace.traceparent() != trace.traceparent()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"01-{TRACE}-{SPAN}-01more",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}1-01",
        f"00-{TRACE}-{SPAN}-0",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
        f"00-{TRACE[:-1]}\xff-{SPAN}-01",
    ],
)
def test_what_is_malformed_is_no_trace(value: str) -> None:
    assert trace_of([(b"traceparent", value.encode("latin-1"))]) is None


def test_a_trace_that_is_published_twice_is_none() -> None:
    header = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
    assert trace_of([header, header]) is None
    assert trace_of([]) is None
