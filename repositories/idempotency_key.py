"""Queries on the answers kept by Idempotency-Key."""

import hashlib
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, text
from sqlalchemy.orm import Session

from models import IdempotencyKey

_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
_FIND = select(IdempotencyKey.fingerprint, IdempotencyKey.status, IdempotencyKey.headers, IdempotencyKey.body).where(
    IdempotencyKey.key == bindparam("key")
)
_KEEP = insert(IdempotencyKey)


def lock_number(key: str) -> int:
    """The number of the advisory lock of the key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big", signed=True)


class IdempotencyKeyRepository:
    """The kept answers, on the connection of one session: plain rows need none of what an ORM does with them."""

    def __init__(self, session: Session) -> None:
        self.connection = session.connection()

    def try_lock(self, key: str) -> bool:
        """Whether no other transaction is at work under this key. The lock ends with the transaction, however it ends."""
        return bool(self.connection.execute(_TRY_LOCK, {"lock": lock_number(key)}).scalar_one())

    def find(self, key: str) -> Any | None:
        """The kept answer. It has to be asked for after the lock, in a statement of its own, to see what just committed."""
        return self.connection.execute(_FIND, {"key": key}).first()

    def keep(self, key: str, fingerprint: bytes, status: int, headers: dict[str, str], body: bytes) -> None:
        """Store the answer for whoever repeats the request."""
        self.connection.execute(
            _KEEP, {"key": key, "fingerprint": fingerprint, "status": status, "headers": headers, "body": body}
        )

    def purge(self, older_than_hours: int, batch: int) -> int:
        """Remove at most `batch` answers that are older, by the database's clock; how many there were."""
        old = (
            select(IdempotencyKey.key)
            .where(IdempotencyKey.created_at < text("now() - make_interval(hours => :hours)"))
            .order_by(IdempotencyKey.created_at)
            .limit(batch)
            .with_for_update(skip_locked=True)
        )
        statement = delete(IdempotencyKey).where(IdempotencyKey.key.in_(old)).returning(IdempotencyKey.key)
        return len(self.connection.execute(statement, {"hours": older_than_hours}).all())
