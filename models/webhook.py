"""Webhook endpoints, and what is delivered to them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.audited_fields import SECRET
from models.base import Row, known, list_index, reference

_IS_PENDING = text("status = 'pending'")


class DeliveryStatus(StrEnum):
    """What has become of a delivery."""

    # It is sent now, or waits for its next try.
    PENDING = "pending"
    DELIVERED = "delivered"
    # After the last try, or because the endpoint is gone.
    FAILED = "failed"


class WebhookEndpoint(Row):
    """Where events of some types are sent to. Its secret signs them, after a rotation together with the one before."""

    __tablename__ = "webhook_endpoints"

    url: Mapped[str] = mapped_column(String(2000))
    types: Mapped[list[str]] = mapped_column(ARRAY(String(40)))
    description: Mapped[str | None] = mapped_column(String(500))
    active: Mapped[bool] = mapped_column(Boolean, server_default=true())
    # None while the last try of any delivery has succeeded.
    failing_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # Both encrypted (`security.secret_box`).
    secret: Mapped[bytes] = mapped_column(LargeBinary, info=SECRET)
    previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary, info=SECRET)
    previous_secret_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # The owner; None where no user has made it.
    user_id: Mapped[int | None] = mapped_column(reference("users.id_key", ondelete="SET NULL"))
    # What was asked for by a redelivery: events behind the one, up to the other. None where there is nothing left of it.
    replay_after: Mapped[int | None] = mapped_column(BigInteger)
    replay_until: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        list_index("webhook_endpoints", "created_at"),
        list_index("webhook_endpoints", "active"),
        list_index("webhook_endpoints", "user_id"),
    )


class WebhookDelivery(Row):
    """An event on its way to an endpoint, once for each of both.

    `tries` counts all tries, and names the one that is under way: only that one says how it has ended. `failures` are those
    since it was to be sent, or sent again. While a try is under way `next_try_at` is when somebody else may take it over.
    """

    __tablename__ = "webhook_deliveries"

    endpoint_id: Mapped[int] = mapped_column(reference("webhook_endpoints.id_key", ondelete="CASCADE"))
    # The name of the event, also where that is not kept any more; of a test, which is no event, a name of its own.
    event_id: Mapped[UUID] = mapped_column(server_default=func.event_id())
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String(40))
    resource: Mapped[str] = mapped_column(String(40))
    resource_id: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(9), server_default=DeliveryStatus.PENDING.value)
    tries: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    failures: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    # One element for each try that has ended: the status of the answer, if there was one, and milliseconds.
    codes: Mapped[list[int | None]] = mapped_column(ARRAY(Integer), server_default="{}")
    durations: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}")
    error: Mapped[str | None] = mapped_column(Text)
    next_try_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        known("status", DeliveryStatus),
        list_index("webhook_deliveries", "created_at"),
        list_index("webhook_deliveries", "endpoint_id", "status"),
        list_index("webhook_deliveries", "status"),
        Index("uq_webhook_deliveries_event_id_endpoint_id", "event_id", "endpoint_id", unique=True),
        # What is due, and what has to wait for an earlier event about the same.
        Index("ix_webhook_deliveries_due", "endpoint_id", "next_try_at", "sequence", postgresql_where=_IS_PENDING),
        Index(
            "ix_webhook_deliveries_order",
            "endpoint_id",
            "resource_id",
            "resource",
            "sequence",
            postgresql_where=_IS_PENDING,
        ),
    )
