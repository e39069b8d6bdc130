"""Bodies, responses and filters of users."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, WithJsonSchema

from models.text_key import email_key
from schemas.base import LEFT_OUT, READ_ONLY, Create, ListQuery, Read, update_of
from schemas.enumerations import Role
from schemas.field_types import Email, Flag, Key, OrNull, Reference, Text200
from schemas.query_types import QueryFlag, QueryReferences, QueryRoles, QueryText
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

# The defaults of the table, which the values of fields that were left out are never used for (see `Body.sent`).
_CUSTOMER: Any = Field(default=None, json_schema_extra={"default": "customer"})
_ACTIVE: Any = Field(default=None, json_schema_extra={"default": True})


class UserCreate(Create):
    """A new user. Without a password they cannot log in before they set one by mail."""

    read_only: ClassVar[Mapping[str, Any]] = {
        **READ_ONLY,
        "email_verified_at": datetime | None,
        "last_login_at": datetime | None,
    }

    username: Username
    email: Email
    full_name: OrNull[Text200] = None
    role: Role = _CUSTOMER
    is_active: Flag = _ACTIVE
    client_id: Reference | None = Field(default=None, description="The client that a customer is")
    password: Password = LEFT_OUT


UserUpdate = update_of(UserCreate)


class UserRead(Read):
    """A user."""

    username: str = Field(max_length=50)
    email: str = Field(max_length=320)
    full_name: str | None = Field(max_length=200)
    role: Role
    is_active: bool
    client_id: Key | None
    email_verified_at: datetime | None
    last_login_at: datetime | None


class UserQuery(ListQuery):
    """Filters of the list of users."""

    row: ClassVar[type[BaseModel]] = UserRead

    username: QueryText | None = None
    email: Annotated[QueryText, AfterValidator(email_key)] | None = None
    role: QueryRoles = ()
    is_active: QueryFlag | None = Field(default=None, description="Only users who may log in, or who may not")
    client_id: QueryReferences = ()
