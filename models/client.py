"""Clients: the people who buy."""

from enum import StrEnum

from sqlalchemy import Index, String, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, known, list_index, text_index, unique_key
from models.text_key import email_key as form_of_email

# The searched text: the words of name, e-mail and telephone, normalized by the SQL function `search_text`. With the
# brackets that PostgreSQL adds, so that Alembic sees no difference.
SEARCHED_TEXT = (
    "search_text((((((name || ' ') || lastname) || ' ') || email) || ' ') || coalesce(telephone, ''), false)"
)
SEARCHED_WORDS = f"string_to_array(btrim({SEARCHED_TEXT}), ' ')"
# The digits of the telephone number from its end, by which it is found without the code of its country.
DIGITS_BACKWARDS = "reverse(regexp_replace(telephone, '[^0-9]', '', 'g'))"


class Language(StrEnum):
    """The language in which somebody is written to."""

    ENGLISH = "en"
    SPANISH = "es"


class Channel(StrEnum):
    """A way to tell somebody something."""

    # In the order of JSONB, so that every response has the same.
    SMS = "sms"
    MAIL = "mail"
    PUSH = "push"


# A client is told by every channel that the shop has, until they say otherwise.
EVERY_CHANNEL = {str(channel): True for channel in Channel}


class Client(Row):
    __tablename__ = "clients"

    name: Mapped[str] = mapped_column(String(100))
    lastname: Mapped[str] = mapped_column(String(100))
    email: Mapped[str] = mapped_column(String(320))
    # A trigger sets it for other programs that write by SQL.
    email_key: Mapped[str] = mapped_column(Text, unique=True)
    telephone: Mapped[str | None] = mapped_column(String(21))
    language: Mapped[str] = mapped_column(String(2), server_default=Language.ENGLISH)
    # Each channel with whether it is on.
    notify: Mapped[dict[str, bool]] = mapped_column(
        JSONB(none_as_null=True), server_default=text("""'{"sms": true, "mail": true, "push": true}'""")
    )

    __table_args__ = (
        known("language", Language),
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
