"""Where a client lives; it goes when the client goes."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, listed_by, reference, same_by


class Address(Row):
    __tablename__ = "addresses"

    street: Mapped[str] = mapped_column(String(200))
    number: Mapped[str | None] = mapped_column(String(20))
    city: Mapped[str] = mapped_column(String(100))
    client_id: Mapped[int] = mapped_column(reference("clients.id_key", ondelete="CASCADE"))

    __table_args__ = (
        listed_by("addresses", "client_id"),
        listed_by("addresses", "created_at"),
        listed_by("addresses", "street"),
        listed_by("addresses", "city"),
        same_by("addresses", "city"),
    )
