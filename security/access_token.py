"""Access tokens: JSON Web Tokens of one fixed algorithm (RFC 7519, RFC 8725), signed with the shop's own keys."""

import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass

import jwt

from security.scopes import Scope
from security.secret_keys import KeyRing, key_id

_ALGORITHM = "HS256"
_ISSUER = _AUDIENCE = "shop"
_PURPOSE = "access token"
_LEEWAY_SECONDS = 10
_REQUIRED = ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "scope"]
# Ours have some 500 characters.
_LONGEST = 4096
# Three parts in base64url. Of the last character of a signature four bits count, and the others are zero: without that,
# some changed characters would be the same signature.
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)
# The end of the year 9999, in seconds since 1970: no time of day is later.
_LATEST = 253_402_300_799
# The key of a row.
_KEY = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


class BadToken(Exception):
    """The token is not one of ours, or has been changed."""


class ExpiredToken(BadToken):
    """The token was valid once."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What an access token says: the keys of the user and of the session, and until when, in seconds since 1970."""

    user_id: int
    session_id: int
    expires_at: int
    scopes: frozenset[Scope]


class AccessTokens:
    """Signs and verifies the tokens, which are valid for `minutes`."""

    def __init__(self, key_ring: KeyRing, minutes: float) -> None:
        self.seconds = int(minutes * 60)
        self._keys = {key_id(key): key for key in key_ring.verifying(_PURPOSE)}
        self._signing = key_id(key_ring.signing(_PURPOSE))

    def issue(self, user_id: int, session_id: int, scopes: Iterable[Scope]) -> str:
        """A new token for a session of the user."""
        now = int(time.time())
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + self.seconds,
            "scope": " ".join(sorted(scopes)),
        }
        return jwt.encode(claims, self._keys[self._signing], _ALGORITHM, headers={"kid": self._signing})

    def verify(self, token: str) -> Claims:
        """The claims of the token. Raises `ExpiredToken`, or `BadToken` for whatever else is wrong with it.

        The key is one of the shop's own, and nothing that the header names is loaded from anywhere.
        """
        if len(token) > _LONGEST or _FORM.fullmatch(token) is None:
            raise BadToken
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.get(header["kid"]) if isinstance(header.get("kid"), str) else None
            if key is None or set(header) - {"alg", "typ", "kid"}:
                raise BadToken
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
            if claims["exp"] > _LATEST:
                raise BadToken
            return Claims(
                _key(claims["sub"]),
                _key(claims["sid"]),
                int(claims["exp"]),
                frozenset(map(Scope, claims["scope"].split())),
            )
        except jwt.ExpiredSignatureError:
            raise ExpiredToken from None
        except (jwt.InvalidTokenError, ValueError, OverflowError, TypeError, KeyError, AttributeError):
            raise BadToken from None


def _key(claim: object) -> int:
    """The number in a claim, which is written as text in one way only. Raises `BadToken` for anything else."""
    if not isinstance(claim, str) or _KEY.fullmatch(claim) is None:
        raise BadToken
    return int(claim)
