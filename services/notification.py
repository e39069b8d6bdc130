"""Notifications, for staff: to see, and to send again."""

from typing import Any

from models import Notification
from models.client import Channel
from models.notification import NotificationStatus
from repositories.job_sources import DEFER
from repositories.notification import NotificationRepository
from services.base import BaseService
from services.declared_errors import refuses
from services.errors import NotFound
from services.notification_errors import NotificationUnwanted
from services.notifier import SENDING


class NotificationService(BaseService[Notification]):
    thing, resource = "Notification", "notifications"
    repository_type = NotificationRepository

    @property
    def _notifications(self) -> NotificationRepository:
        return NotificationRepository(self.session)

    @refuses(NotFound, NotificationUnwanted)
    def resend(self, notification_id: int) -> Notification:
        """The notification, which goes out once more as soon as possible, to where the client has it now.

        One that waits is not doubled, but has all its tries before it.
        """
        row = self.lock(notification_id)
        changes: dict[str, Any] = {"status": NotificationStatus.QUEUED, "tries": 0, "error": None}
        if row.client_id is not None:
            changes["recipient"] = self._recipient(row, row.client_id)
        if row.status != NotificationStatus.QUEUED:
            changes |= {"resends": row.resends + 1, "queued_at": self._notifications.now(), "sent_at": None}
        if row.taken_by is None:
            changes["next_try_at"] = None
        updated = self.update_locked(row, changes)
        self.session.execute(DEFER, {"task": SENDING})
        return updated

    def _recipient(self, row: Notification, client_id: int) -> str:
        client = self._notifications.clients([client_id])[client_id]
        recipient = {Channel.MAIL: client.email, Channel.SMS: client.telephone}.get(Channel(row.channel), row.recipient)
        if not client.notify.get(row.channel, True) or not recipient:
            raise NotificationUnwanted(row.id_key, client_id, row.channel)
        return str(recipient)
