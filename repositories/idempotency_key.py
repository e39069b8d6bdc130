"""Queries on the replies kept by Idempotency-Key."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import psycopg2
from sqlalchemy import bindparam, case, delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from models import IdempotencyKey
from repositories.csv.bulk_load import Pieces, copy_cell

_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
# Larger bodies are written and read in pieces: the driver lets no other thread run while it turns bytes into digits, and
# keeps several copies of them meanwhile.
_LONG_BODY = 256 * 1024
_PIECE = 2 * 1024 * 1024
_COPIED = 64 * 1024

_KEPT = IdempotencyKey.key == bindparam("key")
_LENGTH = func.octet_length(IdempotencyKey.body)
_FIND = select(
    IdempotencyKey.fingerprint,
    IdempotencyKey.status,
    IdempotencyKey.headers,
    case((_LENGTH <= _LONG_BODY, IdempotencyKey.body)).label("body"),
    _LENGTH.label("length"),
).where(_KEPT)
_FIND_PIECE = select(func.substring(IdempotencyKey.body, bindparam("start"), _PIECE)).where(_KEPT)
_COPY = "COPY idempotency_keys (key, fingerprint, status, headers, body) FROM STDIN"
_KEEP = insert(IdempotencyKey)


def lock_number(key: str) -> int:
    """The number of the advisory lock of the key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big", signed=True)


class IdempotencyKeyRepository:
    """The kept replies, on the connection of a session: plain rows need no ORM."""

    def __init__(self, session: Session) -> None:
        self.connection = session.connection()

    def try_lock(self, key: str) -> bool:
        """Whether no other transaction uses this key. The lock ends with the transaction, however it ends."""
        return bool(self.connection.execute(_TRY_LOCK, {"lock": lock_number(key)}).scalar_one())

    def find(self, key: str) -> Any | None:
        """The kept reply. To be called after the lock: a statement of its own sees what was committed just before."""
        return self.connection.execute(_FIND, {"key": key}).first()

    def body(self, key: str, kept: Any) -> bytes:
        """The body of a reply that was found under the key."""
        if kept.body is not None:
            return bytes(kept.body)
        starts = range(1, kept.length + 1, _PIECE)
        pieces = (self.connection.execute(_FIND_PIECE, {"key": key, "start": start}).scalar_one() for start in starts)
        return b"".join(pieces)

    def keep(self, key: str, fingerprint: bytes, status: int, headers: dict[str, str], body: bytes) -> None:
        """Store the reply for repetitions of the request."""
        if len(body) > _LONG_BODY:
            self._copy(copied(key, fingerprint, status, headers, body))
            return
        self.connection.execute(
            _KEEP, {"key": key, "fingerprint": fingerprint, "status": status, "headers": headers, "body": body}
        )

    def _copy(self, pieces: Iterator[str]) -> None:
        driver = self.connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor:
            try:
                cursor.copy_expert(_COPY, Pieces(pieces))
            except psycopg2.Error as error:
                # As SQLAlchemy raises it from other statements.
                dialect = self.connection.dialect
                is_lost = dialect.is_disconnect(error, driver, cursor)  # type: ignore[arg-type]  # it is the driver's
                raise DBAPIError.instance(
                    _COPY, None, error, psycopg2.Error, connection_invalidated=is_lost, dialect=dialect
                ) from error

    def purge(self, older_than_hours: int, batch: int) -> int:
        """Remove at most `batch` replies that are older, by the clock of the database; how many were removed."""
        old = (
            select(IdempotencyKey.key)
            .where(IdempotencyKey.created_at < text("now() - make_interval(hours => :hours)"))
            .order_by(IdempotencyKey.created_at)
            .limit(batch)
            .with_for_update(skip_locked=True)
        )
        statement = delete(IdempotencyKey).where(IdempotencyKey.key.in_(old)).returning(IdempotencyKey.key)
        return len(self.connection.execute(statement, {"hours": older_than_hours}).all())


def copied(key: str, fingerprint: bytes, status: int, headers: dict[str, str], body: bytes) -> Iterator[str]:
    """The row as COPY reads it, in pieces."""
    cells = (copy_cell(key), f"\\\\x{fingerprint.hex()}", str(status), copy_cell(json.dumps(headers)))
    yield "\t".join((*cells, r"\\x"))
    for start in range(0, len(body), _COPIED):
        yield body[start : start + _COPIED].hex()
    yield "\n"
