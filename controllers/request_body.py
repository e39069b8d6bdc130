"""Request bodies: JSON only, not compressed, and with a limited number of values."""

from collections import deque
from email.message import Message
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from infrastructure.cache.lru_cache import lru_cached_of_short
from infrastructure.server.media_types import ACCEPT_PATCH, JSON
from schemas.json_codec import MalformedJson, TooManyValues, from_json

# Stands for an absent value; null is a value.
MISSING: Any = object()

# The result for a longer Content-Type is not cached.
_LONGEST_TYPE = 200


class StrictRequest(Request):
    """A request whose JSON is parsed by `schemas.json_codec`."""

    # The parsed body, or its chunks of bytes if the endpoint parses them itself.
    sent: Any = MISSING
    # The error, if `sent` is only the beginning of the body.
    cut_off: TooManyValues | None = None

    async def json(self) -> Any:
        """The body; None if there is none."""
        return None if self.sent is MISSING else self.sent

    async def read(self, *, parse: bool) -> None:
        """Read the body, and parse it if `parse` is true. Raises 415 for other media types, and 422 for invalid JSON."""
        body = await self.body() if parse else deque([chunk async for chunk in self.stream() if chunk])
        if not body:
            return
        self.require_plain()
        self._require_json()
        try:
            self.sent = from_json(body) if isinstance(body, bytes) else body
        except TooManyValues as error:
            self.sent, self.cut_off = error.first, error
        except MalformedJson as error:
            raise RequestValidationError([not_json(error)]) from None

    def require_plain(self) -> None:
        """Raise 415 for a compressed body."""
        codings = ",".join(self.headers.getlist("content-encoding")).split(",")
        if any(coding.strip().lower() not in ("", "identity") for coding in codings):
            raise HTTPException(415, "The body must not be compressed", {"Accept-Encoding": "identity"})

    def _require_json(self) -> None:
        if not _is_json(self.headers.get("content-type", "")):
            # A PATCH gets both headers: clients read one or the other.
            patch = {"Accept-Patch": ACCEPT_PATCH} if self.method == "PATCH" else {}
            accepted = {"Accept": JSON, **patch}
            raise HTTPException(415, f"The body must be JSON: send Content-Type: {JSON}", accepted)


def not_json(error: MalformedJson) -> dict[str, Any]:
    """The error for a body that is not valid JSON."""
    return {"type": "json_invalid", "loc": ("body",), "msg": f"The body is not valid JSON: {error}"}


def with_cut_off(errors: list[dict[str, Any]], cut_off: TooManyValues | None) -> list[dict[str, Any]]:
    """The errors of a value that may be cut off: then fields that seem missing may have come later."""
    if cut_off is None:
        return errors
    return [*(error for error in errors if error["type"] != "missing"), not_json(cut_off)]


@partial(lru_cached_of_short, longest=_LONGEST_TYPE, number=100)
def _is_json(content_type: str) -> bool:
    message = Message()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))
