"""Bodies, responses and filters of shipments."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from schemas.base import LEFT_OUT, READ_ONLY, Body, Create, ListQuery, Read, Update, without_version
from schemas.checkout import MAX_LINES
from schemas.error_limits import InChunks
from schemas.field_types import Key, OrNull, Quantity, Reference, Text100, Url
from schemas.query_types import QueryFrom, QueryReferences, QueryTo
from schemas.time_types import Moment

_DELIVERED = "When it arrived, not before `shipped_at`; once it is set it stays"


class ShipmentLine(Body):
    """So many pieces of a line that are shipped."""

    order_detail_id: Reference
    quantity: Quantity


class ShipmentCreate(Create):
    """Goods of an order that are sent. Without `lines` all that is not shipped yet."""

    read_only: ClassVar[Mapping[str, Any]] = {**READ_ONLY, "order_id": Key}

    lines: Annotated[list[ShipmentLine], Field(min_length=1, max_length=MAX_LINES), InChunks(MAX_LINES)] = LEFT_OUT
    carrier: OrNull[Text100] = None
    tracking_number: OrNull[Text100] = None
    tracking_url: OrNull[Url] = None
    shipped_at: Moment = LEFT_OUT
    delivered_at: Moment | None = Field(default=None, description=_DELIVERED)


class ShippedLineRead(BaseModel):
    """So many pieces of a line that were shipped."""

    order_detail_id: Key
    quantity: int = Field(ge=1)


class ShipmentRead(Read):
    """Goods of an order that were sent. `delivered_at` is null while they are on their way."""

    order_id: Key
    carrier: str | None = Field(max_length=100)
    tracking_number: str | None = Field(max_length=100)
    tracking_url: str | None = Field(max_length=500)
    shipped_at: datetime
    delivered_at: datetime | None
    lines: list[ShippedLineRead]


class ShipmentUpdate(Update):
    """The fields of one shipment that are to change; the others stay as they are."""

    read_only: ClassVar[Mapping[str, Any]] = {
        **without_version(READ_ONLY),
        "order_id": Key,
        "shipped_at": datetime,
        "lines": list[dict[str, Any]],
    }

    carrier: OrNull[Text100] = LEFT_OUT
    tracking_number: OrNull[Text100] = LEFT_OUT
    tracking_url: OrNull[Url] = LEFT_OUT
    delivered_at: Moment | None = Field(default=None, description=_DELIVERED)


class OrderShipmentsQuery(ListQuery):
    """Filters of the shipments of one order. `date_from` and `date_to` are about the time of the shipment."""

    row: ClassVar[type[BaseModel]] = ShipmentRead

    date_from: QueryFrom | None = None
    date_to: QueryTo | None = None


class ShipmentQuery(OrderShipmentsQuery):
    """Filters of the list of shipments."""

    order_id: QueryReferences = ()
    client_id: QueryReferences = Field(default=(), examples=[[1]])
