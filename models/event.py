"""Events: what happened in the shop, written in the transaction of the change and frozen there."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, DateTime, Identity, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base

# What a reader can see: the sequencer has given it a place in the order of reading.
_READABLE = text("sequence IS NOT NULL")
_OF_CLIENTS = text("sequence IS NOT NULL AND client_id IS NOT NULL")


class EventType(StrEnum):
    """What an event may be about: the kind of thing, and what happened to it."""

    ORDER_CREATED = "order.created"
    ORDER_UPDATED = "order.updated"
    ORDER_STATUS_CHANGED = "order.status_changed"
    ORDER_CANCELED = "order.canceled"
    ORDER_DELETED = "order.deleted"
    ORDER_RETURNED = "order.returned"
    PRODUCT_CREATED = "product.created"
    PRODUCT_UPDATED = "product.updated"
    PRODUCT_PRICE_CHANGED = "product.price_changed"
    PRODUCT_DELETED = "product.deleted"
    STOCK_LOW = "stock.low"
    STOCK_OUT = "stock.out"
    STOCK_BACK = "stock.back"
    CLIENT_CREATED = "client.created"
    CLIENT_UPDATED = "client.updated"
    CLIENT_DELETED = "client.deleted"
    USER_REGISTERED = "user.registered"
    CATEGORY_CREATED = "category.created"
    CATEGORY_UPDATED = "category.updated"
    CATEGORY_DELETED = "category.deleted"
    REVIEW_CREATED = "review.created"
    REVIEW_UPDATED = "review.updated"
    REVIEW_DELETED = "review.deleted"
    # Of an import or a bulk call of very many rows, instead of one event for each.
    CATALOG_IMPORTED = "catalog.imported"


class Event(Base):
    """One thing that happened; `data` is what it was about, as it was then.

    `position` is filled when the row is written, under the lock of what the event is about, so that the events of one
    resource have increasing positions. Transactions commit in another order, so readers do not go by it: `sequence` is
    given to committed rows only, by the one sequencer at a time (`repositories.event`), and a reader who goes on after the
    last sequence that it saw misses nothing.
    """

    __tablename__ = "events"

    # Not `uuidv7()`, which PostgreSQL has since version 18 only.
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.event_id())
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String(40))
    resource: Mapped[str] = mapped_column(String(40))
    resource_id: Mapped[int | None] = mapped_column(BigInteger)
    # Whose order it is about; a customer reads those events.
    client_id: Mapped[int | None] = mapped_column(BigInteger)
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    actor: Mapped[str | None] = mapped_column(String(40))
    request_id: Mapped[str | None] = mapped_column(String(128))
    trace_parent: Mapped[str | None] = mapped_column(String(55))
    # Not JSONB, which sorts the members and costs more to write.
    data: Mapped[dict[str, Any]] = mapped_column(JSON)

    # A transaction writes into the first two indexes only; the others wait for the sequencer.
    __table_args__ = (
        Index("ix_events_unsequenced", "position", postgresql_where=text("sequence IS NULL")),
        Index("ix_events_sequence", "sequence", postgresql_where=_READABLE),
        Index("ix_events_type", "type", "sequence", postgresql_where=_READABLE),
        Index("ix_events_resource_id", "resource_id", "sequence", postgresql_where=_READABLE),
        Index("ix_events_resource_id_type", "resource_id", "type", "sequence", postgresql_where=_READABLE),
        Index("ix_events_client_id", "client_id", "sequence", postgresql_where=_OF_CLIENTS),
        Index("ix_events_client_id_type", "client_id", "type", "sequence", postgresql_where=_OF_CLIENTS),
    )
