"""Queries on webhook deliveries; `webhook_queue` has the statements by which they are sent."""

from datetime import datetime

from sqlalchemy import Integer, Numeric, bindparam, func, select, text

from models import WebhookDelivery
from repositories.base import BaseRepository
from repositories.query.filters import by_value

# Of the oldest, which the keys tell: however many there are behind them, nobody looks at those.
_PURGE = text("""
    DELETE FROM webhook_deliveries WHERE id_key IN (
        SELECT id_key FROM (SELECT id_key, created_at FROM webhook_deliveries ORDER BY id_key LIMIT :batch) AS oldest
        WHERE created_at < now() - :days * interval '1 day'
    )
""").bindparams(bindparam("batch", type_=Integer), bindparam("days", type_=Numeric))


class WebhookDeliveryRepository(BaseRepository[WebhookDelivery]):
    model = WebhookDelivery
    filters = {**by_value(endpoint_id=WebhookDelivery.endpoint_id, status=WebhookDelivery.status)}

    @classmethod
    def sortable(cls) -> tuple[str, ...]:
        return ("id_key", "created_at", "endpoint_id", "status")

    def purge(self, days: float, batch: int) -> int:
        """Remove deliveries older than so many days, of the first `batch`; how many were removed."""
        return int(self.session.execute(_PURGE, {"batch": batch, "days": days}).rowcount)  # type: ignore[attr-defined]

    def now(self) -> datetime:
        """The time of the database."""
        return self.session.scalars(select(func.now())).one()
