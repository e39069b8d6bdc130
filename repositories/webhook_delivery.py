"""Queries on webhook deliveries; `webhook_queue` has the statements by which they are sent."""

from datetime import datetime

from sqlalchemy import func, select

from models import WebhookDelivery
from repositories.base import BaseRepository
from repositories.query.filters import by_value


class WebhookDeliveryRepository(BaseRepository[WebhookDelivery]):
    model = WebhookDelivery
    filters = {**by_value(endpoint_id=WebhookDelivery.endpoint_id, status=WebhookDelivery.status)}

    @classmethod
    def sortable(cls) -> tuple[str, ...]:
        return ("id_key", "created_at", "endpoint_id", "status")

    def now(self) -> datetime:
        """The time of the database."""
        return self.session.scalars(select(func.now())).one()
