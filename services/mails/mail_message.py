"""A mail on its way out: its headers, and what it says as text and as HTML."""

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from config.settings import Settings
from infrastructure.mail.delivery import MailRefused
from services.mails.templates import Content

# Lines as long as they may be, so that a link stays readable in the file of a mail.
_POLICY = default.clone(max_line_length=900)


def mail_message(settings: Settings, recipient: str, name: str, written_at: datetime, content: Content) -> EmailMessage:
    """The mail with this name, byte by byte the same at every try. Raises `MailRefused` for what is no address."""
    message = EmailMessage(_POLICY)
    message["From"] = settings.mail_from
    message["To"] = _address(recipient)
    message["Subject"] = content.subject
    message["Date"] = written_at
    domain = _parsed(settings.mail_from).domain
    message["Message-ID"] = f"<{name}-{int(written_at.timestamp() * 1000):x}@{domain}>"
    # Programs that answer mails leave this one alone (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(content.text)
    message.add_alternative(content.html, subtype="html")
    message.set_boundary(hashlib.blake2b(str(message["Message-ID"]).encode(), digest_size=16).hexdigest())
    return message


def shop_address(settings: Settings) -> str:
    """The address of the shop for links: SHOP_URL, which the launcher sets to where it listens if nobody else has."""
    return settings.shop_url or f"http://{settings.api_host or '127.0.0.1'}:{settings.api_port}"


def shop_name(settings: Settings) -> str:
    """What the shop is called: the name in MAIL_FROM, or else its host."""
    return _parsed(settings.mail_from).display_name or str(urlsplit(shop_address(settings)).hostname)


def mail_address(text: str) -> str:
    """The address alone, of one with a name before it."""
    return str(_parsed(text).addr_spec)


def _parsed(text: str) -> Address:
    message = EmailMessage(_POLICY)
    message["From"] = text
    address: Address = message["From"].addresses[0]
    return address


def _address(recipient: str) -> Address:
    """The recipient, with the domain in its ASCII form. Raises `MailRefused` for what is no address."""
    try:
        checked = validate_email(recipient, check_deliverability=False, globally_deliverable=False)
        return Address(username=checked.local_part, domain=checked.ascii_domain)
    except (EmailNotValidError, ValueError):
        raise MailRefused("the recipient is no e-mail address") from None
