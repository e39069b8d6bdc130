"""Users, and the clients that customers are."""

from datetime import datetime

from sqlalchemy import Boolean, DateTime, String, Text, true
from sqlalchemy.orm import Mapped, mapped_column

from models.audited_fields import SECRET
from models.base import Row, known, list_index, reference, unique_key
from models.text_key import email_key as form_of_email
from security.scopes import Role


class User(Row):
    """Somebody who can log in. `password_hash` is None for one who cannot until they set a password by mail."""

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(String(50))
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(Text, unique=True)
    full_name: Mapped[str | None] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(10), server_default=Role.CUSTOMER.value)
    is_active: Mapped[bool] = mapped_column(Boolean, server_default=true())
    client_id: Mapped[int | None] = mapped_column(reference("clients.id_key"), unique=True)
    email_verified_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_login_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    password_hash: Mapped[str | None] = mapped_column(Text, info=SECRET)

    __table_args__ = (
        known("role", Role),
        list_index("users", "created_at"),
        list_index("users", "email"),
        list_index("users", "username"),
        list_index("users", "role"),
        unique_key("users", "username"),
        unique_key("users", "email", "uq_users_email", form_of_email, kept_in="email_key"),
    )
