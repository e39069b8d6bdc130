"""The Idempotency-Key of a request, and the fingerprint of its body."""

import asyncio
import re
from hashlib import sha256

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from controllers.policies import principal_of
from services.fingerprint import fingerprint
from services.idempotency import KeyedRequest

_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)


# The length of the column that keeps it.
_LONGEST_KEPT = 255

# The fingerprint of a longer body is computed in a thread, so that other requests need not wait for it.
_INLINE_BYTES = 32 * 1024


async def keyed_request(request: Request) -> KeyedRequest | None:
    """The keyed request; None if it is no POST or has no key. Raises 422 for an invalid key."""
    key = key_of(request)
    if key is None:
        return None
    body = await request.json() if await request.body() else None
    arguments = (request.method, request.scope.get("path", ""), body)
    is_short = len(await request.body()) < _INLINE_BYTES
    return under_key(
        request, key, fingerprint(*arguments) if is_short else await asyncio.to_thread(fingerprint, *arguments)
    )


def key_of(request: Request) -> str | None:
    """The key of a POST, if it has one. Raises 422 for an invalid key."""
    lines = request.headers.getlist("idempotency-key")
    if request.method != "POST" or not lines:
        return None
    # In HTTP several lines are one value with commas, which is no valid key.
    key = ", ".join(lines)
    if not _VISIBLE_ASCII.fullmatch(key):
        raise RequestValidationError(
            [
                {
                    "type": "value_error",
                    "loc": ("header", "Idempotency-Key"),
                    "msg": "must be 1 to 255 visible ASCII characters, such as a UUID",
                }
            ]
        )
    return key


def under_key(request: Request, key: str, digest: bytes) -> KeyedRequest:
    """The request under its key, with its fingerprint. The key is the caller's: the same of another caller is another.

    The fingerprint of a request with a secret in it becomes a code that only the shop can make.
    """
    if getattr(request.scope.get("route"), "has_secrets", False):
        digest = request.app.state.key_ring().mac("fingerprint", digest.hex())
    bound = bound_key(key, principal_of(request).actor)
    return KeyedRequest(bound, digest, request.scope.get("path", ""), request.scope.get("shop.request_id"))


def bound_key(key: str, actor: str | None) -> str:
    """The text that a key of `actor` is kept under. A key has no space, so that no two callers share one.

    A key that would be too long with the caller before it is replaced by its digest, which two spaces tell from a key.
    """
    if actor is None:
        return key
    bound = f"{actor} {key}"
    return bound if len(bound) <= _LONGEST_KEPT else f"{actor}  {sha256(key.encode()).hexdigest()}"
