"""The texts of the mails to users: plain English, with the link and with the token itself, for who has no browser.

A field that somebody else may have chosen is put into a text only if it cannot say much: a user name, an address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Template:
    """A subject and a text. `path` is that of the page for the token, and `call` the request that takes it."""

    subject: str
    text: str
    path: str = ""
    call: str = ""


_LINK = """
  {link}

Programs send the token itself, with {call}:

  {token}

It can be used once, until {expires_at} (UTC).
"""
_VERIFY = "POST {prefix}/auth/email/verify"

TEMPLATES: Mapping[str, Template] = {
    "verify_email": Template(
        "Please verify your e-mail address",
        """Hello {username},

somebody, most likely you, has registered with this e-mail address. Please
verify that it is yours:
{with_token}
If it was not you, you need not do anything.
""",
        "/verify-email",
        _VERIFY,
    ),
    "change_email": Template(
        "Please verify your new e-mail address",
        """Hello {username},

you have asked to use this e-mail address from now on. Please verify that it is
yours:
{with_token}
Until then your old address stays. If it was not you, you need not do anything.
""",
        "/verify-email",
        _VERIFY,
    ),
    "email_changed": Template(
        "Your e-mail address was changed",
        """Hello {username},

your account now has another e-mail address, and this one is not used any
more.

If it was not you, somebody else has your password: please tell the shop.
""",
    ),
    "email_change_asked": Template(
        "Another e-mail address was asked for",
        """Hello {username},

somebody, most likely you, wants your account to use another e-mail address. It will, once the mail that went there was
answered; until then this one stays.

If it was not you, somebody else has your password: please set a new one at {shop_url}.
""",
    ),
    "password_changed": Template(
        "Your password was changed",
        """Hello {username},

your account has a new password, and every other program that was logged in has to log in again.

If it was not you, ask for a new password at {shop_url}.
""",
    ),
    "username_taken": Template(
        "Please choose another user name",
        """Hello,

somebody, most likely you, wanted to register with this e-mail address and the user name {username}, which somebody else has.
No account was made: please register again with another name, at {shop_url}.

If it was not you, you need not do anything.
""",
    ),
    "reset_password": Template(
        "Set a new password",
        """Hello {username},

somebody, most likely you, has forgotten the password of this account. Here you
set a new one:
{with_token}
If it was not you, you need not do anything: your password stays as it is.
""",
        "/reset-password",
        "POST {prefix}/auth/password/reset",
    ),
    "address_taken": Template(
        "You already have an account",
        """Hello,

somebody, most likely you, wanted to register with this e-mail address, which
already has an account. Nothing was changed.

If you have forgotten your password, ask for a new one at {shop_url}.
If it was not you, you need not do anything.
""",
    ),
}


@dataclass(frozen=True, slots=True)
class MailToken:
    """The token of a mail, and until when it can be used."""

    text: str
    expires_at: datetime


def mail_text(
    name: str, fields: Mapping[str, str], shop_url: str, api_prefix: str, token: MailToken | None
) -> tuple[str, str]:
    """The subject and the text of a mail. Raises `KeyError` for a template or a field that is missing."""
    template = TEMPLATES[name]
    with_token = ""
    if token is not None:
        with_token = _LINK.format(
            link=f"{shop_url}{template.path}?token={quote(token.text)}",
            call=template.call.format(prefix=api_prefix),
            token=token.text,
            expires_at=f"{token.expires_at.astimezone(UTC):%Y-%m-%d %H:%M}",
        )
    elif template.path:
        raise KeyError("token")
    text = template.text.format_map({**fields, "with_token": with_token, "shop_url": shop_url})
    return template.subject, f"{text}\n-- \n{shop_url}\n"
