"""Spans of sampled requests reach a collector, with what was done for them; others cost nothing and send nothing."""

import base64
import gzip
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path

import httpx
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from config.settings import PROJECT_ROOT
from tests.builders import a_client, a_product
from tests.http_receiver import http_receiver
from tests.infrastructure.processes import wait_for
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def parsed(body: bytes) -> ExportTraceServiceRequest:
    """The message, of which every member is one of the protocol. Only its ids are written in another way than in other JSON."""
    plain = re.sub(
        r'("(?:traceId|spanId|parentSpanId)":)"([0-9a-f]+)"',
        lambda match: f'{match[1]}"{base64.b64encode(bytes.fromhex(match[2])).decode()}"',
        body.decode(),
    )
    return json_format.Parse(plain, ExportTraceServiceRequest())


@contextmanager
def collector() -> Iterator[tuple[str, list[Span]]]:
    """The URL of a collector that takes OTLP by HTTP, and the spans that it was sent."""
    spans: list[Span] = []

    def take(path: str, headers: Message, body: bytes) -> None:
        assert path == "/v1/traces"
        assert headers["x-tenant"] == "a shop"
        for resource in parsed(gzip.decompress(body)).resource_spans:
            about = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            assert about["service.name"] == "lamps"
            spans.extend(span for scope in resource.scope_spans for span in scope.spans)

    with http_receiver(take) as port:
        yield f"http://127.0.0.1:{port}", spans


@contextmanager
def traced_shop(
    database_url: str, redis_url: str, folder: Path, ratio: str
) -> Iterator[tuple[httpx.Client, list[Span]]]:
    with collector() as (url, spans):
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%20shop",
            "OTEL_SERVICE_NAME": "lamps",
            "OTEL_TRACES_SAMPLER_ARG": ratio,
        }
        environment = environment_of(database_url, redis_url, folder, **settings)
        with shop_in_thread(environment) as shop, httpx.Client(base_url=shop, timeout=60) as http:
            yield http, spans


def of_trace(spans: list[Span], trace: str) -> list[Span]:
    return [span for span in spans if span.trace_id.hex() == trace]


def test_a_checkout_is_a_tree_of_spans_below_that_of_its_caller(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with traced_shop(database_url, redis_url, tmp_path, "0") as (http, spans):
        order = {
            "client_id": a_client(http)["id_key"],
            "lines": [{"product_id": a_product(http)["id_key"], "quantity": 1}],
            "payment_type": "card",
            "delivery_method": 1,
        }
        answer = http.post("/checkout", json=order, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        assert answer.status_code == 201
        # Its own decision is not to be traced.
        http.get("/products", headers={"traceparent": f"00-{'a' * 32}-{PARENT}-00"})
        # Of its own the shop samples nothing here.
        http.get("/products")
        event = http.get("/events", params={"type": "order.created", "wait": 30}).json()[-1]
        wait_for(lambda: len(of_trace(spans, TRACE)) >= 4, "the spans of the checkout")
        version, trace, span_id, flags = answer.headers["traceparent"].split("-")
        assert event["trace_parent"] == answer.headers["traceparent"]
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    by_id = {span.span_id.hex(): span for span in spans}
    root = by_id[span_id]
    assert (root.name, root.parent_span_id.hex(), root.kind) == ("POST /checkout", PARENT, Span.SPAN_KIND_SERVER)
    attributes = {pair.key: pair.value for pair in root.attributes}
    assert attributes["http.route"].string_value == "/checkout"
    assert attributes["http.response.status_code"].int_value == 201
    names = {span.name: span for span in spans}
    assert {"checkout", "write", "redis"} <= names.keys()
    assert names["checkout"].parent_span_id == root.span_id
    assert names["write"].parent_span_id == names["checkout"].span_id
    for span in spans:
        assert span is root or span.parent_span_id.hex() in by_id
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano


def test_requests_without_a_trace_get_one_and_remembered_responses_too(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with traced_shop(database_url, redis_url, tmp_path, "1") as (http, spans):
        path = f"/products/{a_product(http)['id_key']}"
        answers = [http.get(path) for _ in range(3)]
        refused = http.post("/checkout", json={})
        assert [answer.headers["x-cache-hit"] for answer in answers] == ["false", "true", "true"]
        traces = [answer.headers["traceparent"].split("-")[1] for answer in (*answers, refused)]
        assert len(set(traces)) == 4
        wait_for(lambda: all(of_trace(spans, trace) for trace in traces), "their spans")
    assert [of_trace(spans, trace)[-1].name for trace in traces[:3]] == ["GET /products/{id_key}"] * 3
    # What the client did wrong is no error of the shop.
    assert of_trace(spans, traces[3])[-1].status.code == Status.STATUS_CODE_UNSET


def test_a_collector_that_is_away_changes_nothing(database_url: str, tmp_path: Path) -> None:
    environment = environment_of(
        database_url, None, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_TRACES_SAMPLER_ARG="1"
    )
    with shop_in_thread(environment) as shop:
        assert httpx.get(f"{shop}/products").status_code == 200


def test_nothing_of_the_library_is_loaded_where_no_collector_is_named() -> None:
    program = "import sys, main; main.create_fastapi_app(); print('infrastructure.observability.otlp' in sys.modules, 'opentelemetry.sdk' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=100, check=True
    )
    assert result.stdout.strip().splitlines()[-1] == "False False"
