"""Statements of the relay to the broker: whose turn it is to send events, and how far they are sent.

A turn is a lease, by the clock of the database: it ends by itself when its process is dead, frozen, or has no way to the
broker. Two processes that send at once do no harm, because each sends in order from a place up to which all is sent: a
reader that leaves out what it has had sees the right order. The turn only spares them the work.
"""

from infrastructure.database.prepared import Prepared

# Whoever sends renews the turn more often than this, and waits for the broker for less.
TURN_SECONDS = 15.0

# A turn that ends later than one can was given before the clock was set back.
_IS_MINE = """
    (holder = $1::uuid OR held_until IS NULL
        OR held_until NOT BETWEEN clock_timestamp() AND clock_timestamp() + make_interval(secs => $2::float8))
"""

# The place behind which events are to be sent; no row if there are none, or it is the turn of another process.
TAKE_TURN = Prepared(
    "take_turn",
    f"""
    WITH free AS MATERIALIZED (
        SELECT name FROM event_relays AS relay
        WHERE name = 'broker' AND {_IS_MINE} AND EXISTS (SELECT FROM events WHERE sequence > relay.last_sequence)
        FOR UPDATE SKIP LOCKED
    )
    UPDATE event_relays SET holder = $1::uuid, held_until = clock_timestamp() + make_interval(secs => $2::float8)
    FROM free WHERE event_relays.name = free.name RETURNING last_sequence
    """,  # noqa: S608 (constants of this module)
    ("holder", "seconds"),
)
# All up to this place is sent. No row if the turn has gone to another process, which goes on from where it was.
NOTE_SENT = Prepared(
    "note_sent",
    """
    UPDATE event_relays SET last_sequence = $3::bigint,
        held_until = clock_timestamp() + make_interval(secs => $2::float8)
    WHERE name = 'broker' AND holder = $1::uuid AND last_sequence <= $3::bigint RETURNING last_sequence
    """,
    ("holder", "seconds", "sequence"),
)
# Another process may go on at once.
END_TURN = Prepared(
    "end_turn",
    "UPDATE event_relays SET held_until = NULL WHERE name = 'broker' AND holder = $1::uuid AND held_until IS NOT NULL",
    ("holder",),
)
