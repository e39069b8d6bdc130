"""Sessions of users: one login each, which lives on by refresh tokens. A session that has ended is deleted."""

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Integer, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, list_index, reference


class UserSession(Row):
    """`generation` counts its refresh tokens; `replaced_at` are the times of the last replacements, the newest last."""

    __tablename__ = "user_sessions"

    user_id: Mapped[int] = mapped_column(BigInteger, reference("users.id_key", ondelete="CASCADE"))
    generation: Mapped[int] = mapped_column(Integer, server_default="0")
    replaced_at: Mapped[list[datetime]] = mapped_column(
        ARRAY(DateTime(timezone=True)), server_default=text("'{}'::timestamptz[]")
    )
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    device: Mapped[str | None] = mapped_column(String(300))
    address: Mapped[str] = mapped_column(String(64))

    __table_args__ = (
        list_index("user_sessions", "user_id"),
        list_index("user_sessions", "expires_at"),
    )
