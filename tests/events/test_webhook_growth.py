"""E6 of webhooks: what is read to send, to list and to clean up does not grow with the deliveries that are there."""

from typing import Any

import psycopg2
import pytest

from infrastructure.embedded.servers import ServerUrls
from repositories.webhook_queue import CLAIM, RELAY, SETTLE
from tests.race.databases import execute, new_database

pytestmark = [pytest.mark.integration, pytest.mark.chaos]

_DELIVERED = """
    INSERT INTO webhook_deliveries (endpoint_id, event_id, sequence, type, resource, resource_id, status, tries, created_at)
    SELECT n %% 10 + 1, gen_random_uuid(), n, 'order.created', 'orders', n, 'delivered', 1, now() - interval '1 day'
    FROM generate_series(%s, %s) AS n
"""
_DUE = """
    INSERT INTO webhook_deliveries (endpoint_id, sequence, type, resource, resource_id, next_try_at)
    SELECT n % 10 + 1, 2000000 + n, 'order.created', 'orders', 3000000 + n, now() FROM generate_series(1, 100) AS n
"""
_STATEMENTS = {
    "claim": (CLAIM.text, "'{}', '{}', 8, 256, 30"),
    "relay": (RELAY.text, "200"),
    "settle": (SETTLE.text, "2001, 0, true, NULL, 204, 5, NULL"),
    "list": (
        "SELECT id_key FROM webhook_deliveries WHERE endpoint_id = 3 AND status = 'delivered' ORDER BY id_key LIMIT 100",
        "",
    ),
    "purge": (
        "SELECT id_key FROM (SELECT id_key, created_at FROM webhook_deliveries ORDER BY id_key LIMIT 1000) AS oldest "
        "WHERE created_at < now() - interval '30 days'",
        "",
    ),
}


def pages_of(cursor: Any, name: str) -> int:
    """How many pages the statement touches; what it changes is undone."""
    text, values = _STATEMENTS[name]
    cursor.execute("SAVEPOINT before")
    cursor.execute(f"PREPARE {name} AS {text}")
    cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}" + (f" ({values})" if values else ""))
    ((plans,),) = cursor.fetchall()
    cursor.execute("ROLLBACK TO before")
    cursor.execute(f"DEALLOCATE {name}")
    plan = plans[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.timeout(400)
def test_a_hundred_times_as_many_cost_the_same(servers: ServerUrls) -> None:
    url = new_database(servers.database_url)
    execute(
        url,
        "INSERT INTO webhook_endpoints (url, types, secret) SELECT 'https://x.example', '{*}', '' FROM generate_series(1, 10)",
    )
    execute(url, _DELIVERED, 1, 2_000)
    execute(url, _DUE)
    costs = []
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    try:
        for first, last in ((2_001, 2_002), (2_003, 200_000)):
            execute(url, _DELIVERED, first, last)
            execute(url, "VACUUM ANALYZE webhook_deliveries")
            with connection, connection.cursor() as cursor:
                costs.append({name: pages_of(cursor, name) for name in _STATEMENTS})
    finally:
        connection.close()
    few, many = costs
    for name in _STATEMENTS:
        # Larger indexes are a page or two higher, for each of the rows that are looked up.
        assert many[name] <= few[name] * 1.5 + 20, (name, few, many)
