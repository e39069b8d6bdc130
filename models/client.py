"""Clients: the people who buy."""

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, list_index, text_index, unique_key
from models.text_key import email_key as form_of_email


class Client(Row):
    __tablename__ = "clients"

    name: Mapped[str] = mapped_column(String(100))
    lastname: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(320))
    # A trigger sets it for other programs that write by SQL.
    email_key: Mapped[str] = mapped_column(Text, unique=True)
    telephone: Mapped[str | None] = mapped_column(String(21))

    __table_args__ = (
        list_index("clients", "created_at"),
        list_index("clients", "email"),
        list_index("clients", "name"),
        list_index("clients", "lastname"),
        text_index("clients", "name"),
        text_index("clients", "lastname"),
        unique_key("clients", "email", "uq_clients_email", form_of_email, kept_in="email_key"),
    )
