"""Events as CloudEvents: what the standard asks for, and the data letter by letter."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from repositories.event_reading import FIELDS
from services.cloud_events import cloud_event

pytestmark = pytest.mark.unit

EVENT = {
    "id": UUID("01939d2c-6f4e-7abc-8def-0123456789ab"),
    "sequence": 42,
    "type": "order.created",
    "resource": "orders",
    "resource_id": 7,
    "occurred_at": datetime(2026, 11, 16, 10, 0, 0, 123456, UTC),
    "actor": "user:7",
    "request_id": "r",
    "trace_parent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "data": '{"total":74.90,"name":"Grün"}',
}


def rendered(**changes: Any) -> bytes:
    event = EVENT | changes
    return cloud_event([event[name] for name in FIELDS], "https://shop.example")


def test_an_event_has_the_attributes_of_the_standard() -> None:
    content = json.loads(rendered())
    assert content == {
        "specversion": "1.0",
        "id": "01939d2c-6f4e-7abc-8def-0123456789ab",
        "source": "https://shop.example",
        "type": "order.created",
        "subject": "orders/7",
        "time": "2026-11-16T10:00:00.123456Z",
        "datacontenttype": "application/json",
        "sequence": "0000000000000000042",
        "traceparent": EVENT["trace_parent"],
        "data": {"total": 74.90, "name": "Grün"},
    }


def test_money_keeps_its_digits() -> None:
    assert b'"data":{"total":74.90,"name":"Gr\xc3\xbcn"}}' in rendered()


def test_what_an_event_does_not_have_is_left_out() -> None:
    content = json.loads(rendered(resource="products", resource_id=None, trace_parent=None))
    assert content["subject"] == "products"
    assert "traceparent" not in content


@pytest.mark.parametrize(("smaller", "larger"), [(9, 10), (99, 100), (2**62, 2**63 - 1)])
def test_sequences_are_texts_in_their_order(smaller: int, larger: int) -> None:
    texts = [json.loads(rendered(sequence=number))["sequence"] for number in (smaller, larger)]
    assert texts == sorted(texts)
    assert [int(text) for text in texts] == [smaller, larger]


def test_a_test_has_no_place_in_the_order() -> None:
    assert "sequence" not in json.loads(rendered(sequence=None))
