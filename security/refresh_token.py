"""Refresh tokens: which session, which generation of it, and the proof that the shop has issued them.

They are derived from the session, so that they are stored nowhere, and one that was replaced leads to its successor again.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime

from security.secret_keys import KeyRing

_PURPOSE = "refresh token"
# Of the last character four bits count, and the others are zero: each token has one writing.
_TOKEN = re.compile(r"refresh_([1-9][0-9]{0,18})_(0|[1-9][0-9]{0,9})_([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])", re.ASCII)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a token says, which `RefreshTokens.is_genuine` has to confirm."""

    session_id: int
    generation: int
    mac: bytes

    @classmethod
    def read(cls, text: str) -> "RefreshToken | None":
        """The parts of the token; None for a text that is none."""
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        return cls(int(match[1]), int(match[2]), base64.urlsafe_b64decode(match[3] + "="))


class RefreshTokens:
    """Issues the tokens of sessions. `began` is when the session was made: another one may get its key after a restore."""

    def __init__(self, key_ring: KeyRing) -> None:
        self._key_ring = key_ring

    def issue(self, session_id: int, generation: int, began: datetime) -> str:
        """The token of this generation."""
        mac = self._key_ring.mac(_PURPOSE, _content(session_id, generation, began))
        return f"refresh_{session_id}_{generation}_{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    def is_genuine(self, token: RefreshToken, began: datetime) -> bool:
        """Whether the shop has issued the token."""
        return self._key_ring.is_mac(_PURPOSE, _content(token.session_id, token.generation, began), token.mac)


def _content(session_id: int, generation: int, began: datetime) -> str:
    return f"{session_id} {generation} {began.timestamp():.6f}"
