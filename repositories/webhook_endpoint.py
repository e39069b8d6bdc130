"""Queries on webhook endpoints."""

from datetime import datetime

from sqlalchemy import func, select, text

from models import EventRelay, User, WebhookEndpoint
from repositories.base import BaseRepository
from repositories.query.filters import by_value

# The cursor of those events of which deliveries were made.
RELAY_NAME = "webhooks"
_A_DAY = text("interval '1 day'")


class WebhookEndpointRepository(BaseRepository[WebhookEndpoint]):
    model = WebhookEndpoint
    filters = {**by_value(user_id=WebhookEndpoint.user_id, active=WebhookEndpoint.active)}

    def in_a_day(self) -> datetime:
        """The time of the database, a day from now."""
        return self.session.scalars(select(func.now() + _A_DAY)).one()

    def last_relayed(self) -> int:
        """The last sequence that was looked at for all endpoints."""
        relay = select(EventRelay.last_sequence).where(EventRelay.name == RELAY_NAME)
        return self.session.scalars(relay).one()

    def owner_address(self, user_id: int) -> tuple[str, str] | None:
        """The user name and the mail address of a user, if they can log in."""
        owner = select(User.username, User.email).where(User.id_key == user_id, User.is_active)
        row = self.session.execute(owner).one_or_none()
        return None if row is None else (row.username, row.email)
