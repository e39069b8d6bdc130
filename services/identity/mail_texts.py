"""What the mails to users name: the link with the token, and the token itself, for who has no browser.

A field that somebody else may have chosen is put into a mail only if it cannot say much: a user name, an address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

# Of a mail with a token, the page for the token, and the request that takes it.
_OF_TOKENS = {
    "verify_email": ("/verify-email", "/auth/email/verify"),
    "change_email": ("/verify-email", "/auth/email/verify"),
    "reset_password": ("/reset-password", "/auth/password/reset"),
}


@dataclass(frozen=True, slots=True)
class MailToken:
    """The token of a mail, and until when it can be used."""

    text: str
    expires_at: datetime


def token_values(template: str, shop_url: str, api_prefix: str, token: MailToken | None) -> Mapping[str, Any]:
    """What the template names of the token. Raises `KeyError` for a template with a token that is missing."""
    if token is None:
        if template in _OF_TOKENS:
            raise KeyError("token")
        return {}
    page, call = _OF_TOKENS[template]
    return {
        "link": f"{shop_url}{page}?token={quote(token.text)}",
        "token": token.text,
        "token_call": f"POST {api_prefix}{call}",
        "token_expires": f"{token.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} (UTC)",
    }
