"""Reads the Idempotency-Key of a request."""

import re

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from services.idempotency import KeyedRequest, fingerprint

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


async def keyed_request(request: Request) -> KeyedRequest | None:
    """The keyed request, or None when it is no POST or carries no key. Raises 422 for a key that is none."""
    lines = request.headers.getlist("idempotency-key")
    if request.method != "POST" or not lines:
        return None
    # Several lines are one value to HTTP, and so are no key: nobody can tell which of them a repetition will carry.
    key = ", ".join(lines)
    if not _VISIBLE_ASCII.fullmatch(key):
        raise RequestValidationError(
            [
                {
                    "type": "value_error",
                    "loc": ("header", "Idempotency-Key"),
                    "msg": "must be 1 to 255 visible ASCII characters",
                }
            ]
        )
    body = await request.json() if await request.body() else None
    path = request.scope.get("path", "")
    return KeyedRequest(key, fingerprint(request.method, path, body), path, request.scope.get("shop.request_id"))
