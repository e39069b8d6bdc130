"""Reading events: in their order, from a place on, by type and by row; and each by its id."""

import uuid
from typing import Any

import httpx
import pytest

from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration

NOBODY = "00000000-0000-7000-8000-000000000000"
_INSERT = """
    INSERT INTO events (type, resource, resource_id, client_id, actor, request_id, trace_parent, data, occurred_at)
    VALUES (%s, %s, %s, NULL, 'user:7', 'r-1', '00-1-2-01', %s, '2026-11-16 10:00:00.5+02') RETURNING id::text
"""

Row = dict[str, Any]


@pytest.fixture
def client(traced_client: httpx.Client) -> httpx.Client:
    return traced_client


def write(url: str, kind: str = "product.updated", resource_id: int | None = 1, data: str = "{}") -> str:
    """Write an event; its id."""
    ((event_id,),) = rows_of(url, _INSERT, kind, f"{kind.partition('.')[0]}s", resource_id, data)
    return str(event_id)


def read(client: httpx.Client, **params: Any) -> tuple[list[Row], int]:
    """The events, and where to go on."""
    response = client.get("/events", params=params)
    assert response.status_code == 200, response.text
    return response.json(), int(response.headers["x-next-after"])


@pytest.fixture
def start(client: httpx.Client) -> int:
    """The end of all events so far."""
    after = 0
    while True:
        events, reached = read(client, after=after, limit=1000)
        if not events:
            return after
        after = reached


def test_events_come_in_the_order_of_their_sequences(client: httpx.Client, database_url: str, start: int) -> None:
    ids = [write(database_url) for _ in range(5)]
    events, reached = read(client, after=start)
    assert [event["id"] for event in events] == ids
    sequences = [event["sequence"] for event in events]
    assert sequences == sorted(sequences)
    assert reached == sequences[-1]
    assert read(client, after=reached) == ([], reached)


def test_a_reader_goes_on_from_page_to_page(client: httpx.Client, database_url: str, start: int) -> None:
    ids = [write(database_url) for _ in range(5)]
    seen, after = [], start
    while True:
        events, after = read(client, after=after, limit=2)
        seen += [event["id"] for event in events]
        if not events:
            break
    assert seen == ids


def test_a_page_of_large_events_is_short_and_nothing_is_left_out(
    client: httpx.Client, database_url: str, start: int
) -> None:
    noise = "".join(rows_of(database_url, "SELECT string_agg(md5(n::text), '') FROM generate_series(1, 4000) n")[0])
    ids = [write(database_url, data=f'{{"text": "{noise}"}}') for _ in range(7)]
    seen: list[str] = []
    after, pages = start, 0
    while True:
        events, after = read(client, after=after, limit=1000)
        if not events:
            break
        assert len(events) < 7
        seen, pages = seen + [event["id"] for event in events], pages + 1
    assert seen == ids
    assert pages > 1


def test_an_event_is_shown_as_it_was_stored(client: httpx.Client, database_url: str, start: int) -> None:
    data = '{ "price": 999.90,\n "b": 1, "a": "ü \\" \\u00e4", "big": 12345678901234567890.10 }'
    event_id = write(database_url, "product.price_changed", 7, data)
    response = client.get("/events", params={"after": start})
    assert f'"data":{data}' in response.text
    (event,) = response.json()
    assert list(event) == (
        [
            "id",
            "sequence",
            "type",
            "resource",
            "resource_id",
            "occurred_at",
            "actor",
            "request_id",
            "trace_parent",
            "data",
        ]
    )
    assert event | {"sequence": 0, "data": {}} == {
        "id": event_id,
        "sequence": 0,
        "type": "product.price_changed",
        "resource": "products",
        "resource_id": 7,
        "occurred_at": "2026-11-16T08:00:00.500000Z",
        "actor": "user:7",
        "request_id": "r-1",
        "trace_parent": "00-1-2-01",
        "data": {},
    }
    one = client.get(f"/events/{event_id}")
    assert f'"data":{data}' in one.text
    assert one.json() == event
    assert client.get(f"/events/{event_id}", headers={"If-None-Match": one.headers["etag"]}).status_code == 304
    assert client.get(f"/events/{event_id.upper()}").json() == event


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"type": "order.created"}, [0]),
        ({"type": "order.*"}, [0, 3]),
        ({"type": "order.*,stock.low"}, [0, 1, 3]),
        ({"type": ["order.created", " stock.* "]}, [0, 1]),
        ({"type": "*"}, [0, 1, 2, 3]),
        ({"type": ""}, [0, 1, 2, 3]),
        ({"type": "user.registered"}, []),
        ({"resource_id": 2**62}, [1, 2]),
        ({"resource_id": 2**62, "type": "stock.*"}, [1]),
        ({"resource_id": 2**62 + 7}, []),
        ({"resource_id": -1}, []),
        ({"resource_id": 10**30}, []),
    ],
)
def test_filters(client: httpx.Client, database_url: str, start: int, asked: Row, wanted: list[int]) -> None:
    written = [
        write(database_url, kind, resource_id)
        for kind, resource_id in (
            ("order.created", 2**61),
            ("stock.low", 2**62),
            ("product.updated", 2**62),
            ("order.canceled", 2**61),
        )
    ]
    events, reached = read(client, after=start, **asked)
    assert [event["id"] for event in events] == [written[number] for number in wanted]
    # Nothing that comes later is before it, so that the next call need not look there again.
    everything, end = read(client, after=start)
    assert [event["id"] for event in everything] == written
    assert reached == end


