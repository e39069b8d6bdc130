"""The audit trail: who changed what, written in the transaction of the change, and never changed itself."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, list_index


class AuditEntry(Base):
    """`changes` has for each field its old and its new value; secrets are not among them."""

    __tablename__ = "audit_entries"
    __mapper_args__ = {"eager_defaults": True}

    id_key: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    actor: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(80))
    resource: Mapped[str] = mapped_column(String(40))
    resource_id: Mapped[int | None] = mapped_column(BigInteger)
    changes: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[str | None] = mapped_column(String(128))
    address: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        list_index("audit_entries", "at"),
        list_index("audit_entries", "actor"),
        list_index("audit_entries", "action"),
        list_index("audit_entries", "resource_id"),
    )
