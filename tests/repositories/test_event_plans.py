"""E6: to read events costs the same however many there are: by an index that has them in their order, for each filter."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from infrastructure.embedded.servers import ServerUrls
from repositories.event_reading import Selection, event_query, newest_query, page_query
from repositories.query.bound_query import Query
from tests.race.databases import execution_of, session_on_rows
from tests.repositories.statements import Plan, plan_in

pytestmark = pytest.mark.integration

MANY = 40_000
# 1 in 4,000 has the rare type; resources and clients have 40 events each.
_ROWS = f"""
    INSERT INTO events (sequence, type, resource, resource_id, client_id, data)
    SELECT nextval('event_sequence'),
        CASE WHEN n % 4000 = 7 THEN 'order.returned' WHEN n % 2 = 0 THEN 'stock.low' ELSE 'order.created' END,
        'orders', n % 1000, n % 1000, '{{}}'
    FROM generate_series(1, {MANY}) n
"""
LIMIT = 20
SELECTIONS = [
    Selection(),
    Selection(("order.returned",)),
    Selection(("stock.low",)),
    Selection(("user.registered",)),
    Selection(("order.created", "order.returned", "stock.low", "user.registered")),
    Selection(resource_id=7),
    Selection(("order.returned",), resource_id=7),
    Selection(("order.created", "user.registered"), resource_id=7),
    Selection(client_id=7),
    Selection(("order.returned",), client_id=7),
    Selection(("order.created", "user.registered"), client_id=7),
    Selection(resource_id=7, client_id=7),
    Selection(("order.returned",), resource_id=7, client_id=7),
]


@pytest.fixture(scope="module")
def session(servers: ServerUrls) -> Iterator[Session]:
    with session_on_rows(servers, _ROWS) as session:
        # As the pool for reads has it.
        session.execute(text("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"))
        yield session


def named(selection: Selection) -> str:
    return "-".join([*selection.types, *(key for key in ("resource_id", "client_id") if getattr(selection, key))])


def plan_of(session: Session, query: Query[Any]) -> Plan:
    """What PostgreSQL does for the first statement of the query, with figures."""
    bound = next(query.bind(session.get_bind().engine))
    statement, parameters = bound.as_sent()
    connection = session.connection()
    connection.exec_driver_sql("DEALLOCATE ALL")
    connection.exec_driver_sql(f"PREPARE {statement.name} AS {statement.text.replace('%', '%%')}")
    explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {execution_of(statement)}"
    return plan_in(connection.exec_driver_sql(explained, dict(parameters)).scalar_one())


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def require_cheap(plan: Plan, walks: int) -> None:
    """It looks at no event that is not shown, but for the walks of several types, and those about one resource."""
    kinds = {node["Node Type"] for node in nodes(plan)}
    assert "Seq Scan" not in kinds, json.dumps(plan, indent=1)
    looked_at = sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan) if "Index" in node["Node Type"])
    removed = sum(node.get("Rows Removed by Filter", 0) * node["Actual Loops"] for node in nodes(plan))
    assert looked_at <= (walks + 1) * LIMIT + 40, json.dumps(plan, indent=1)
    assert removed <= 40, json.dumps(plan, indent=1)


@pytest.mark.parametrize("selection", SELECTIONS, ids=named)
@pytest.mark.parametrize("after", [0, MANY // 2, MANY])
def test_a_page_takes_no_look_at_other_events(session: Session, selection: Selection, after: int) -> None:
    require_cheap(plan_of(session, page_query(selection, after, LIMIT)), len(selection.types) or 1)


def test_the_newest_and_one_by_its_id(session: Session) -> None:
    event_id = session.execute(text("SELECT id FROM events LIMIT 1")).scalar_one()
    for query in (newest_query(), event_query(event_id, None), event_query(event_id, 7)):
        require_cheap(plan_of(session, query), 1)
