"""The relay to the broker, without one: in which parts events are sent, whose turn it is, and what waits for it."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from infrastructure.database.prepared import Prepared
from infrastructure.embedded.servers import ServerUrls
from jobs.broker_relay import WAVE, waves
from repositories.broker_turn import END_TURN, NOTE_SENT, TAKE_TURN, TURN_SECONDS
from services.event import FIELDS
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background
from tests.jobs.test_clean_up import is_due
from tests.race.databases import connected, execute, execution_of, new_database, rows_of


def event(resource: str, resource_id: int | None) -> tuple[object, ...]:
    known = {"resource": resource, "resource_id": resource_id}
    return tuple(known.get(name) for name in FIELDS)


@pytest.mark.unit
def test_no_wave_has_two_events_of_one_resource_and_none_is_too_large() -> None:
    about = [("orders", 1), ("products", 1), ("orders", 2), ("orders", 1), ("products", None), ("products", None)]
    rows = [event(*one) for one in about]
    assert [len(wave) for wave in waves(rows)] == [3, 2, 1]
    assert [row for wave in waves(rows) for row in wave] == rows
    many = [event("orders", number) for number in range(2 * WAVE + 1)]
    assert [len(wave) for wave in waves(many)] == [WAVE, WAVE, 1]
    assert list(waves([])) == []


class Sender:
    """One that sends events, as the database knows it."""

    def __init__(self, cursor: object) -> None:
        self._cursor, self._holder = cursor, uuid4()

    def __call__(self, statement: Prepared, sequence: int = 0) -> list[tuple[object, ...]]:
        values = {"holder": str(self._holder), "seconds": TURN_SECONDS, "sequence": sequence}
        self._cursor.execute(execution_of(statement), values)  # type: ignore[attr-defined]
        return self._cursor.fetchall() if self._cursor.description else []  # type: ignore[attr-defined]


@pytest.fixture
def database(servers: ServerUrls) -> str:
    url = new_database(servers.database_url)
    execute(
        url,
        "INSERT INTO events (type, resource, data, sequence) SELECT 'a.b', 'a', '{}', n FROM generate_series(1, 20) AS n",
    )
    return url


@pytest.fixture
def senders(database: str) -> Iterator[tuple[Sender, Sender]]:
    with connected(database) as connection, connection.cursor() as cursor:
        for statement in (TAKE_TURN, NOTE_SENT, END_TURN):
            cursor.execute(f"PREPARE {statement.name} AS {statement.text}")
        yield Sender(cursor), Sender(cursor)


@pytest.mark.integration
def test_one_sends_at_a_time_and_another_goes_on_where_it_was(database: str, senders: tuple[Sender, Sender]) -> None:
    one, other = senders
    assert one(TAKE_TURN) == [(0,)]
    assert other(TAKE_TURN) == []
    assert one(NOTE_SENT, 7) == [(7,)]
    assert one(TAKE_TURN) == [(7,)]
    # It was frozen for longer than its turn.
    execute(database, "UPDATE event_relays SET held_until = now() - interval '1 second' WHERE name = 'broker'")
    assert other(TAKE_TURN) == [(7,)]
    assert one(NOTE_SENT, 9) == []
    assert other(NOTE_SENT, 20) == [(20,)]
    # There is nothing to do for anybody.
    assert other(TAKE_TURN) == one(TAKE_TURN) == []


@pytest.mark.integration
def test_who_stops_gives_its_turn_back_and_nobody_elses(senders: tuple[Sender, Sender]) -> None:
    one, other = senders
    one(TAKE_TURN)
    other(END_TURN)
    assert other(TAKE_TURN) == []
    one(END_TURN)
    assert other(TAKE_TURN) == [(0,)]


@pytest.mark.integration
def test_a_turn_of_a_clock_that_was_set_back_does_not_count(database: str, senders: tuple[Sender, Sender]) -> None:
    """E7."""
    one, other = senders
    one(TAKE_TURN)
    execute(database, "UPDATE event_relays SET held_until = held_until + interval '1 hour' WHERE name = 'broker'")
    assert other(TAKE_TURN) == [(0,)]


@pytest.mark.integration
@pytest.mark.parametrize("has_broker", [True, False])
def test_old_events_wait_for_the_broker_where_there_is_one(work: Background, has_broker: bool) -> None:
    execute(
        work.url,
        "INSERT INTO events (type, resource, data, sequence, occurred_at)"
        " SELECT 'a.b', 'a', '{}', n, now() - interval '31 days' FROM generate_series(1, 20) AS n;"
        " SELECT setval('event_sequence', 20); UPDATE event_relays SET last_sequence = 5 WHERE name = 'broker'",
    )
    # Nobody listens there.
    work.start(**({"RABBITMQ_URL": "amqp://127.0.0.1:1"} if has_broker else {}))
    is_due(work, "purge_events")
    left = 15 if has_broker else 0
    wait_for(lambda: len(rows_of(work.url, "SELECT 1 FROM events")) <= left, "the clean-up")
    work.wait_until_done()
    assert len(rows_of(work.url, "SELECT 1 FROM events")) == left
    if has_broker:
        wait_for(lambda: "Events wait for the broker" in work.log(), "the relay to say so")
