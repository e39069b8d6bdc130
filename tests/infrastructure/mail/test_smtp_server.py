"""The way to a mail server: never in the clear to another machine, and only to the one that its certificate names."""

import asyncio
import shutil
import socket
import threading
from email.message import EmailMessage
from pathlib import Path
from ssl import SSLContext

import pytest

from infrastructure.mail import smtp_server
from infrastructure.mail.delivery import MailRefused
from infrastructure.mail.smtp_server import SmtpServer
from tests.mail_server import REMOTE, certificate_of, mail_server
from tests.shop import reserved_port

pytestmark = [
    pytest.mark.integration,
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[SSLContext, Path]:
    return certificate_of(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: tuple[SSLContext, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Has this process trust whoever signed the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))


def a_mail() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Shop <shop@shop.example>", "ana@example.com", "Hello"
    mail.set_content("Hello")
    return mail


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_remote_server_gets_mails_encrypted_after_the_login(
    certificate: tuple[SSLContext, Path], scheme: str
) -> None:
    with mail_server(tls=certificate[0], by_tls=scheme == "smtps", login=True) as (port, inbox):
        await SmtpServer(f"{scheme}://us%40er:p%3Aa%2Fss@{REMOTE}:{port}").deliver(a_mail())
    assert inbox.encrypted == [True]
    assert inbox.logins == [(b"us@er", b"p:a/ss")]
    assert inbox.recipients == ["ana@example.com"]


async def test_a_remote_server_may_lack_starttls_where_the_url_says_so() -> None:
    with mail_server() as (port, inbox):
        await SmtpServer(f"smtp://{REMOTE}:{port}?starttls=optional").deliver(a_mail())
    assert inbox.encrypted == [False]


async def test_a_remote_server_without_starttls_gets_nothing() -> None:
    with mail_server() as (port, inbox), pytest.raises(OSError, match="STARTTLS"):
        await SmtpServer(f"smtp://{REMOTE}:{port}").deliver(a_mail())
    assert inbox.mails == []


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_certificate_that_nobody_trusts_is_refused(certificate: tuple[SSLContext, Path], scheme: str) -> None:
    with (
        mail_server(tls=certificate[0], by_tls=scheme == "smtps") as (port, inbox),
        pytest.raises(OSError, match=r"(?i)certificate"),
    ):
        await SmtpServer(f"{scheme}://{REMOTE}:{port}").deliver(a_mail())
    assert inbox.mails == []


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_of_another_name_is_refused(certificate: tuple[SSLContext, Path]) -> None:
    with mail_server(tls=certificate[0]) as (port, inbox), pytest.raises(OSError, match=r"(?i)certificate|hostname"):
        # The same machine once more.
        await SmtpServer(f"smtp://0:{port}").deliver(a_mail())
    assert inbox.mails == []


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_server_on_this_machine_may_do_without(certificate: tuple[SSLContext, Path], encrypted: bool) -> None:
    with mail_server(tls=certificate[0] if encrypted else None) as (port, inbox):
        await SmtpServer(f"smtp://127.0.0.1:{port}").deliver(a_mail())
    assert inbox.encrypted == [encrypted]


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_server, "_STEP_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with asyncio.timeout(30):
            with pytest.raises(OSError, match=r"(?i)time"):
                await SmtpServer(f"smtp://127.0.0.1:{silent.getsockname()[1]}").deliver(a_mail())


async def test_a_server_that_is_slow_in_every_step_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_server, "DELIVERY_SECONDS", 0.5)
    ended = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while not ended.wait(0.05):
                try:
                    connection.sendall(b"220-wait\r\n")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as slow:
        thread = threading.Thread(target=drip, args=(slow,))
        thread.start()
        try:
            async with asyncio.timeout(30):
                with pytest.raises(OSError, match="no answer in time"):
                    await SmtpServer(f"smtp://127.0.0.1:{slow.getsockname()[1]}").deliver(a_mail())
        finally:
            ended.set()
            thread.join()


async def test_a_server_that_is_away_is_an_error_of_the_system() -> None:
    with reserved_port() as port, pytest.raises(OSError, match=r"(?i)connect"):
        await SmtpServer(f"smtp://127.0.0.1:{port}").deliver(a_mail())


@pytest.mark.parametrize(("reply", "error"), [("550 5.1.1 <ana@example.com>", MailRefused), ("451 later", OSError)])
async def test_no_error_tells_the_address(reply: str, error: type[Exception]) -> None:
    with mail_server() as (port, inbox):
        inbox.replies.append(reply)
        with pytest.raises(error) as caught:
            await SmtpServer(f"smtp://127.0.0.1:{port}").deliver(a_mail())
    assert "ana" not in str(caught.value)
    assert reply[:3] in str(caught.value)


async def test_the_password_is_in_no_error() -> None:
    # The server takes no logins.
    with mail_server() as (port, _), pytest.raises(OSError, match=r"(?i)auth") as caught:
        await SmtpServer(f"smtp://user:canary-password@127.0.0.1:{port}").deliver(a_mail())
    assert "canary" not in repr(caught.value)
    assert "canary" not in repr(caught.value.__cause__)
