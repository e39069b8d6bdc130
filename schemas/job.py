"""Responses and filters of jobs."""

from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from schemas.base import ListQuery
from schemas.enumerations import JobStatus
from schemas.field_types import Key
from schemas.query_types import QueryJobStatuses, QueryText


class JobRead(BaseModel):
    """A job of the background process. One that is done is gone."""

    id_key: Key
    task: str = Field(max_length=128, description="What is to be done")
    status: JobStatus
    args: dict[str, Any] = Field(description="What the task is given")
    attempts: int = Field(ge=0, description="How often it was started")
    created_at: datetime | None
    scheduled_at: datetime | None = Field(description="Not before this time; null for as soon as possible")
    started_at: datetime | None = Field(description="When the last attempt began")
    error: str | None = Field(description="Why the last attempt failed")
    progress: dict[str, int | None] | None = Field(
        description="`done` of `total`, which is null where nobody knows; null for tasks that do not tell"
    )


class JobQuery(ListQuery):
    """Filters of the list of jobs."""

    row: ClassVar[type[BaseModel]] = JobRead

    status: QueryJobStatuses = ()
    task: QueryText | None = None
