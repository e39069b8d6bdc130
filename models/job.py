"""Jobs of the background process: what the queue holds, and what procrastinate does not know about it.

The queue's own tables are the library's (migration 0018 makes them of its schema file), and only it and
`repositories.job_queue` change them. `Job` is a view of them.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, SmallInteger, String, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, list_index

# Tables that begin so belong to the library; Alembic does not compare them.
LIBRARY = "procrastinate_"
VIEW = "is_view"


class JobStatus(StrEnum):
    """What becomes of a job. One that is done is deleted."""

    QUEUED = "queued"
    RUNNING = "running"
    # After the last try. It is kept, with its error, until somebody retries or cancels it.
    FAILED = "failed"
    CANCELED = "canceled"


class QueuedJob(Base):
    """The library's table, as far as others refer to it."""

    __tablename__ = f"{LIBRARY}jobs"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class Job(Base):
    """One job, as its readers see it. `attempts` is how often it was started, and `progress` a number done of a total."""

    __tablename__ = "jobs"

    id_key: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    task: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    args: Mapped[dict[str, Any]] = mapped_column(JSONB)
    attempts: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    scheduled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    error: Mapped[str | None] = mapped_column(Text)
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSONB)

    __table_args__ = (
        list_index("jobs", "status"),
        list_index("jobs", "task"),
        {"info": {VIEW: True}},
    )


class JobNote(Base):
    """What is known of a job beside the queue: it lives as long as the job.

    `failures` are those since it was deferred or retried by hand, `deaths` the processes that died with it meanwhile.
    `done` of `total` is its progress, which the next try goes on from.
    """

    __tablename__ = "job_notes"

    job_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey(f"{LIBRARY}jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    failures: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    deaths: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    error: Mapped[str | None] = mapped_column(Text)
    done: Mapped[int | None] = mapped_column(BigInteger)
    total: Mapped[int | None] = mapped_column(BigInteger)


class JobSchedule(Base):
    """When a task is due next, by the clock of the database."""

    __tablename__ = "job_schedules"

    task: Mapped[str] = mapped_column(String(128), primary_key=True)
    cron: Mapped[str] = mapped_column(String(80))
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class EventRelay(Base):
    """How far the events were passed on: the last sequence of which jobs were made, or which the broker has confirmed.

    To the broker they are sent by one process at a time, the `holder` until `held_until` by the database's clock.
    """

    __tablename__ = "event_relays"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    last_sequence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    holder: Mapped[UUID | None]
    held_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
