"""An address of a client, deleted with the client."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, list_index, reference, text_index


class Address(Row):
    __tablename__ = "addresses"

    street: Mapped[str] = mapped_column(String(200))
    number: Mapped[str | None] = mapped_column(String(20))
    city: Mapped[str] = mapped_column(String(100))
    client_id: Mapped[int] = mapped_column(reference("clients.id_key", ondelete="CASCADE"))

    __table_args__ = (
        list_index("addresses", "client_id"),
        list_index("addresses", "created_at"),
        list_index("addresses", "street"),
        list_index("addresses", "city"),
        text_index("addresses", "city"),
    )
