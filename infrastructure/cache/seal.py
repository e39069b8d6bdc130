"""Message authentication: what the shop keeps in Redis is sealed, so that nobody else can make or change it.

Others may write to Redis, by mistake or not: another program, a restored dump, somebody on the same network. What has
no right seal is treated as missing. Who can write to Redis can still remove what it holds, or put back what it once
held.
"""

import hashlib
import hmac

from sqlalchemy.engine import make_url

SEAL_BYTES = 32


def secret_of(database_url: str) -> bytes:
    """What all processes of one shop know and nobody else does: the database with its user and password.

    The host is left out, because it may have another name on another machine. Without a password it is no secret; then
    the seal still tells responses from garbage, and the form of what was read is checked as well.
    """
    url = make_url(database_url)
    return "\0".join((url.database or "", url.username or "", str(url.password or ""))).encode()


class Seal:
    """Makes and checks the seals of the shop with this secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.blake2b(secret, digest_size=32, person=b"cached answers").digest()
        # For the scripts in Redis, which have SHA-1 and nothing else.
        self.script_key = hashlib.blake2b(secret, digest_size=16, person=b"tag versions").hexdigest()

    def of(self, key: str, content: bytes) -> bytes:
        """The seal of what is kept under `key`; under another key it is not valid."""
        seal = hashlib.blake2b(key.encode() + b"\0", key=self._key, digest_size=SEAL_BYTES)
        seal.update(content)
        return seal.digest()

    def put_on(self, key: str, content: bytes) -> bytes:
        """`content` as it is stored: behind its seal."""
        return self.of(key, content) + content

    def opened(self, key: str, stored: bytes) -> bytes | None:
        """The content of what is stored under `key`; None if the seal is not valid."""
        content = stored[SEAL_BYTES:]
        return content if hmac.compare_digest(stored[:SEAL_BYTES], self.of(key, content)) else None
