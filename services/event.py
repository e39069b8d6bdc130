"""Events as a principal may read them: all of them, and customers those of their own orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from repositories.event_reading import (
    FIELDS,
    MOST_CHANGES,
    Change,
    EventPage,
    Selection,
    changes_query,
    event_query,
    newest_query,
    page_query,
)
from repositories.query.bound_query import Query
from schemas.event import EventFilter
from security.principal import Principal
from services.errors import NotFound

__all__ = ["FIELDS", "MOST_CHANGES", "Change", "EventPage", "EventService", "Selection"]

# The client of a customer who has none.
_NOBODY = 0


@dataclass(frozen=True, slots=True)
class EventService:
    """What one principal reads."""

    principal: Principal

    @property
    def _client_id(self) -> int | None:
        return (self.principal.client_id or _NOBODY) if self.principal.is_customer else None

    def selection(self, asked: EventFilter) -> Selection:
        """The events that the principal asks for and may read."""
        return Selection(asked.type, asked.resource_id, self._client_id)

    @staticmethod
    def page(selection: Selection, after: int, limit: int) -> Query[EventPage]:
        """The first events after this sequence."""
        return page_query(selection, after, limit)

    @staticmethod
    def changes(after: int) -> Query[Sequence[Change]]:
        """All events after this sequence, up to `MOST_CHANGES`, for whoever may read them."""
        return changes_query(after)

    @staticmethod
    def newest() -> Query[int]:
        """The sequence behind which there is nothing yet."""
        return newest_query()

    def row(self, event_id: UUID) -> Query[Any]:
        """The event that has this id, by its `FIELDS`. Raises `NotFound` when it is read."""

        def found(row: Any | None) -> Any:
            if row is None:
                raise NotFound("Event", event_id)
            return row

        return event_query(event_id, self._client_id).map(found)
