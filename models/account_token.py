"""Tokens that are sent by mail: to verify an address, to change it, to set a new password. Each works once."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, DateTime, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from models.audited_fields import SECRET
from models.base import Row, known, list_index, reference


class TokenPurpose(StrEnum):
    """What a token is good for."""

    VERIFY_EMAIL = "verify_email"
    CHANGE_EMAIL = "change_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 (a purpose)


class AccountToken(Row):
    """`secret_hash` is the SHA-256 of the token; `email` the address that it was sent to. A used token is deleted."""

    __tablename__ = "account_tokens"

    user_id: Mapped[int] = mapped_column(BigInteger, reference("users.id_key", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(String(20))
    email: Mapped[str] = mapped_column(String(320))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True, info=SECRET)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        known("purpose", TokenPurpose),
        list_index("account_tokens", "user_id"),
        list_index("account_tokens", "expires_at"),
    )
