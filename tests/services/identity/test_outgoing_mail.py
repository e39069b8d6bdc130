"""Mails: sent after the commit, by whichever worker is first, again when that fails, and never for what was rolled back."""

import asyncio
import logging
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from config.settings import read_settings
from infrastructure.database import change_listener
from infrastructure.database.change_listener import ChangeListener
from infrastructure.database.engine import Database
from infrastructure.embedded.servers import ServerUrls
from infrastructure.mail.delivery import MailDelivery
from infrastructure.mail.mail_folder import MailFolder
from infrastructure.mail.smtp_server import SmtpServer
from models import AccountToken, User
from repositories.outgoing_mail import ANY_DUE, MAILS, OutgoingMailRepository
from security.account_token import account_token, token_hash
from security.secret_keys import KeyRing
from services.identity.outgoing_mail import Mailer, send_later
from tests.mail_server import mail_server, text_of
from tests.race.databases import execute, new_database, rows_of
from tests.shop import reserved_port
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

KEYS = KeyRing(["only-for-tests-0123456789abcdef0123456789"])
HELLO = {"username": "ana"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def own_url(servers: ServerUrls) -> str:
    """A database that no worker sends mails from."""
    return new_database(servers.database_url)


@pytest.fixture
def url(own_url: str) -> str:
    execute(own_url, "TRUNCATE outgoing_mails; DELETE FROM users")
    return own_url


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = Database(url, read_settings({}))
    yield database
    database.close_pools()
    await asyncio.to_thread(database.close)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mail"


def mailer_of(database: Database, delivery: MailDelivery, keys: KeyRing = KEYS, **environment: str) -> Mailer:
    settings = read_settings({"SHOP_URL": "https://shop.example", **environment})
    return Mailer(database, settings, lambda: keys, delivery)


def mails_in(folder: Path) -> list[EmailMessage]:
    mails = [message_from_bytes(path.read_bytes(), policy=default) for path in sorted(folder.glob("*.eml"))]
    return [mail for mail in mails if isinstance(mail, EmailMessage)]


def modes_in(folder: Path) -> list[int]:
    """The permissions of the folder, and of all that is in it."""
    return [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())]


def send(database: Database, recipient: str = "ana@example.com", template: str = "email_changed", **more: Any) -> None:
    database.transact(lambda session: send_later(session, template, recipient, {**HELLO, **more}))


def a_token(session: Session, purpose: str = "verify_email", lifetime: str = "30 minutes") -> int:
    """The key of a new token of a new user."""
    user = User(username="ana", email="ana@example.com", email_key="ana@example.com")
    session.add(user)
    session.flush()
    seconds = {"30 minutes": 1800, "none": -1}[lifetime]
    expires_at = outgoing_mail_time(session, seconds)
    token = AccountToken(
        user_id=user.id_key, purpose=purpose, email=user.email, secret_hash=b"-", expires_at=expires_at
    )
    session.add(token)
    session.flush()
    token.secret_hash = token_hash(account_token(KEYS, purpose, token.id_key))
    session.flush()
    return token.id_key


def outgoing_mail_time(session: Session, seconds: int) -> Any:
    return session.connection().exec_driver_sql(f"SELECT now() + interval '{seconds} seconds'").scalar_one()


def send_token(database: Database, purpose: str = "verify_email", lifetime: str = "30 minutes") -> str:
    """Have a mail with a token sent; the token."""

    def work(session: Session) -> int:
        token_id = a_token(session, purpose, lifetime)
        send_later(session, purpose, "ana@example.com", HELLO, token_id)
        return token_id

    return account_token(KEYS, purpose, database.transact(work))


def waiting(url: str) -> int:
    return int(rows_of(url, "SELECT count(*) FROM outgoing_mails")[0][0])


def make_due(url: str) -> None:
    """Let the pause of every mail be over."""
    execute(url, "UPDATE outgoing_mails SET next_attempt_at = now()")


