"""Bodies, responses and filters of clients."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, Field

from models.text_key import email_key
from schemas.base import Create, ListQuery, Read, update_of
from schemas.field_types import Email, Name100, OrNull, Telephone
from schemas.query_types import QueryText


class ClientCreate(Create):
    """A new client."""

    name: Name100
    lastname: Name100
    email: Email
    telephone: OrNull[Telephone] = None


ClientUpdate = update_of(ClientCreate)


class ClientRead(Read):
    """A client."""

    name: str = Field(max_length=100)
    lastname: str = Field(max_length=100)
    email: str = Field(max_length=320)
    telephone: str | None = Field(max_length=21)


_SEARCH = (
    "Words of any script in name, e-mail and telephone, all of which have to be there; or the end of a telephone number, "
    "from six digits on. Case and accents make no difference. Without a letter or digit nothing is found."
)


class ClientQuery(ListQuery):
    """Filters of the list of clients."""

    row: ClassVar[type[BaseModel]] = ClientRead

    email: Annotated[QueryText, AfterValidator(email_key)] | None = None
    name: QueryText | None = None
    lastname: QueryText | None = None
    q: QueryText | None = Field(default=None, description=_SEARCH, examples=["ada lovelace"])
