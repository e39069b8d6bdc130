"""Queries on API keys."""

from collections.abc import Collection

from sqlalchemy import func, or_, text, update
from sqlalchemy.orm import Session

from models import ApiKey
from repositories.base import BaseRepository
from repositories.query.filters import same

# The time of its last use is exact to this.
_A_MINUTE = text("interval '1 minute'")


class ApiKeyRepository(BaseRepository[ApiKey]):
    model = ApiKey
    filters = {"name": same(ApiKey.name, "name"), "prefix": same(ApiKey.prefix, "prefix")}


def note_use(session: Session, key_ids: Collection[int]) -> None:
    """Set the time of the last use of these keys, where that is more than a minute ago."""
    is_old = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - _A_MINUTE)
    used = update(ApiKey).where(ApiKey.id_key.in_(sorted(key_ids)), is_old).values(last_used_at=func.now())
    session.execute(used.execution_options(synchronize_session=False))
