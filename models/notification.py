"""Notifications: what somebody is told by mail, SMS or push message, and whether it has gone out."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Index, SmallInteger, String, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, known, list_index, reference
from models.client import Channel


class NotificationStatus(StrEnum):
    """What becomes of a notification."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    # The client wants none by this channel.
    SUPPRESSED = "suppressed"


class NotificationKind(StrEnum):
    """What a notification says. The first five are for clients, the others for staff."""

    ORDER_PLACED = "order_placed"
    ORDER_ON_ITS_WAY = "order_on_its_way"
    ORDER_DELIVERED = "order_delivered"
    ORDER_CANCELED = "order_canceled"
    MONEY_RETURNED = "money_returned"
    STOCK_LOW = "stock_low"
    WEBHOOK_ENDPOINT_OFF = "webhook_endpoint_off"
    JOB_DEAD = "job_dead"
    INVARIANTS_BROKEN = "invariants_broken"


class Notification(Row):
    """One for each event, recipient and channel, however often the event is read.

    `event_id` is that of the event, or made of what happened where no event tells it; then `fields` has what the template
    names. `tries` counts refusals since it was queued. While an attempt at the job `taken_by` sends it, `next_try_at` is when
    others may; NULL is at once.
    """

    __tablename__ = "notifications"

    event_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(30))
    channel: Mapped[str] = mapped_column(String(4))
    recipient: Mapped[str] = mapped_column(String(320))
    client_id: Mapped[int | None] = mapped_column(reference("clients.id_key", ondelete="CASCADE"))
    language: Mapped[str] = mapped_column(String(2))
    status: Mapped[str] = mapped_column(String(10), server_default=NotificationStatus.QUEUED)
    tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    error: Mapped[str | None] = mapped_column(String(500))
    sent_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    next_try_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    queued_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    resends: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    taken_by: Mapped[int | None] = mapped_column(BigInteger)
    fields: Mapped[dict[str, Any]] = mapped_column(JSONB(none_as_null=True), server_default=text("'{}'"))

    __table_args__ = (
        known("kind", NotificationKind),
        known("channel", Channel),
        known("status", NotificationStatus),
        UniqueConstraint("event_id", "recipient", "channel"),
        list_index("notifications", "created_at"),
        list_index("notifications", "status"),
        list_index("notifications", "channel"),
        list_index("notifications", "kind"),
        list_index("notifications", "client_id"),
        Index(
            "ix_notifications_queue",
            text("next_try_at NULLS FIRST"),
            "id_key",
            postgresql_where=text("status = 'queued'"),
        ),
        Index("ix_notifications_taken_by", "taken_by", postgresql_where=text("taken_by IS NOT NULL")),
    )
