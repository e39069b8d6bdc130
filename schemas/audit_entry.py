"""Responses and filters of the audit trail."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from schemas.base import ListQuery
from schemas.field_types import Key
from schemas.query_types import QueryFrom, QueryReferences, QueryText, QueryTo

_OldAndNew = Annotated[list[Any], Field(min_length=2, max_length=2)]


class AuditEntryRead(BaseModel):
    """One entry: who did what to one row."""

    id_key: Key
    at: datetime
    actor: str = Field(max_length=40, description="`user:7`, `key:3`, or `system` for scripts")
    action: str = Field(max_length=80, description="The `operationId` of the call, or the name of the script")
    resource: str = Field(max_length=40)
    resource_id: Key | None
    changes: dict[str, _OldAndNew] = Field(
        description="Of each field that changed the old and the new value; never a password, token or key"
    )
    request_id: str | None = Field(max_length=128)
    address: str | None = Field(max_length=64)


class AuditEntryQuery(ListQuery):
    """Filters of the audit trail."""

    row: ClassVar[type[BaseModel]] = AuditEntryRead

    actor: QueryText | None = None
    action: QueryText | None = None
    resource: QueryText | None = None
    resource_id: QueryReferences = ()
    at_from: QueryFrom | None = None
    at_to: QueryTo | None = None
