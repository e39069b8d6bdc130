"""Request bodies that are JSON or a form, as the password flow of OAuth 2.0 sends it (RFC 6749, 4.3)."""

from typing import Any
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError

from controllers.request_body import StrictRequest
from infrastructure.server.media_types import FORM

_MOST_FIELDS = 20
_FLAGS = {"true": True, "false": False}


class FormOrJsonRequest(StrictRequest):
    """A request whose body may be a form. Its fields become those of a JSON object."""

    async def read(self, *, parse: bool) -> None:
        if self.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
            await super().read(parse=parse)
            return
        self.require_plain()
        body = await self.body()
        if body:
            self.sent = _fields(body)


def _fields(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(body.decode("ascii"), max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise _malformed("The body is not a valid form of few fields") from error
    fields: dict[str, Any] = {}
    for name, text in pairs:
        if name in fields:
            raise _malformed("A field of the form is there twice")
        # The one field that is not a text.
        fields[name] = _FLAGS.get(text.lower(), text) if name == "cookie" else text
    return fields


def _malformed(message: str) -> RequestValidationError:
    return RequestValidationError([{"type": "form_invalid", "loc": ("body",), "msg": message}])
