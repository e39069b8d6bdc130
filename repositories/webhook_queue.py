"""Statements by which webhooks are sent: deliveries are made of events, taken by a process for a while, and settled.

Each is a transaction by itself, and by the database's clock. Whoever takes a delivery counts up its `tries`, and settles it
only while that number is still there: a process that was frozen, and whose delivery another one took over, changes nothing.
"""

from infrastructure.database.prepared import Prepared
from repositories.event_reading import FIELDS
from repositories.webhook_endpoint import RELAY_NAME

BATCH = 200
# So often a delivery fails until later ones about the same resource go past it.
_HELD_FAILURES = 2
# Who has failed for so long is switched off.
FAILING_DAYS = 5

_FITS = "endpoint.types && ARRAY[batch.type, split_part(batch.type, '.', 1) || '.*', '*']::varchar[]"
_COLUMNS = "endpoint_id, event_id, sequence, type, resource, resource_id, next_try_at"
_OF_BATCH = "endpoint.id_key, batch.id, batch.sequence, batch.type, batch.resource, batch.resource_id, now()"

# Of the next events for all endpoints that want them. While another process moves the cursor this one does nothing.
RELAY = Prepared(
    "relay_to_webhooks",
    f"""
    WITH reader AS MATERIALIZED (
        SELECT last_sequence FROM event_relays WHERE name = '{RELAY_NAME}' FOR UPDATE SKIP LOCKED
    ),
    batch AS MATERIALIZED (
        SELECT id, sequence, type, resource, resource_id FROM events
        WHERE sequence > (SELECT last_sequence FROM reader) ORDER BY sequence LIMIT $1::int
    ),
    made AS (
        INSERT INTO webhook_deliveries ({_COLUMNS})
        SELECT {_OF_BATCH} FROM batch JOIN webhook_endpoints AS endpoint ON endpoint.active AND {_FITS}
        ORDER BY batch.sequence ON CONFLICT DO NOTHING
    ),
    moved AS (
        UPDATE event_relays SET last_sequence = (SELECT max(sequence) FROM batch)
        WHERE name = '{RELAY_NAME}' AND EXISTS (SELECT FROM batch)
    )
    SELECT count(*) FROM batch
    """,  # noqa: S608 (constants of this module)
    ("limit",),
)
# Of those that somebody wants to have again, for one endpoint; the rows are how many such endpoints were found.
REPLAY = Prepared(
    "replay_to_webhook",
    f"""
    WITH endpoint AS MATERIALIZED (
        SELECT id_key, types, replay_after, replay_until FROM webhook_endpoints
        WHERE active AND replay_after IS NOT NULL ORDER BY id_key LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ),
    batch AS MATERIALIZED (
        SELECT id, sequence, type, resource, resource_id FROM events
        WHERE sequence > (SELECT replay_after FROM endpoint) AND sequence <= (SELECT replay_until FROM endpoint)
        ORDER BY sequence LIMIT $1::int
    ),
    made AS (
        INSERT INTO webhook_deliveries ({_COLUMNS})
        SELECT {_OF_BATCH} FROM batch JOIN endpoint ON {_FITS} ORDER BY batch.sequence
        ON CONFLICT (event_id, endpoint_id) DO UPDATE SET status = 'pending', failures = 0, next_try_at = now()
    ),
    rest AS (
        SELECT max(sequence) AS place, count(*) = $1::int AS is_there FROM batch
    ),
    moved AS (
        UPDATE webhook_endpoints SET
            replay_after = CASE WHEN rest.is_there THEN rest.place END,
            replay_until = CASE WHEN rest.is_there THEN replay_until END
        FROM rest WHERE webhook_endpoints.id_key = (SELECT id_key FROM endpoint)
    )
    SELECT count(*) FROM endpoint
    """,  # noqa: S608 (constants of this module)
    ("limit",),
)

