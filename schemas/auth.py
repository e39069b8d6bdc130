"""Bodies and responses of `/auth`: registration, login, tokens, the own profile, passwords and addresses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from schemas.base import LEFT_OUT, READ_ONLY, Body, ListQuery, Read, Update, without_version
from schemas.client import ClientRead
from schemas.enumerations import Language
from schemas.field_types import Email, Flag, Key, Name100, OrNull, Reference, Telephone, Text200, Trimmed
from schemas.json_schema import without_default
from schemas.time_types import Timestamp
from schemas.user import Password, Username, UserRead
from security.password_rules import LONGEST

# Far longer than ours: whatever somebody holds is answered as a token that is not valid, and not as a malformed request.
_LONGEST_TOKEN = 200_000


GivenPassword = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=LONGEST),
    WithJsonSchema({"type": "string", "format": "password", "minLength": 1, "maxLength": LONGEST, "writeOnly": True}),
]
GivenToken = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=_LONGEST_TOKEN),
    Field(description="As the shop has given it"),
]
LoginName = Annotated[str, Trimmed(320, shortest=1), Field(description="The user name, or the e-mail address")]
_OAuth2Text = Annotated[str, StringConstraints(strict=True, max_length=1000)]


class Register(Body):
    """A new customer."""

    username: Username
    email: Email
    password: Password
    name: Name100
    lastname: Name100
    telephone: OrNull[Telephone] = None
    full_name: OrNull[Text200] = None
    language: Language = LEFT_OUT


class Login(Body):
    """A user name or an e-mail address, and the password. What else the password flow of OAuth 2.0 sends has no effect."""

    username: LoginName
    password: GivenPassword
    cookie: Flag = Field(default=False, description="Put the refresh token into a cookie, and not into the response")
    grant_type: Literal["password"] = LEFT_OUT
    scope: _OAuth2Text = LEFT_OUT
    client_id: _OAuth2Text = LEFT_OUT
    client_secret: _OAuth2Text = LEFT_OUT


class Refresh(Body):
    """The refresh token; left out, that of the cookie."""

    refresh_token: GivenToken = LEFT_OUT


class TokenBody(Body):
    """A token."""

    token: GivenToken


class GivenEmail(Body):
    """The address of the user."""

    email: Email


class NewPassword(Body):
    """The token of the mail, and the new password."""

    token: GivenToken
    password: Password


class MeUpdate(Update):
    """What is to change of the own profile. The last four fields may be sent back as they are, and not otherwise."""

    read_only: ClassVar[Mapping[str, Any]] = {
        **without_version(READ_ONLY),
        "last_login_at": datetime | None,
        "scopes": list[str],
    }

    username: Username = LEFT_OUT
    full_name: OrNull[Text200] = LEFT_OUT
    email: Annotated[Email, Field(description="Changes once the link of the mail that goes there was followed")] = (
        LEFT_OUT
    )
    password: Password = LEFT_OUT
    current_password: Annotated[GivenPassword, Field(description="Needed for a new password")] = LEFT_OUT
    role: Literal["customer", "staff", "admin"] = LEFT_OUT
    is_active: Flag = LEFT_OUT
    client_id: Reference | None = LEFT_OUT
    email_verified_at: Timestamp | None = LEFT_OUT


class MeRead(UserRead):
    """The own profile."""

    scopes: list[str] = Field(description="What the role opens")


class RegisteredRead(MeRead):
    """The new user. `client` is the client that they are; null while the address of a known client is not verified."""

    client: ClientRead | None


class Accepted(BaseModel):
    """What happens next is told by mail only."""

    message: str


class TokenPairRead(BaseModel):
    """The tokens of a session (RFC 6749)."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int = Field(description="Seconds until the access token expires", ge=1)
    refresh_token: str = Field(
        default="", description="Left out where it is in the cookie", json_schema_extra=without_default
    )


class TokenState(BaseModel):
    """Whether a token is valid; if it is, whose it is."""

    model_config = ConfigDict(json_schema_extra={"required": ["valid"]})

    valid: bool
    user_id: Key = LEFT_OUT
    username: str = LEFT_OUT
    role: Literal["customer", "staff", "admin"] = LEFT_OUT
    scopes: list[str] = LEFT_OUT
    expires_at: datetime = LEFT_OUT


class SessionRead(Read):
    """One login of the user."""

    device: str | None = Field(max_length=300, description="What the program has said of itself")
    address: str = Field(max_length=64, description="Where the login came from")
    expires_at: datetime
    is_current: bool = Field(description="Whether it is the session of this request")


class SessionQuery(ListQuery):
    """The pages of the own sessions."""

    row: ClassVar[type[BaseModel]] = SessionRead
