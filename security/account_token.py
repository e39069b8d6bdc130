"""Account tokens: what a mail brings along to prove that its reader owns the address.

A token is derived from the key of its row, so that it is stored nowhere in the clear: the row has its SHA-256, and the
mail is rendered when it is sent.
"""

import base64
import hashlib
from collections.abc import Iterator

from security.secret_keys import KeyRing


def account_token(key_ring: KeyRing, purpose: str, token_id: int) -> str:
    """The token of the row with this key, for this purpose."""
    return next(_tokens(key_ring, purpose, token_id))


def stored_token(key_ring: KeyRing, purpose: str, token_id: int, stored_hash: bytes) -> str | None:
    """The token of the row that stores this hash, whichever key of the ring has made it; None if none has."""
    return next((token for token in _tokens(key_ring, purpose, token_id) if token_hash(token) == stored_hash), None)


def token_hash(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def _tokens(key_ring: KeyRing, purpose: str, token_id: int) -> Iterator[str]:
    """The token as each key of the ring makes it, the present one first."""
    for mac in key_ring.macs("account token " + purpose, str(token_id)):
        yield base64.urlsafe_b64encode(mac).decode().rstrip("=")
