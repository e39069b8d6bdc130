"""Retention: events that were kept long enough are removed, the oldest in the order of reading first."""

from sqlalchemy import BigInteger, Boolean, Integer, Numeric, bindparam, text
from sqlalchemy.orm import Session

# No more than the batch is looked at, whether or not it is old: what came late to its place waits until it is the first.
# What no job was made of yet stays, and, where there is a broker, what it has not confirmed.
_PURGE = text("""
    WITH oldest AS (
        SELECT id, sequence, occurred_at FROM events WHERE sequence > :after ORDER BY sequence LIMIT :batch
    ), removed AS (
        DELETE FROM events USING oldest WHERE events.id = oldest.id
            AND oldest.occurred_at < now() - :days * interval '1 day'
            AND oldest.sequence <= (SELECT min(last_sequence) FROM event_relays WHERE name <> 'broker' OR :has_broker)
        RETURNING oldest.sequence
    )
    SELECT count(*), coalesce(max(sequence), 0) FROM removed
""").bindparams(
    bindparam("after", type_=BigInteger),
    bindparam("batch", type_=Integer),
    bindparam("days", type_=Numeric),
    bindparam("has_broker", type_=Boolean),
)


def purge(session: Session, after: int, days: float, batch: int, *, has_broker: bool) -> tuple[int, int]:
    """Remove events older than `days` of the first `batch` behind the sequence `after`; how many, and the last of them."""
    values = {"after": after, "batch": batch, "days": days, "has_broker": has_broker}
    removed, last = session.execute(_PURGE, values).one()
    return removed, last
