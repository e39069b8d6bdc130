"""Passwords, stored as argon2id hashes (RFC 9106) of their Unicode form NFKC.

A hash takes 19 MiB and some 30 ms of a core: see `services.identity.password_threads`.
"""

import secrets
import unicodedata

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)


class Passwords:
    """Hashes and verifies passwords, in the thread of the caller."""

    def __init__(self) -> None:
        self._nobodys = ""

    def hashed(self, password: str) -> str:
        """What is stored of the password."""
        return _hasher.hash(_form(password))

    def is_right(self, password: str, stored: str | None) -> bool:
        """Whether `stored` is the hash of the password. Without a hash it takes as long, and is false."""
        if stored is None:
            self._nobodys = self._nobodys or self.hashed(secrets.token_urlsafe())
        try:
            return _hasher.verify(stored or self._nobodys, _form(password)) and stored is not None
        except (VerificationError, InvalidHashError):
            return False

    @staticmethod
    def is_outdated(stored: str) -> bool:
        """Whether the hash was made with other parameters than those of today."""
        return _hasher.check_needs_rehash(stored)


def _form(password: str) -> bytes:
    # A lone surrogate, which JSON can bring along, is a character too.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
