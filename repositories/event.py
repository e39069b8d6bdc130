"""The sequencer's statement: it gives committed events their place in the order of reading.

One process at a time gives sequences, by a lock that PostgreSQL drops with the statement's own transaction, so that
nothing is held between two runs. The next one gets the lock when the commit of the one before is visible: who sees a
sequence sees all smaller ones that there will ever be. Sequences have gaps.

Events of one resource are written one after the other, with growing positions, and what was committed is seen together:
so they are numbered in that order. No position can tell what was committed late; the statement looks at all events that
have no sequence yet. It passes over the positions below `floor`, of which `events.sequencer` knows that they are settled.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from infrastructure.database.prepared import Parameters, Prepared

# So many events get their sequences at a time: some 20 ms of PostgreSQL.
BATCH = 1000

# The first part of the lock's key; the second one is the table, of which a database may have several.
LOCK_CLASS = 0x6576_6E74

# In the order in which it happens: the snapshot, the lock, the events of the snapshot, their sequences, the update. Events
# that another run has numbered since the snapshot are not updated again, and their new numbers are not used. What a
# reader was shown must survive a crash, also where transactions do not wait for the disk. The update does not say IS NULL,
# for which PostgreSQL would go through the index of those without a sequence again for each of them.
_NUMBER = """
WITH durable AS MATERIALIZED (
    SELECT CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'local', true) END
), held AS MATERIALIZED (
    SELECT pg_try_advisory_xact_lock($4::int, 'events'::regclass::oid::int) AS is_held
    FROM durable
), start AS MATERIALIZED (
    SELECT CASE WHEN EXISTS (
        SELECT FROM unnest($2::text::xid8[]) AS pending (id)
        WHERE pg_visible_in_snapshot(pending.id, pg_current_snapshot())
    ) THEN 0 ELSE $1::bigint END AS floor
), found AS MATERIALIZED (
    SELECT unsequenced.id, nextval('event_sequence') AS sequence FROM (
        SELECT id FROM events
        WHERE sequence IS NULL AND position >= (SELECT floor FROM start) AND (SELECT is_held FROM held)
        ORDER BY position LIMIT $3::int
    ) AS unsequenced
), numbered AS (
    UPDATE events SET sequence = found.sequence FROM found
    WHERE events.id = found.id AND COALESCE(events.sequence, 0) = 0
    RETURNING 1
)
SELECT (SELECT is_held FROM held), (SELECT count(*) FROM found), done.number, pg_current_snapshot()::text,
    CASE WHEN done.number > 0 THEN pg_current_xact_id()::text::bigint END,
    (SELECT last_value - (NOT is_called)::int FROM events_position_seq)
FROM (SELECT count(*) AS number FROM numbered) AS done
"""
_STATEMENT = Prepared("number_events", _NUMBER, ("floor", "pending", "limit", "lock_class"))


class Run(NamedTuple):
    """What one run of the sequencer did. It did nothing where another process had the lock.

    It `found` so many events, of which it `numbered` those that nobody else had numbered in between. `snapshot` is
    PostgreSQL's text of what it could see, `transaction` its own id, which only a run has that numbered something, and
    `last_position` the last one that was taken before its end.
    """

    had_lock: bool
    found: int
    numbered: int
    snapshot: str
    transaction: int | None
    last_position: int

    @property
    def is_complete(self) -> bool:
        """Whether all events that it could see have sequences now."""
        return self.had_lock and self.found < BATCH


def numbering(floor: int, pending: Collection[int]) -> tuple[Prepared, Parameters]:
    """The statement of a run, which is a transaction by itself, and its parameters.

    It looks at positions from `floor` on, or at all of them if one of the transactions `pending` has ended.
    """
    ids = ",".join(map(str, sorted(pending)))
    return _STATEMENT, {"floor": floor, "pending": f"{{{ids}}}", "limit": BATCH, "lock_class": LOCK_CLASS}


def run_of(rows: Sequence[Any]) -> Run:
    """The run, by the rows of its statement."""
    return Run(*rows[0])
