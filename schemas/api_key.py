"""Bodies, responses and filters of API keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, Field

from schemas.base import READ_ONLY, Create, ListQuery, Read, update_of
from schemas.enumerations import Scope
from schemas.field_types import Name100
from schemas.query_types import QueryText
from schemas.time_types import Timestamp
from security.scopes import ALL_SCOPES


def _each_once(scopes: Sequence[str]) -> list[str]:
    return sorted(set(scopes))


class ApiKeyCreate(Create):
    """A new API key. Its scopes are some of those that its maker has."""

    read_only: ClassVar[Mapping[str, Any]] = {**READ_ONLY, "prefix": str, "last_used_at": datetime | None}

    name: Name100
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(ALL_SCOPES)), AfterValidator(_each_once)] = Field(
        description="What the key may do"
    )
    expires_at: Timestamp | None = Field(default=None, description="From when on it is refused; null for never")


ApiKeyUpdate = update_of(ApiKeyCreate)


class ApiKeyRead(Read):
    """An API key, without its secret."""

    name: str = Field(max_length=100)
    prefix: str = Field(max_length=12, description="The part behind `shop_`, by which people tell keys apart")
    scopes: list[Scope]
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="Exact to a minute")


class NewApiKeyRead(ApiKeyRead):
    """A new API key, with its secret. No other response shows it."""

    secret: str = Field(
        pattern=r"^shop_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$", description="To be sent as `X-API-Key`, or as a bearer token"
    )


class ApiKeyQuery(ListQuery):
    """Filters of the list of API keys."""

    row: ClassVar[type[BaseModel]] = ApiKeyRead

    name: QueryText | None = None
    prefix: QueryText | None = None
