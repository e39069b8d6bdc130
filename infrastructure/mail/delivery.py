"""What ways of mails out of the shop have in common."""

from email.message import EmailMessage
from typing import Protocol


class MailRefused(Exception):
    """The mail server wants this mail at no time, so that it need not be sent again."""


class MailDelivery(Protocol):
    """A way out for mails."""

    async def deliver(self, message: EmailMessage) -> None:
        """Hand the message over. Raises `MailRefused`, or `OSError` when it may work later."""
