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

    def next_locked(self, after: int) -> WebhookEndpoint | None:
        """The first endpoint behind this key, locked; None if there is none."""
        one = select(WebhookEndpoint).where(WebhookEndpoint.id_key > after).order_by(WebhookEndpoint.id_key).limit(1)
        return self.session.scalars(one.with_for_update(key_share=True)).one_or_none()

    def has_old_secret(self, endpoint_id: int) -> bool:
        """Whether the secret of before the last rotation is there, and signs no more."""
        is_over = WebhookEndpoint.previous_secret_until <= func.now()
        return self.session.scalar(select(is_over).where(WebhookEndpoint.id_key == endpoint_id)) or False

    def last_relayed(self) -> int:
        """The last sequence that was looked at for all endpoints."""
        relay = select(EventRelay.last_sequence).where(EventRelay.name == RELAY_NAME)
        return self.session.scalars(relay).one()

    def owner_address(self, user_id: int) -> str | None:
        """The mail address of a user, if they can log in."""
        return self.session.scalar(select(User.email).where(User.id_key == user_id, User.is_active))
