"""The way of notifications out of the shop: each is written by its template, and handed to its channel."""

from collections.abc import Mapping
from typing import Any

from config.settings import Settings
from infrastructure.mail.delivery import MailRefused
from infrastructure.mail.short_messages import ShortMessages
from infrastructure.mail.way_out import mail_delivery
from models.client import Channel
from models.notification import NotificationKind
from repositories.notification_queue import DueNotification
from services.mails.mail_message import mail_message, shop_address, shop_name
from services.mails.templates import Templates

# The path of what staff looks at; the others show all there is.
_PATHS = {
    NotificationKind.STOCK_LOW: "/products/{id_key}",
    NotificationKind.WEBHOOK_ENDPOINT_OFF: "/webhook_endpoints/{endpoint_id}",
    NotificationKind.JOB_DEAD: "/jobs/{job_id}",
}
_OF_STAFF = {*_PATHS, NotificationKind.INVARIANTS_BROKEN}


class NotificationSender:
    """Sends notifications by the channels that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._templates = Templates(settings.templates_dir)
        self._mail = mail_delivery(settings)
        urls = {Channel.SMS: settings.sms_url, Channel.PUSH: settings.push_url}
        self._short = {channel: ShortMessages(url) for channel, url in urls.items() if url is not None}

    async def send(self, due: DueNotification) -> None:
        """Hand it over. Raises `MailRefused` where somebody does not take it, and other errors when it may work later."""
        if due.data is None:
            raise MailRefused("the event that it is about is removed")
        values = self._values(due, due.data)
        if due.channel == Channel.MAIL:
            content = self._templates.mail(due.kind, due.language, values)
            # A mail that is sent again by hand is another one: programs would drop the second with one id.
            name = f"notification-{due.id_key}-{due.resends}"
            await self._mail.deliver(mail_message(self._settings, due.recipient, name, due.queued_at, content))
        elif Channel(due.channel) in self._short:
            title, text = self._templates.short(due.kind, due.language, values)
            await self._short[Channel(due.channel)].deliver(due.recipient, title, text)
        else:
            raise MailRefused(f"{due.channel.upper()}_URL is not set")

    def _values(self, due: DueNotification, data: Mapping[str, Any]) -> dict[str, Any]:
        """What the template names."""
        shop = shop_address(self._settings)
        values: dict[str, Any] = {"shop_url": shop, "shop_name": shop_name(self._settings)}
        if due.kind in _OF_STAFF:
            about: Mapping[str, Any] = {"product": data} if due.kind == NotificationKind.STOCK_LOW else data
            link = {"link": shop + _PATHS[due.kind].format_map(data)} if due.kind in _PATHS else {}
            return {**values, **about, **link}
        values |= {"order": data, "name": due.name or "", "link": f"{shop}/orders/{data['id_key']}"}
        if due.kind == NotificationKind.MONEY_RETURNED:
            values["returned"] = data["credit_bill"]["total"]
        return values
