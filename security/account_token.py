"""Account tokens: what a mail brings along to prove that its reader owns the address.

A token is derived from the key of its row, so that it is stored nowhere in the clear: the row has its SHA-256, and the
mail is rendered when it is sent.
"""

import base64
import hashlib

from security.secret_keys import KeyRing


def account_token(key_ring: KeyRing, purpose: str, token_id: int) -> str:
    """The token of the row with this key, for this purpose."""
    mac = key_ring.mac("account token " + purpose, str(token_id))
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def token_hash(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()
