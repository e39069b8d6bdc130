"""Bodies, responses and filters of clients."""

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, Field

from models.client import EVERY_CHANNEL
from models.text_key import email_key
from schemas.base import LEFT_OUT, Body, Create, ListQuery, Read, update_of
from schemas.enumerations import Language
from schemas.field_types import Email, Flag, Name100, OrNull, Telephone
from schemas.query_types import QueryText


class Notify(Body):
    """By which channels the client is told of their orders. One that is left out is on for a new client, and else stays as it is."""

    sms: Flag = LEFT_OUT
    mail: Flag = LEFT_OUT
    push: Flag = LEFT_OUT


def _every_channel(given: Notify) -> dict[str, Any]:
    return EVERY_CHANNEL | given.sent()


class NotifyRead(BaseModel):
    """By which channels the client is told of their orders."""

    sms: bool
    mail: bool
    push: bool


class ClientCreate(Create):
    """A new client."""

    name: Name100
    lastname: Name100
    email: Email
    telephone: OrNull[Telephone] = None
    language: Language = "en"
    notify: Annotated[Notify, AfterValidator(_every_channel)] = LEFT_OUT


ClientUpdate = update_of(ClientCreate, notify=Annotated[Notify, AfterValidator(Notify.sent)])


class ClientRead(Read):
    """A client."""

    name: str = Field(max_length=100)
    lastname: str = Field(max_length=100)
    email: str = Field(max_length=320)
    telephone: str | None = Field(max_length=21)
    language: Language
    notify: NotifyRead


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
