"""Responses and filters of notifications."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.base import ListQuery, Read
from schemas.enumerations import Channel, Language, NotificationKind, NotificationStatus
from schemas.field_types import Key
from schemas.query_types import QueryChannels, QueryNotificationKinds, QueryNotificationStatuses, QueryReferences


class NotificationRead(Read):
    """What somebody is told by one channel."""

    event_id: UUID = Field(description="The event that it tells of, or what stands for one where no event tells it")
    kind: NotificationKind
    channel: Channel
    recipient: str = Field(
        max_length=320, description="An e-mail address, a telephone number, or the key of the client"
    )
    client_id: Key | None = Field(description="The client who is told; null for staff")
    language: Language
    status: NotificationStatus
    tries: int = Field(ge=0, description="How often it was refused since it was queued; the fifth is the last")
    error: str | None = Field(max_length=500, description="Why it was not sent the last time")
    sent_at: datetime | None
    next_try_at: datetime | None = Field(description="Not before this time; null for as soon as possible, or never")


class NotificationQuery(ListQuery):
    """Filters of the list of notifications."""

    row: ClassVar[type[BaseModel]] = NotificationRead

    status: QueryNotificationStatuses = ()
    channel: QueryChannels = ()
    kind: QueryNotificationKinds = ()
    client_id: QueryReferences = ()
