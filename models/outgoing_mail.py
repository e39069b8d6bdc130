"""Mails that are to be sent. The transaction that a mail is about makes its row; a sent mail is deleted."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Identity, SmallInteger, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, list_index, reference


class OutgoingMail(Base):
    """`fields` is what the text of the template names; the token is not among them, it is derived when the mail is sent.

    A mail goes with its token: where that was used or replaced, there is nothing to be sent.
    """

    __tablename__ = "outgoing_mails"

    id_key: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    template: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[str] = mapped_column(String(320))
    fields: Mapped[dict[str, str]] = mapped_column(JSONB)
    token_id: Mapped[int | None] = mapped_column(reference("account_tokens.id_key", ondelete="CASCADE"))
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    next_attempt_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    __table_args__ = (
        list_index("outgoing_mails", "token_id"),
        list_index("outgoing_mails", "next_attempt_at"),
    )
