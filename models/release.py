"""Releases: which version of the shop was started when, and by which host."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Release(Base):
    """One start of the shop on a machine, with all of its workers."""

    __tablename__ = "releases"

    id_key: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    release: Mapped[str] = mapped_column(String(40))
    commit: Mapped[str | None] = mapped_column(String(64))
    build_time: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    schema_revision: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(String(255))
    # By the clock of the host.
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (UniqueConstraint("host", "started_at"),)
