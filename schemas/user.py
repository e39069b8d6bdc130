"""Bodies and responses of users."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, WithJsonSchema

from schemas.base import Read
from schemas.field_types import Key
from security.password_rules import LONGEST, SHORTEST

Username = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=3, max_length=50, pattern=r"^[A-Za-z0-9._-]+$"),
    Field(description="Letters, digits, dots, underscores and hyphens"),
]
# Any characters: nothing is trimmed. Which passwords are refused beyond that is `security.password_rules`.
Password = Annotated[
    str,
    StringConstraints(strict=True, min_length=SHORTEST, max_length=LONGEST),
    WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "minLength": SHORTEST,
            "maxLength": LONGEST,
            "writeOnly": True,
            "description": "Never shown. Common passwords, and the names of the user or of the shop, are refused",
        }
    ),
]


class UserRead(Read):
    """A user."""

    username: str = Field(max_length=50)
    email: str = Field(max_length=320)
    full_name: str | None = Field(max_length=200)
    role: Literal["customer", "staff", "admin"]
    is_active: bool
    client_id: Key | None
    email_verified_at: datetime | None
    last_login_at: datetime | None
