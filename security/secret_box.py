"""Secret box: what has to be read again, and must not stand in the database in the clear, encrypted under the key ring."""

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from security.secret_keys import KeyRing


class SecretUnreadable(Exception):
    """It was encrypted under a key that is not in the ring any more."""


class SecretBox:
    """Encrypts for one purpose: with the present key, and reads what any key of the ring has encrypted."""

    def __init__(self, key_ring: KeyRing, purpose: str) -> None:
        keys = list(key_ring.verifying(purpose))
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
        self._present = Fernet(base64.urlsafe_b64encode(keys[0]))

    def encrypted(self, text: str) -> bytes:
        """What is stored of the text."""
        return self._fernet.encrypt(text.encode())

    def decrypted(self, stored: bytes) -> str:
        """The text. Raises `SecretUnreadable`."""
        try:
            return self._fernet.decrypt(stored).decode()
        except InvalidToken:
            raise SecretUnreadable from None

    def renewed(self, stored: bytes) -> bytes:
        """The same under the present key; `stored` itself where it is that already, or cannot be read."""
        try:
            self._present.decrypt(stored)
        except InvalidToken:
            try:
                return self._fernet.rotate(stored)
            except InvalidToken:
                return stored
        return stored
