"""Bodies, responses and filters of webhook endpoints and deliveries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit
from uuid import UUID

import httpx
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StringConstraints, WithJsonSchema

from schemas.base import READ_ONLY, Body, Create, ListQuery, Read, update_of
from schemas.enumerations import DeliveryStatus
from schemas.event import NO_TYPES, TYPE_PATTERNS
from schemas.field_types import Flag, Key, OrNull, Text500, as_integer, refusal, without_nul
from schemas.json_schema import integer_schema
from schemas.query_types import QueryDeliveryStatuses, QueryFlag, QueryReferences
from security.webhook_signature import SECRET_PATTERN

_LONGEST_URL = 2000
_HIGHEST_PORT = 65_535
_NO_URL = "must be a URL such as https://example.com/hooks, without a user and without a part behind #"
_SECRET = "What signs the deliveries, by Standard Webhooks; no other response shows it"  # noqa: S105 (a description)


def _url(text: str) -> str:
    """The text itself, kept as it was sent. Both readings of it have to agree on where it leads."""
    try:
        parts, url = urlsplit(text), httpx.URL(text)
        port = parts.port
    except (ValueError, httpx.InvalidURL):
        raise refusal(_NO_URL) from None
    is_plain = text.isprintable() and not any(char.isspace() or char == "\\" for char in text)
    has_host = bool(parts.hostname and url.raw_host) and (port is None or 1 <= port <= _HIGHEST_PORT)
    if not (is_plain and has_host and url.scheme in ("http", "https")) or "@" in parts.netloc or "#" in text:
        raise refusal(_NO_URL)
    return text


def _each_once(patterns: Sequence[str]) -> list[str]:
    return sorted(set(patterns))


def _type_pattern(value: Any) -> Any:
    if value not in TYPE_PATTERNS:
        raise refusal(NO_TYPES)
    return value


WebhookUrl = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, max_length=_LONGEST_URL),
    AfterValidator(without_nul),
    AfterValidator(_url),
    WithJsonSchema({"type": "string", "format": "uri", "minLength": 1, "maxLength": _LONGEST_URL}),
]
_TypePattern = Annotated[
    str, BeforeValidator(_type_pattern), WithJsonSchema({"type": "string", "enum": list(TYPE_PATTERNS)})
]

# The largest that every reader of JSON takes as it is; no shop has so many events.
_MAX_SEQUENCE = 2**53 - 1


class WebhookEndpointCreate(Create):
    """Where events are to be sent to, and which."""

    read_only: ClassVar[Mapping[str, Any]] = {
        **READ_ONLY,
        "failing_since": datetime | None,
        "previous_secret_until": datetime | None,
        "user_id": Key | None,
    }

    url: WebhookUrl = Field(description="Where to: https, and no address of the inside")
    types: Annotated[
        list[_TypePattern], Field(min_length=1, max_length=len(TYPE_PATTERNS)), AfterValidator(_each_once)
    ] = Field(
        description="Types of events; order.* stands for all that begin so, also those of later releases, and * for all"
    )
    description: OrNull[Text500] = None
    active: Flag = Field(default=True, description="Whether anything is sent")


WebhookEndpointUpdate = update_of(WebhookEndpointCreate)


class WebhookEndpointRead(Read):
    """An endpoint, without its secret."""

    url: str = Field(max_length=_LONGEST_URL)
    types: list[str]
    description: str | None = Field(max_length=500)
    active: bool
    failing_since: datetime | None = Field(
        description="Since when no try has succeeded; after 5 days it is switched off"
    )
    previous_secret_until: datetime | None = Field(
        description="Until then the secret of before the last rotation signs as well"
    )
    user_id: Key | None = Field(description="Its owner, who is told by mail when it is switched off")


class NewWebhookEndpointRead(WebhookEndpointRead):
    """An endpoint with its new secret."""

    secret: str = Field(pattern=SECRET_PATTERN, description=_SECRET)


class WebhookEndpointQuery(ListQuery):
    """Filters of the list of endpoints."""

    row: ClassVar[type[BaseModel]] = WebhookEndpointRead

    active: QueryFlag | None = None
    user_id: QueryReferences = ()


class WebhookRedelivery(Body):
    """From where on events are sent again."""

    after: Annotated[
        int, BeforeValidator(as_integer), Field(strict=True, ge=0, le=_MAX_SEQUENCE), integer_schema(0, _MAX_SEQUENCE)
    ] = Field(description="The `sequence` behind which events are sent again; 0 for all that are kept")


class WebhookDeliveryRead(Read):
    """An event on its way to an endpoint."""

    endpoint_id: Key
    event_id: UUID = Field(description="The id of the event, which is the `webhook-id` of every try")
    sequence: Key | None = Field(description="The place of the event in the order of reading; null for a test")
    type: str = Field(max_length=40)
    status: DeliveryStatus
    tries: int = Field(ge=0, description="How often it was tried; a try that is under way counts")
    codes: list[int | None] = Field(description="The status of each answer; null where there was none")
    durations: list[int] = Field(description="Of each try that has ended, in milliseconds")
    error: str | None = Field(description="Why the last try failed")
    next_try_at: datetime | None = Field(description="When it is tried next; null if it is not tried any more")


class EndpointDeliveriesQuery(ListQuery):
    """Filters of the deliveries to one endpoint."""

    row: ClassVar[type[BaseModel]] = WebhookDeliveryRead

    status: QueryDeliveryStatuses = ()


class WebhookDeliveryQuery(EndpointDeliveriesQuery):
    """Filters of the list of deliveries."""

    endpoint_id: QueryReferences = ()
