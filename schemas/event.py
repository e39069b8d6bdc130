"""Events as they are read, and which of them are asked for."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from models.event import EventType
from schemas.base import MAX_PAGE, Parameters
from schemas.field_types import Key, refusal
from schemas.json_codec import json_array, to_json
from schemas.json_schema import MAX_KEY
from schemas.query_types import MAX_VALUES, QueryCount, QueryKey, QueryNumber

_TYPES = tuple(kind.value for kind in EventType)
_ANY = "*"
NO_TYPES = f"must name some of {', '.join(_TYPES)}, or the beginning of a name, such as order.*"
# In seconds.
LONGEST_WAIT = 30
_PATTERNS = (*sorted({f"{kind.partition('.')[0]}.*" for kind in _TYPES}), _ANY)
# What may stand for types of events: names, beginnings, and * for all.
TYPE_PATTERNS = (*_TYPES, *_PATTERNS)


class EventRead(BaseModel):
    """One thing that happened in the shop, as it was then."""

    model_config = ConfigDict(defer_build=True)

    id: UUID = Field(description="The name of the event for ever; who gets it twice knows it by this")
    sequence: Annotated[int, WithJsonSchema({"type": "integer", "format": "int64", "minimum": 1})] = Field(
        description="Its place in the order of reading"
    )
    type: str = Field(max_length=40, description="What happened; a later release may have more types")
    resource: str = Field(max_length=40)
    resource_id: Key | None
    occurred_at: datetime
    actor: str | None = Field(max_length=40, description="Who did it: `user:7`, `key:3`; null if that is not known")
    request_id: str | None = Field(max_length=128)
    trace_parent: str | None = Field(max_length=55)
    data: dict[str, Any] = Field(description="What it was about, as it was then; docs/events.md says it for each type")


def _split(value: Any) -> list[str]:
    texts = value if isinstance(value, list | tuple) else (value,)
    parts = list(islice((part.strip() for text in texts for part in text.split(",")), MAX_VALUES + 1))
    if len(parts) > MAX_VALUES:
        raise refusal(f"must be at most {MAX_VALUES} values")
    return parts


def _types(value: Any) -> tuple[str, ...]:
    """The types that patterns stand for, in the order of their names; empty for all of them."""
    patterns = set(_split(value))
    if _ANY in patterns:
        return ()
    found = {pattern: _matching(pattern) for pattern in patterns}
    if not all(found.values()):
        raise refusal(NO_TYPES)
    return tuple(sorted({kind for kinds in found.values() for kind in kinds}))


def _matching(pattern: str) -> list[str]:
    if pattern.endswith(".*"):
        return [kind for kind in _TYPES if kind.startswith(pattern.removesuffix(_ANY))]
    return [pattern] if pattern in _TYPES else []


def _within_keys(number: int) -> int:
    # There are no events outside of these bounds.
    return min(max(number, 0), MAX_KEY)


_Types = Annotated[
    tuple[str, ...],
    BeforeValidator(_types),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "enum": list(TYPE_PATTERNS)},
            "maxItems": MAX_VALUES,
            "description": "Only events of these types; order.* stands for all that begin so, and several may stand "
            "with commas between",
            "examples": [["order.*", "stock.low"]],
        }
    ),
]
_Sequence = Annotated[QueryKey, AfterValidator(_within_keys)]
_ResourceId = Annotated[QueryKey, AfterValidator(_within_keys)]

_WAIT_SCHEMA = {"type": "number", "format": "decimal", "minimum": 0, "maximum": LONGEST_WAIT}
_Wait = Annotated[QueryNumber, WithJsonSchema(_WAIT_SCHEMA)]


class EventFilter(Parameters):
    """Which events are read."""

    type: _Types = ()
    resource_id: _ResourceId | None = Field(
        default=None, description="Only events about the rows that have this key", examples=[1]
    )


class EventStreamQuery(EventFilter):
    """What a stream has."""

    after: _Sequence | None = Field(
        default=None, description="Events behind this sequence; left out, those from now on", examples=[0]
    )


class EventQuery(EventFilter):
    """The next events of a reader."""

    after: _Sequence = Field(
        default=0, description="Only events behind this sequence: `X-Next-After` of the call before", examples=[0]
    )
    limit: QueryCount = Field(default=100, ge=1, le=MAX_PAGE, description="How many events to show", examples=[20])
    wait: _Wait = Field(
        default=Decimal(0),
        ge=0,
        le=LONGEST_WAIT,
        description="So many seconds to wait for an event where there is none yet",
        examples=[0],
        json_schema_extra={"default": 0},
    )


def event_json(fields: Sequence[str], row: Sequence[Any]) -> bytes:
    """An event as JSON. The last of its fields is `data`, which is JSON already."""
    return to_json({**dict(zip(fields, row, strict=True)), fields[-1]: orjson.Fragment(row[-1])})


def events_json(fields: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Events as the JSON of a response."""
    return json_array(event_json(fields, row) for row in rows)
