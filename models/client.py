"""People who buy."""

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, listed_by, same_by, unique_by
from models.text_key import email_key as form_of_email


class Client(Row):
    __tablename__ = "clients"

    name: Mapped[str] = mapped_column(String(100))
    lastname: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(320))
    # A trigger fills it for those who write past the shop.
    email_key: Mapped[str] = mapped_column(Text, unique=True)
    telephone: Mapped[str | None] = mapped_column(String(21))

    __table_args__ = (
        listed_by("clients", "created_at"),
        listed_by("clients", "email"),
        listed_by("clients", "name"),
        listed_by("clients", "lastname"),
        same_by("clients", "name"),
        same_by("clients", "lastname"),
        unique_by("clients", "email", "uq_clients_email", form_of_email, kept_in="email_key"),
    )
