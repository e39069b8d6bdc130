"""Clients: the people who buy."""

from sqlalchemy import Index, String, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, list_index, text_index, unique_key
from models.text_key import email_key as form_of_email

# The searched text: the words of name, e-mail and telephone, normalized by the SQL function `search_text`. With the
# brackets that PostgreSQL adds, so that Alembic sees no difference.
SEARCHED_TEXT = (
    "search_text((((((name || ' ') || lastname) || ' ') || email) || ' ') || coalesce(telephone, ''), false)"
)
SEARCHED_WORDS = f"string_to_array(btrim({SEARCHED_TEXT}), ' ')"
# The digits of the telephone number from its end, by which it is found without the code of its country.
DIGITS_BACKWARDS = "reverse(regexp_replace(telephone, '[^0-9]', '', 'g'))"


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
        Index("ix_clients_words", text(SEARCHED_WORDS), postgresql_using="gin"),
        Index(
            "ix_clients_telephone_end",
            func.reverse(func.regexp_replace(telephone, "[^0-9]", "", "g")).label("telephone_end"),
            postgresql_ops={"telephone_end": "text_pattern_ops"},
        ),
        unique_key("clients", "email", "uq_clients_email", form_of_email, kept_in="email_key"),
    )
