"""CloudEvents 1.0: an event in the form in which it leaves the shop, by webhooks and by the broker."""

from collections.abc import Sequence
from typing import Any

import orjson

from repositories.event_reading import FIELDS
from schemas.json_codec import to_json

# Of an event that is the whole body of a request or message.
CONTENT_TYPE = "application/cloudevents+json"

# The extension `sequence` is a text in which larger ones stand behind smaller ones.
_SEQUENCE_DIGITS = 19


def cloud_event(row: Sequence[Any], source: str) -> bytes:
    """The event as JSON; `row` has the values of `FIELDS`, and `source` is the address of the shop.

    `subject` is the path of what the event is about, such as orders/7. Beside what the standard asks for stand its
    extensions `sequence` and `traceparent`, where the event has them.
    """
    event = dict(zip(FIELDS, row, strict=True))
    number = event["resource_id"]
    content = {
        "specversion": "1.0",
        "id": event["id"],
        "source": source,
        "type": event["type"],
        "subject": event["resource"] if number is None else f"{event['resource']}/{number}",
        "time": event["occurred_at"],
        "datacontenttype": "application/json",
    }
    if event["sequence"] is not None:
        content["sequence"] = f"{event['sequence']:0{_SEQUENCE_DIGITS}}"
    if event["trace_parent"] is not None:
        content["traceparent"] = event["trace_parent"]
    return to_json({**content, "data": orjson.Fragment(event["data"])})
