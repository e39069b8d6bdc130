"""Credentials: the token or the API key that a request brings along (RFC 6750)."""

from collections.abc import Sequence
from dataclasses import dataclass

KEY_MARK = "shop_"
# Longer than any token or key of the shop.
_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class Credentials:
    """One of `token` and `key`, or neither: then they are of no kind that the shop knows. `is_ambiguous` if both came."""

    token: str | None = None
    key: str | None = None
    is_ambiguous: bool = False


def credentials_of(headers: Sequence[tuple[bytes, bytes]]) -> Credentials | None:
    """The credentials in the headers of a request; None if there are none."""
    lines = [value for name, value in headers if name == b"authorization"]
    keys = [value for name, value in headers if name == b"x-api-key"]
    if not lines and not keys:
        return None
    if lines and keys:
        return Credentials(is_ambiguous=True)
    if len(lines) + len(keys) > 1:
        return Credentials()
    scheme, _, secret = (lines[0].strip().partition(b" ")) if lines else (b"bearer", b"", keys[0])
    text = secret.strip().decode("latin-1")
    if scheme.lower() != b"bearer" or not text or len(text) > _LONGEST or not text.isascii():
        return Credentials()
    if text.startswith(KEY_MARK):
        return Credentials(key=text)
    # A token in the header of keys is none: what is remembered of tokens and of keys must not be mixed up.
    return Credentials() if keys else Credentials(token=text)
