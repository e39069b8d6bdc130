"""Mails by SMTP: each on a connection of its own, encrypted, to a server whose certificate is checked."""

import asyncio
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

import aiosmtplib

from infrastructure.mail.delivery import MailRefused

_STEP_SECONDS = 15.0
# The whole of it, with all steps.
DELIVERY_SECONDS = 60.0
_PORTS = {"smtp": 587, "smtps": 465}
# From here on the replies of a mail server mean "never" (RFC 5321, section 4.2.1).
_PERMANENT = 500


class SmtpServer:
    """The server at a URL: smtps://, or smtp:// with STARTTLS, which only a server on this machine may lack.

    So may one whose URL ends with `?starttls=optional`, such as the mail catcher of a development network.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = str(parts.hostname)
        self._port = parts.port or _PORTS[parts.scheme]
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password or "") if self._user else None
        self._by_tls = parts.scheme == "smtps"
        self._may_be_plain = _is_loopback(self._host) or bool(parts.query)
        self._tls: ssl.SSLContext | None = None

    async def deliver(self, message: EmailMessage) -> None:
        """Hand the message over. Raises `MailRefused`, or `OSError` when it may work later."""
        sender: Address = message["From"].addresses[0]
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                await aiosmtplib.send(
                    message,
                    hostname=self._host,
                    port=self._port,
                    username=self._user,
                    password=self._password,
                    local_hostname=sender.domain,
                    timeout=_STEP_SECONDS,
                    use_tls=self._by_tls,
                    start_tls=None if self._may_be_plain or self._by_tls else True,
                    tls_context=await self._tls_context(),
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            refusal = error.recipients[0]
            # The reply of the server has the address in it, which is nothing for a log.
            if refusal.code >= _PERMANENT:
                raise MailRefused(f"the mail server refuses the recipient ({refusal.code})") from None
            raise OSError(f"the mail server does not take the recipient now ({refusal.code})") from None
        except aiosmtplib.SMTPDataError as error:
            if error.code >= _PERMANENT:
                raise MailRefused(f"the mail server refuses the mail ({error.code})") from None
            raise OSError(f"the mail server does not take the mail now ({error.code})") from None
        except aiosmtplib.SMTPNotSupported:
            raise MailRefused("the mail server knows no addresses with such characters") from None
        except (aiosmtplib.SMTPException, TimeoutError, ValueError) as error:
            raise OSError(f"{type(error).__name__}: {error}" if str(error) else "no answer in time") from error

    async def _tls_context(self) -> ssl.SSLContext:
        # Made when it is needed, and in a thread: the certificates of all authorities are read.
        if self._tls is None:
            tls = await asyncio.to_thread(ssl.create_default_context)
            if self._may_be_plain:
                # Nobody is in between, and such a server has no certificate for its name.
                tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
            self._tls = tls
        return self._tls


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
