"""An address of a client, deleted with the client; one of them may be the default."""

from sqlalchemy import Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, list_index, reference, text_index


class Address(Row):
    __tablename__ = "addresses"

    recipient: Mapped[str | None] = mapped_column(String(200))
    street: Mapped[str] = mapped_column(String(200))
    number: Mapped[str | None] = mapped_column(String(20))
    city: Mapped[str] = mapped_column(String(100))
    postcode: Mapped[str | None] = mapped_column(String(20))
    region: Mapped[str | None] = mapped_column(String(100))
    # The shop sends the one of its setting; the default is for programs that know none.
    country: Mapped[str] = mapped_column(String(2), server_default="ES")
    telephone: Mapped[str | None] = mapped_column(String(21))
    is_default: Mapped[bool] = mapped_column(server_default=false())
    client_id: Mapped[int] = mapped_column(reference("clients.id_key", ondelete="CASCADE"))

    __table_args__ = (
        list_index("addresses", "client_id"),
        list_index("addresses", "created_at"),
        list_index("addresses", "street"),
        list_index("addresses", "city"),
        list_index("addresses", "country"),
        text_index("addresses", "city"),
        text_index("addresses", "postcode"),
        Index("uq_addresses_client_id_default", "client_id", unique=True, postgresql_where=text("is_default")),
    )
