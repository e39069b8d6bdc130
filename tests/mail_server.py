"""A mail server of a test's own, which keeps what it was given."""

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from tests.shop import reserved_port

# Every address is this machine, and it is none of loopback: to the shop, a server far away.
REMOTE = "0.0.0.0"


@dataclass
class Inbox:
    """The mails that were accepted. `replies` come before them, one for each attempt; `on_mail` is called with each mail."""

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    on_mail: Callable[[EmailMessage], None] | None = None

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if self.replies:
            return self.replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients += envelope.rcpt_tos
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        if self.on_mail is not None:
            self.on_mail(mail)
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=True)


def text_of(mail: EmailMessage) -> str:
    """What the mail says as text."""
    body = mail.get_body(("plain",))
    assert body is not None
    text: str = body.get_content()
    return text


@contextmanager
def mail_server(
    port: int | None = None, *, tls: ssl.SSLContext | None = None, by_tls: bool = False, login: bool = False
) -> Iterator[tuple[int, Inbox]]:
    """The port of a server on this machine, and what it gets. It has STARTTLS with `tls`, or TLS at once with `by_tls`."""
    inbox = Inbox()
    with reserved_port() as free:
        server = Controller(
            inbox,
            hostname="127.0.0.1",
            port=port or free,
            ssl_context=tls if by_tls else None,
            tls_context=None if by_tls else tls,
            authenticator=inbox.authenticate if login else None,
            # It does not know that TLS from the start is TLS.
            auth_required=login and not by_tls,
            auth_require_tls=login and not by_tls,
            decode_data=False,
            enable_SMTPUTF8=True,
        )
        server.start()
        try:
            yield server.port, inbox
        finally:
            server.stop()


def certificate_of(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS with a certificate for `REMOTE` and localhost, and the file of that certificate, which signs itself."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    names = f"subjectAltName=IP:{REMOTE},DNS:localhost"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=a mail server of tests", "-addext", names, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context, certificate


def is_free(port: int) -> bool:
    """Whether nobody listens on the port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