_EVENT = {
    "id": "taken.event_id",
    "sequence": "taken.sequence",
    "type": "taken.type",
    "resource": "taken.resource",
    "resource_id": "taken.resource_id",
    "occurred_at": "coalesce(event.occurred_at, taken.created_at)",
    # A test has no event, and an event may not be kept any more.
    "data": "CASE WHEN taken.sequence IS NULL THEN '{}' ELSE event.data::text END",
}
_SHOWN = ", ".join(_EVENT.get(name, f"event.{name}") for name in FIELDS)
# Of each endpoint as many as it has room for: $1 have $2 under way already, and may have $3, or one while nothing succeeds.
# A delivery waits for those of earlier events about the same resource. Nobody else takes it for $5 seconds.
CLAIM = Prepared(
    "claim_webhooks",
    f"""
    WITH busy AS MATERIALIZED (
        SELECT * FROM unnest($1::bigint[], $2::int[]) AS busy (endpoint_id, number)
    ),
    open AS (
        SELECT endpoint.id_key, greatest(
            0, CASE WHEN endpoint.failing_since IS NULL THEN $3::int ELSE 1 END - coalesce(busy.number, 0)
        ) AS room
        FROM webhook_endpoints AS endpoint LEFT JOIN busy ON busy.endpoint_id = endpoint.id_key
        WHERE endpoint.active ORDER BY random()
    ),
    picked AS MATERIALIZED (
        SELECT due.id_key FROM open CROSS JOIN LATERAL (
            SELECT delivery.id_key FROM webhook_deliveries AS delivery
            WHERE delivery.endpoint_id = open.id_key AND delivery.status = 'pending' AND delivery.next_try_at <= now()
                AND NOT EXISTS (
                    SELECT FROM webhook_deliveries AS earlier
                    WHERE earlier.endpoint_id = delivery.endpoint_id AND earlier.status = 'pending'
                        AND earlier.resource_id = delivery.resource_id AND earlier.resource = delivery.resource
                        AND earlier.sequence < delivery.sequence AND earlier.failures < {_HELD_FAILURES}
                )
            ORDER BY delivery.next_try_at, delivery.sequence LIMIT open.room FOR NO KEY UPDATE SKIP LOCKED
        ) AS due LIMIT $4::int
    ),
    taken AS (
        UPDATE webhook_deliveries AS delivery SET
            tries = tries + 1, next_try_at = clock_timestamp() + make_interval(secs => $5::float8)
        FROM picked WHERE delivery.id_key = picked.id_key RETURNING delivery.*
    )
    SELECT taken.id_key, taken.tries, taken.failures, taken.endpoint_id, endpoint.url, endpoint.secret,
        CASE WHEN endpoint.previous_secret_until > now() THEN endpoint.previous_secret END, {_SHOWN}
    FROM taken JOIN webhook_endpoints AS endpoint ON endpoint.id_key = taken.endpoint_id
    LEFT JOIN events AS event ON event.id = taken.event_id
    """,  # noqa: S608 (constants of this module)
    ("endpoints", "numbers", "most", "limit", "seconds"),
)
# How the try has ended: delivered ($3), or failed, and then tried again after $4 seconds, or never (NULL). One row, unless
# the delivery is not this try's any more: whether the endpoint has failed for too long.
SETTLE = Prepared(
    "settle_webhook",
    f"""
    WITH settled AS (
        UPDATE webhook_deliveries SET
            status = CASE WHEN $3::boolean THEN 'delivered' WHEN $4::float8 IS NULL THEN 'failed' ELSE 'pending' END,
            failures = failures + (NOT $3::boolean)::int,
            next_try_at = clock_timestamp() + make_interval(secs => $4::float8),
            codes = array_append(codes, $5::int), durations = array_append(durations, $6::int), error = $7::text
        WHERE id_key = $1::bigint AND tries = $2::int AND status = 'pending' RETURNING endpoint_id
    ),
    noted AS (
        UPDATE webhook_endpoints SET failing_since = CASE WHEN NOT $3::boolean THEN now() END
        WHERE id_key = (SELECT endpoint_id FROM settled) AND (failing_since IS NOT NULL) = $3::boolean
    )
    SELECT endpoint.active AND NOT $3::boolean
        AND coalesce(endpoint.failing_since <= now() - interval '{FAILING_DAYS} days', false)
    FROM webhook_endpoints AS endpoint JOIN settled ON settled.endpoint_id = endpoint.id_key
    """,  # noqa: S608 (constants of this module)
    ("delivery", "tries", "is_delivered", "pause", "code", "duration", "error"),
)
# The process ends: another one tries at once.
RELEASE = Prepared(
    "release_webhook",
    """
    UPDATE webhook_deliveries SET next_try_at = now()
    WHERE id_key = $1::bigint AND tries = $2::int AND status = 'pending' RETURNING id_key
    """,
    ("delivery", "tries"),
)
