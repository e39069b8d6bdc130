"""Key ring: the secret keys of the shop. The first signs, and all verify, so that keys can be rotated.

Of each secret only keys for one purpose are derived, so that no signature of one kind is valid as another.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence

from config.settings import Settings
from infrastructure.embedded.secret_file import kept_secret
from infrastructure.embedded.servers import data_folder


class KeyRing:
    """The secrets, of which there is at least one."""

    def __init__(self, secrets_: Sequence[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets_]

    def signing(self, purpose: str) -> bytes:
        """The key that signs for this purpose now."""
        return _derived(self._secrets[0], purpose)

    def verifying(self, purpose: str) -> Iterator[bytes]:
        """All keys that may have signed for this purpose, the present one first."""
        return (_derived(secret, purpose) for secret in self._secrets)

    def mac(self, purpose: str, content: str) -> bytes:
        """The message authentication code of `content`, by the present key."""
        return next(self.macs(purpose, content))

    def macs(self, purpose: str, content: str) -> Iterator[bytes]:
        """The codes of `content` by all keys, that of the present one first."""
        return (hmac.digest(key, content.encode(), "sha256") for key in self.verifying(purpose))

    def is_mac(self, purpose: str, content: str, mac: bytes) -> bool:
        """Whether `mac` is that of `content` by any key."""
        return any(hmac.compare_digest(code, mac) for code in self.macs(purpose, content))


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, f"shop {purpose}".encode(), "sha256")


def key_id(key: bytes) -> str:
    """The public name of a derived key, for the header `kid` of tokens."""
    return hashlib.sha256(b"kid" + key).hexdigest()[:16]


def key_ring(settings: Settings) -> KeyRing:
    """The keys of SECRET_KEYS, or else of the file in the data folder. Raises `OSError` where that cannot be made."""
    return KeyRing(settings.secret_keys or (kept_secret(data_folder(settings)),))