@pytest.mark.parametrize(
    "params",
    [
        {"type": "order.made"},
        {"type": "orders.*"},
        {"type": "order"},
        {"type": "*.created"},
        {"type": "order.created,"},
        {"after": "x"},
        {"after": "1.5"},
        {"limit": 0},
        {"limit": 1001},
        {"skip": 0},
        {"sort": "sequence"},
        {"resource_id": "x"},
        {"resource_id": ["1", "2"]},
        {"resource": "orders"},
    ],
)
def test_what_is_malformed_is_422(client: httpx.Client, params: Row) -> None:
    response = client.get("/events", params=params)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"][0] == "query"


def test_places_that_no_event_has(client: httpx.Client, start: int) -> None:
    assert read(client, after=-5, limit=1) == read(client, after=0, limit=1)
    assert read(client, after=2**63 - 1) == ([], 2**63 - 1)
    assert read(client, after=10**30) == ([], 2**63 - 1)
    assert read(client, after=start + 10**6) == ([], start + 10**6)


def test_one_that_does_not_exist_is_404_and_what_is_no_id_is_422(client: httpx.Client) -> None:
    missing = client.get(f"/events/{NOBODY}")
    assert missing.status_code == 404
    assert missing.json()["detail"] == f"Event with id {NOBODY} not found"
    for text in ("7", "x", NOBODY.replace("-", ""), f"urn:uuid:{NOBODY}", f"{{{NOBODY}}}"):
        assert client.get(f"/events/{text}").status_code == 422
    assert client.get(f"/events/{uuid.uuid4()}", params={"fields": "id"}).status_code == 422


def test_an_event_is_there_when_its_change_is_committed(client: httpx.Client, database_url: str) -> None:
    event_id = write(database_url)
    assert client.get(f"/events/{event_id}").status_code == 200


def test_methods_and_headers(client: httpx.Client, database_url: str) -> None:
    event_id = write(database_url)
    for path in ("/events", f"/events/{event_id}"):
        head, get = client.head(path, params={"limit": 1} if path == "/events" else {}), client.get(path)
        assert head.status_code == get.status_code == 200
        assert head.content == b""
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            refused = client.request(method, path, json={})
            assert refused.status_code == 405
            assert refused.headers["allow"] == "GET, HEAD, OPTIONS"
    response = client.get("/events")
    assert "no-store" in response.headers["cache-control"]
    assert "etag" not in response.headers
    assert client.get("/events/").status_code == 200


def test_retention_leaves_a_reader_where_it_is(client: httpx.Client, database_url: str, start: int) -> None:
    first, second = write(database_url), write(database_url)
    (one, two), reached = read(client, after=start)
    assert [one["id"], two["id"]] == [first, second]
    execute(database_url, "DELETE FROM events WHERE sequence <= %s", two["sequence"])
    assert read(client, after=reached) == ([], reached)
    third = write(database_url)
    (event,), _ = read(client, after=reached)
    assert event["id"] == third
