"""People who buy."""

import unicodedata

from sqlalchemy import Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, listed_by


def email_key(email: str) -> str:
    """The form under which two writings of one address are equal: composed (NFC), then case-folded.

    It is computed here because PostgreSQL's `lower()` depends on the locale of the database.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())


class Client(Row):
    __tablename__ = "clients"

    name: Mapped[str] = mapped_column(String(100))
    lastname: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(640), unique=True)
    telephone: Mapped[str | None] = mapped_column(String(21))

    __table_args__ = (
        listed_by("clients", "created_at"),
        listed_by("clients", "email"),
        listed_by("clients", "name"),
        listed_by("clients", "lastname"),
        Index("ix_clients_name_lower", func.lower(name), "id_key"),
        Index("ix_clients_lastname_lower", func.lower(lastname), "id_key"),
        Index("uq_clients_email", func.lower(email), unique=True),
    )
