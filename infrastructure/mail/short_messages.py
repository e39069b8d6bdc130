"""Short messages by Apprise, which knows the services that send SMS and push messages: each recipient is a call of its own."""

import logging
from urllib.parse import quote

from infrastructure.mail.delivery import MailRefused

# Where the recipient stands in a URL; in one without it, behind the last part of its path.
PLACE = "{recipient}"


class ShortMessages:
    """The service at a URL of Apprise."""

    def __init__(self, url: str) -> None:
        self._url = url
        # It logs recipients.
        logging.getLogger("apprise").setLevel(logging.CRITICAL)

    async def deliver(self, recipient: str, title: str, text: str) -> None:
        """Hand the message over. Raises `MailRefused`, whatever the reason: the services do not tell them apart."""
        # It takes long to load, and most shops need it never.
        from apprise import Apprise

        service = Apprise()
        if not service.add(address_of(self._url, recipient)):
            raise MailRefused("the URL of the service, with the recipient in it, is none that Apprise knows")
        if not await service.async_notify(body=text, title=title):
            raise MailRefused("the service has not taken the message")


def address_of(url: str, recipient: str) -> str:
    """The URL of Apprise for one recipient."""
    # Digits, letters, + and - stay as they are.
    part = quote(recipient, safe="+@")
    if PLACE in url:
        return url.replace(PLACE, part)
    path, mark, query = url.partition("?")
    return f"{path.rstrip('/')}/{part}{mark}{query}"