@asynccontextmanager
async def running(mailer: Mailer, url: str) -> AsyncIterator[None]:
    """A mailer as in a worker."""
    listener = ChangeListener(url, {MAILS: mailer.wake}, questions={MAILS: ANY_DUE})
    tasks = [asyncio.create_task(mailer.run()), asyncio.create_task(listener.listen())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_mail_is_a_whole_file_that_only_its_owner_reads(database: Database, folder: Path) -> None:
    token = send_token(database)
    assert await mailer_of(database, MailFolder(folder), API_PREFIX="/api").send_next()

    assert modes_in(folder) == [0o700, 0o600]
    (mail,) = mails_in(folder)
    assert (mail["From"], mail["To"]) == ("shop@localhost", "ana@example.com")
    assert mail["Subject"] == "Please verify your e-mail address"
    assert mail["Date"].datetime.tzinfo is not None
    assert mail["Message-ID"].endswith("@localhost>")
    assert mail["Auto-Submitted"] == "auto-generated"
    text = text_of(mail)
    assert "Hello ana," in text
    assert f"https://shop.example/verify-email?token={token}\n" in text
    assert f"\n  {token}\n" in text
    assert "POST /api/auth/email/verify" in text


@pytest.mark.parametrize(
    ("template", "page"),
    [("verify_email", "verify-email"), ("change_email", "verify-email"), ("reset_password", "reset-password")],
)
async def test_mails_with_tokens_lead_to_their_page(database: Database, folder: Path, template: str, page: str) -> None:
    token = send_token(database, template)
    assert await mailer_of(database, MailFolder(folder)).send_next()
    (mail,) = mails_in(folder)
    assert f"https://shop.example/{page}?token={token}" in text_of(mail)


@pytest.mark.parametrize("template", ["email_changed", "address_taken"])
async def test_the_others_have_no_token(database: Database, folder: Path, template: str) -> None:
    send(database, template=template)
    assert await mailer_of(database, MailFolder(folder)).send_next()
    (mail,) = mails_in(folder)
    assert "token" not in text_of(mail)


async def test_what_is_rolled_back_is_not_sent(database: Database, url: str, folder: Path) -> None:
    def work(session: Session) -> None:
        send_later(session, "email_changed", "ana@example.com", HELLO)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.transact(work)
    assert not await mailer_of(database, MailFolder(folder)).send_next()
    assert waiting(url) == 0


async def test_a_committed_mail_goes_at_once(
    database: Database, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_listener, "_CHECK_SECONDS", 3600.0)
    mailer = mailer_of(database, MailFolder(folder))
    async with running(mailer, url):
        await asyncio.to_thread(send, database)
        await until(lambda: len(mails_in(folder)) == 1)
        await asyncio.to_thread(send, database)
        await until(lambda: len(mails_in(folder)) == 2)
        await until(lambda: waiting(url) == 0)


async def test_mails_that_nobody_told_of_are_found(
    database: Database, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_listener, "_CHECK_SECONDS", 0.05)
    mailer = mailer_of(database, MailFolder(folder))
    async with running(mailer, url):
        await asyncio.to_thread(send, database)
        await until(lambda: waiting(url) == 0)
        untold = "INSERT INTO outgoing_mails (template, recipient, fields) VALUES ('email_changed', %s, %s)"
        await asyncio.to_thread(execute, url, untold, "berta@example.com", '{"username": "berta"}')
        await until(lambda: waiting(url) == 0)
    assert [mail["To"] for mail in mails_in(folder)] == ["ana@example.com", "berta@example.com"]


async def test_a_token_that_is_gone_or_expired_is_not_sent(database: Database, url: str, folder: Path) -> None:
    mailer = mailer_of(database, MailFolder(folder))
    send_token(database)
    execute(url, "DELETE FROM account_tokens")
    assert waiting(url) == 0
    execute(url, "DELETE FROM users")
    send_token(database, lifetime="none")
    assert await mailer.send_next()
    assert waiting(url) == 0
    assert mails_in(folder) == []


async def test_a_token_of_the_key_before_is_sent_and_one_of_no_key_is_not(
    database: Database, url: str, folder: Path
) -> None:
    token = send_token(database)
    rotated = KeyRing(["the-new-key-0123456789abcdef0123456789", "only-for-tests-0123456789abcdef0123456789"])
    assert await mailer_of(database, MailFolder(folder), rotated).send_next()
    assert token in text_of(mails_in(folder)[0])

    execute(url, "DELETE FROM users")
    send_token(database)
    foreign = KeyRing(["a-key-of-another-shop-0123456789abcdef0"])
    assert await mailer_of(database, MailFolder(folder), foreign).send_next()
    assert len(mails_in(folder)) == 1
    assert waiting(url) == 0


async def test_workers_share_the_mails_and_none_is_sent_twice(database: Database, url: str, folder: Path) -> None:
    for number in range(20):
        send(database, f"user{number}@example.com")
    other = Database(url, read_settings({}))
    with mail_server() as (port, inbox):
        mailers = [mailer_of(each, SmtpServer(f"smtp://127.0.0.1:{port}")) for each in (database, other, database)]

        async def work(mailer: Mailer) -> int:
            sent = 0
            while await mailer.send_next():
                sent += 1
            return sent

        counts = await asyncio.gather(*map(work, mailers))
    other.close()
    assert sum(counts) == 20
    assert sorted(inbox.recipients) == sorted(f"user{number}@example.com" for number in range(20))


async def test_a_server_that_is_away_gets_its_mails_when_it_is_back(
    database: Database, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with reserved_port() as port:
        mailer = mailer_of(database, SmtpServer(f"smtp://127.0.0.1:{port}"))
        with caplog.at_level(logging.INFO, "shop.mail"):
            send(database, "ana@example.com")
            send(database, "berta@example.com")
            pauses = []
            for _ in range(4):
                assert await mailer.send_next()
                assert await mailer.send_next()
                assert not await mailer.send_next()
                pauses += [row[0] for row in rows_of(url, "SELECT max(next_attempt_at - now()) FROM outgoing_mails")]
                make_due(url)
        assert [round(pause.total_seconds()) for pause in pauses] == [2, 4, 8, 16]
        with mail_server(port) as (_, inbox), caplog.at_level(logging.INFO, "shop.mail"):
            while await mailer.send_next():
                pass

    assert sorted(inbox.recipients) == ["ana@example.com", "berta@example.com"]
    assert waiting(url) == 0
    levels = [record.levelname for record in caplog.records if record.name == "shop.mail"]
    assert levels.count("WARNING") == 1
    assert [record.getMessage() for record in caplog.records].count("Mails are sent again") == 1


async def test_a_mail_is_given_up_after_a_day(database: Database, url: str, caplog: pytest.LogCaptureFixture) -> None:
    with reserved_port() as port:
        mailer = mailer_of(database, SmtpServer(f"smtp://127.0.0.1:{port}"))
        send(database)
        execute(url, "UPDATE outgoing_mails SET attempts = 40, created_at = now() - interval '25 hours'")
        assert await mailer.send_next()
    assert waiting(url) == 0
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "is given up after a day (email_changed)" in line
    assert "ana@example.com" not in line


@pytest.mark.parametrize(("reply", "left"), [("450 4.2.0 try <ana@example.com> later", 1), ("550 no such user", 0)])
async def test_what_the_server_says_of_a_recipient(
    database: Database, url: str, caplog: pytest.LogCaptureFixture, reply: str, left: int
) -> None:
    send(database)
    with mail_server() as (port, inbox):
        inbox.replies.append(reply)
        assert await mailer_of(database, SmtpServer(f"smtp://127.0.0.1:{port}")).send_next()
    assert inbox.mails == []
    assert waiting(url) == left
    # The mail server of the test logs what it is told.
    ours = [record.getMessage() for record in caplog.records if record.name != "mail.log"]
    assert not [line for line in ours if "example.com" in line]


async def test_a_worker_that_dies_after_it_has_sent_leaves_a_mail_with_the_same_id(
    database: Database, url: str
) -> None:
    send(database)
    with mail_server() as (port, inbox):
        mailer = mailer_of(database, SmtpServer(f"smtp://127.0.0.1:{port}"))
        dead = asyncio.create_task(_send_and_die(database, mailer))
        await dead
        assert not await mailer.send_next()
        make_due(url)
        assert await mailer.send_next()
    first, second = inbox.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]
    assert waiting(url) == 0


async def _send_and_die(database: Database, mailer: Mailer) -> None:
    """What a worker does that ends between the reply of the mail server and the deletion."""
    take = partial(database.transact, lambda session: OutgoingMailRepository(session).take(120))
    mail = await database.run(take)
    assert mail is not None
    await mailer._delivery.deliver(mailer._message(mail))


@pytest.mark.parametrize(
    "recipient", ["ana@example.com\r\nBcc: eve@example.org", "ana@example.com, eve@example.org", "", "ana"]
)
async def test_no_recipient_brings_headers_along(database: Database, url: str, folder: Path, recipient: str) -> None:
    send(database, recipient)
    assert await mailer_of(database, MailFolder(folder)).send_next()
    assert mails_in(folder) == []
    assert waiting(url) == 0


async def test_a_mail_is_in_the_language_of_the_client(database: Database, url: str, folder: Path) -> None:
    """As text and as HTML; the token tells who the user is."""
    send_token(database)
    execute(
        url,
        "INSERT INTO clients (name, lastname, email, email_key, language) VALUES ('Ana', 'B', 'a@b.de', 'a@b.de', 'es');"
        "UPDATE users SET client_id = (SELECT max(id_key) FROM clients)",
    )
    send(database, template="password_changed")
    mailer = mailer_of(database, MailFolder(folder))
    assert [await mailer.send_next(), await mailer.send_next()] == [True, True]
    mails = mails_in(folder)
    assert [mail["Subject"] for mail in mails] == ["Confirme su dirección de correo", "Su contraseña ha cambiado"]
    html = mails[0].get_body(("html",))
    assert html is not None
    assert "Confirmar la dirección" in html.get_content()


async def test_a_value_stays_within_the_text(database: Database, folder: Path) -> None:
    send(database, username="ana\r\nBcc: eve@example.org\r\n\r\n{token} \u00e4\u20ac")
    assert await mailer_of(database, MailFolder(folder), MAIL_FROM="Sh\u00f6p <shop@example.com>").send_next()
    (mail,) = mails_in(folder)
    assert mail["Bcc"] is None
    assert mail["From"].addresses[0].display_name == "Sh\u00f6p"
    assert "{token} \u00e4\u20ac" in text_of(mail)


async def test_addresses_of_all_scripts(database: Database) -> None:
    send(database, "ana@b\u00fccher.example")
    send(database, "\u00e4nne@stra\u00dfe.example")
    with mail_server() as (port, inbox):
        mailer = mailer_of(database, SmtpServer(f"smtp://127.0.0.1:{port}"))
        assert await mailer.send_next()
        assert await mailer.send_next()
    assert inbox.recipients == ["ana@xn--bcher-kva.example", "\u00e4nne@xn--strae-oqa.example"]


async def test_a_mail_that_cannot_be_written_keeps_no_other_back(
    database: Database, url: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    send(database, template="of_a_newer_release")
    send(database, "berta@example.com")
    mailer = mailer_of(database, MailFolder(folder))
    assert await mailer.send_next()
    assert await mailer.send_next()
    assert not await mailer.send_next()
    assert [mail["To"] for mail in mails_in(folder)] == ["berta@example.com"]
    assert waiting(url) == 1
    assert "of_a_newer_release.jinja" in caplog.text
