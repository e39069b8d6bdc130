"""Outbox of mails: the transaction that a mail is about stores it, and the workers send what was committed.

So no mail is lost, and none is about what was rolled back. A worker takes a mail for a while, hands it over and then
deletes it. One that dies in between leaves it to the others: a mail may be sent twice, then with the same Message-ID.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from config.settings import Settings
from infrastructure.database.engine import Database
from infrastructure.database.sqlstate import DatabaseUnavailable
from infrastructure.mail.delivery import MailDelivery, MailRefused
from repositories.outgoing_mail import DueMail, OutgoingMailRepository
from security.account_token import stored_token
from security.secret_keys import KeyRing
from services.identity.mail_texts import MailToken, token_values
from services.mails.mail_message import mail_message, shop_address, shop_name
from services.mails.templates import Templates

log = logging.getLogger("shop.mail")

T = TypeVar("T")

# So long a mail is one worker's: longer than every attempt to hand it over.
_TAKEN_SECONDS = 120.0
# A mail that is on its way when the worker ends has so much time left.
_LAST_SECONDS = 3.0


def send_later(
    session: Session, template: str, recipient: str, values: Mapping[str, str], token_id: int | None = None
) -> None:
    """Have a mail sent to `recipient` once the transaction of `session` is committed.

    `template` is one of `services.mails`, and `values` what it names, such as the user name. The token is
    the row of `account_tokens`, and a mail whose token is gone is not sent.
    """
    OutgoingMailRepository(session).add(template, recipient, values, token_id)


class Mailer:
    """Sends the mails that are due, together with the other workers of all launchers."""

    def __init__(
        self, database: Database, settings: Settings, key_ring: Callable[[], KeyRing], delivery: MailDelivery
    ) -> None:
        self._database, self._settings, self._delivery = database, settings, delivery
        self._templates = Templates(settings.templates_dir)
        # The keys are read when the first mail needs them.
        self._key_ring = key_ring
        self._woken = asyncio.Event()
        # Whether mails wait because the last one could not be handed over, which is logged once.
        self._is_stuck = False

    async def wake(self) -> None:
        """Look at once: a mail was committed, or is to be tried again, or its worker has died."""
        self._woken.set()

    async def run(self) -> None:
        """Send what is due until cancelled, whenever it is woken."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                while await self.send_next():
                    pass
            except DatabaseUnavailable:
                log.debug("The database is away: mails wait")
            except SQLAlchemyError as error:
                log.warning("Mails cannot be read: %s", type(error).__name__)
            except Exception:
                log.exception("Mails cannot be sent")

    async def send_next(self) -> bool:
        """Send one mail that is due; False if there is none."""
        mail = await self._transact(lambda mails: mails.take(_TAKEN_SECONDS))
        if mail is None:
            return False
        sending = asyncio.create_task(self._send(mail))
        try:
            await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait({sending}, timeout=_LAST_SECONDS)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            raise
        return True

    async def _send(self, mail: DueMail) -> None:
        try:
            if not mail.is_void:
                await self._delivery.deliver(self._message(mail))
                log.info("Mail %d is sent: %s", mail.id_key, mail.template)
        except MailRefused as error:
            log.warning("Mail %d is given up (%s): %s", mail.id_key, mail.template, error)
        except Exception as error:  # Whatever is wrong with one mail, the others are sent.
            await self._failed(mail, error)
            return
        if self._is_stuck and not mail.is_void:
            self._is_stuck = False
            log.info("Mails are sent again")
        await self._transact(lambda mails: mails.remove(mail.id_key))

    async def _failed(self, mail: DueMail, error: Exception) -> None:
        reason = error if isinstance(error, OSError) else repr(error)
        if mail.is_old:
            log.error("Mail %d is given up after a day (%s): %s", mail.id_key, mail.template, reason)
            await self._transact(lambda mails: mails.remove(mail.id_key))
            return
        if not self._is_stuck:
            self._is_stuck = True
            log.warning("Mail %d waits for another attempt (%s): %s", mail.id_key, mail.template, reason)
        await self._transact(lambda mails: mails.postpone(mail.id_key))

    def _message(self, mail: DueMail) -> EmailMessage:
        """The mail. Raises `MailRefused`, `KeyError` or errors of Jinja2 for one that cannot be written."""
        token = None
        if mail.token is not None:
            secret = stored_token(self._key_ring(), mail.token.purpose, mail.token.id_key, mail.token.secret_hash)
            if secret is None:
                raise MailRefused("its token was made with another key of SECRET_KEYS")
            token = MailToken(secret, mail.token.expires_at)
        settings, shop_url = self._settings, shop_address(self._settings)
        values = {"shop_name": shop_name(settings), "shop_url": shop_url, **mail.fields}
        values |= token_values(mail.template, shop_url, settings.api_prefix, token)
        content = self._templates.mail(mail.template, mail.language or settings.shop_language, values)
        return mail_message(settings, mail.recipient, f"shop-{mail.id_key}", mail.created_at, content)

    async def _transact(self, work: Callable[[OutgoingMailRepository], T]) -> T:
        transaction = partial(self._database.transact, lambda session: work(OutgoingMailRepository(session)))
        return await self._database.run(transaction)
