"""Who is told of what: events, and what no event tells, become notifications, each once for a recipient and a channel.

`Notifier` gets its events from the table, or by their ids from whoever has received them elsewhere. Events that come twice
change nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from sqlalchemy.orm import Session

from config.settings import Settings
from models.client import Channel
from models.event import EventType
from models.notification import NotificationKind, NotificationStatus
from models.order import OrderStatus
from repositories.job_sources import DEFER
from repositories.notification import NotificationRepository, ToldEvent
from security.scopes import SCOPES_OF, Scope
from services.mails.mail_message import mail_address

SENDING = "send_notifications"
_MOST_DEAD_JOBS = 100

_OF_TYPES: Mapping[str, NotificationKind] = {
    EventType.ORDER_CREATED: NotificationKind.ORDER_PLACED,
    EventType.ORDER_CANCELED: NotificationKind.ORDER_CANCELED,
    EventType.ORDER_RETURNED: NotificationKind.MONEY_RETURNED,
    EventType.STOCK_LOW: NotificationKind.STOCK_LOW,
}
_OF_STATUSES: Mapping[int | None, NotificationKind] = {
    OrderStatus.IN_PROGRESS: NotificationKind.ORDER_ON_ITS_WAY,
    OrderStatus.DELIVERED: NotificationKind.ORDER_DELIVERED,
}
TYPES = (*_OF_TYPES, EventType.ORDER_STATUS_CHANGED)
# Staff is who may do something about it.
_SCOPES: Mapping[NotificationKind, Scope] = {
    NotificationKind.STOCK_LOW: Scope.STOCK_READ,
    NotificationKind.WEBHOOK_ENDPOINT_OFF: Scope.WEBHOOKS_WRITE,
    NotificationKind.JOB_DEAD: Scope.JOBS_ADMIN,
    NotificationKind.INVARIANTS_BROKEN: Scope.REPORTS_READ,
}


class Notifier:
    """Makes notifications, in the transaction of a session."""

    def __init__(self, session: Session, settings: Settings) -> None:
        self._session, self._settings = session, settings
        self._notifications = NotificationRepository(session)

    def tell_between(self, after: int, until: int) -> None:
        """Tell of the events of the table between these sequences. Those of orders come by AMQP if NOTIFY_FROM says so."""
        by_amqp = self._settings.notify_from == "amqp"
        types = [one for one in TYPES if not (by_amqp and one.startswith("order."))]
        self._tell(self._notifications.events_between(after, until, types))

    def tell_of(self, event_ids: Sequence[UUID]) -> None:
        """Tell of the events with these ids; what is no event any more is passed over."""
        self._tell(self._notifications.events(event_ids))

    def tell_staff(
        self, kind: NotificationKind, cause: str, fields: Mapping[str, Any], recipients: Sequence[str] = ()
    ) -> None:
        """Tell staff by mail of what no event tells, once for each `cause`.

        `fields` are what the template of the kind names, as JSON. Without `recipients` it is who may do something about it.
        """
        event_id = uuid5(NAMESPACE_OID, f"{kind}:{cause}")
        self._add([self._to_staff(event_id, kind, to, fields) for to in recipients or self._staff(kind)])

    def tell_of_dead_jobs(self) -> None:
        """Tell staff of each job that has failed for good, and again if it did after it was tried again."""
        for job in self._notifications.dead_jobs(_MOST_DEAD_JOBS):
            fields = {"job_id": job.id_key, "task": job.task, "attempts": job.attempts, "error": job.error or ""}
            self.tell_staff(NotificationKind.JOB_DEAD, f"{job.id_key}:{job.attempts}", fields)

    # -- the parts ---------------------------------------------------------------------------------

    def _tell(self, events: Iterable[ToldEvent]) -> None:
        told = [(event, kind) for event in events if (kind := _kind_of(event)) is not None]
        clients = self._notifications.clients([event.client_id for event, _ in told if event.client_id is not None])
        rows: list[dict[str, Any]] = []
        for event, kind in told:
            if kind in _SCOPES:
                rows += (self._to_staff(event.id, kind, to) for to in self._staff(kind))
            elif event.client_id is not None and event.client_id in clients:
                rows += self._to_client(event.id, kind, clients[event.client_id])
        self._add(rows)

    def _to_client(self, event_id: UUID, kind: NotificationKind, client: Any) -> Iterable[dict[str, Any]]:
        recipients = {
            Channel.MAIL: client.email,
            Channel.SMS: client.telephone if self._settings.sms_url else None,
            Channel.PUSH: str(client.id_key) if self._settings.push_url else None,
        }
        for channel, recipient in recipients.items():
            if recipient:
                is_on = client.notify.get(channel, True)
                status = NotificationStatus.QUEUED if is_on else NotificationStatus.SUPPRESSED
                row = _row(event_id, kind, channel, recipient, client.language)
                yield row | {"client_id": client.id_key, "status": status.value}

    def _to_staff(
        self, event_id: UUID, kind: NotificationKind, recipient: str, fields: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        row = _row(event_id, kind, Channel.MAIL, recipient, self._settings.shop_language)
        return row | {"fields": fields or {}}

    def _staff(self, kind: NotificationKind) -> Sequence[str]:
        """Who may do something about it: STAFF_MAIL, or the users with the scope, or the shop itself where there are none."""
        roles = [role.value for role, scopes in SCOPES_OF.items() if _SCOPES[kind] in scopes]
        own = [mail_address(self._settings.mail_from)]
        return self._settings.staff_mail or self._notifications.users_of(roles) or own

    def _add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        full = [{"client_id": None, "status": NotificationStatus.QUEUED.value, "fields": {}, **row} for row in rows]
        if self._notifications.add_new(full):
            self._session.execute(DEFER, {"task": SENDING})


def _row(event_id: UUID, kind: NotificationKind, channel: Channel, recipient: str, language: str) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "kind": kind.value,
        "channel": channel.value,
        "recipient": recipient,
        "language": language,
    }


def _kind_of(event: ToldEvent) -> NotificationKind | None:
    if event.type == EventType.ORDER_STATUS_CHANGED:
        return _OF_STATUSES.get(event.new_status)
    return _OF_TYPES.get(event.type)
