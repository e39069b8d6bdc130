"""The order of reading: whoever goes on after the last event that they saw misses none, whatever commits when."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.settings import PROJECT_ROOT
from events.sequencer import Settled
from infrastructure.embedded.servers import ServerUrls
from repositories.event import BATCH, LOCK_CLASS, Run
from tests.events.shop_events import AFTER, Numbering, numbering, transaction_of, write
from tests.infrastructure.processes import wait_for
from tests.race.databases import connected, execute, new_database, rows_of

pytestmark = pytest.mark.integration

WRITERS, RESOURCES = 4, 3
MANY = """
    INSERT INTO events (type, resource, resource_id, data)
    SELECT 'product.updated', 'products', n, '{}' FROM generate_series(1, %s) n
"""


@pytest.fixture(scope="module")
def database(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@pytest.fixture
def url(database: str) -> str:
    execute(database, "TRUNCATE events")
    return database


class Reader:
    """Goes on after the last event that it saw."""

    def __init__(self, url: str) -> None:
        self._url, self.last = url, 0
        self.seen: list[tuple[Any, ...]] = []

    def read(self) -> None:
        rows = rows_of(self._url, AFTER, self.last)
        self.seen += rows
        self.last = rows[-1][0] if rows else self.last

    @property
    def ids(self) -> list[str]:
        return [str(row[1]) for row in self.seen]

    def require_order(self) -> None:
        """The events of each resource come in the order in which they were written."""
        for _, rows in itertools.groupby(sorted(self.seen, key=lambda row: row[2]), lambda row: row[2]):
            ordered = sorted(rows)
            assert [row[3] for row in ordered] == sorted(row[3] for row in ordered)


step = st.one_of(
    st.tuples(st.just("write"), st.integers(0, WRITERS - 1), st.integers(0, RESOURCES - 1)),
    st.tuples(st.sampled_from(["commit", "rollback"]), st.integers(0, WRITERS - 1), st.none()),
    st.tuples(st.sampled_from(["number", "read"]), st.integers(0, 1), st.none()),
)


# The first write is of a transaction that no snapshot names, because none that is younger has ended.
@example([("write", 0, 0), ("number", 0, None), ("write", 0, 0), ("number", 0, None), ("number", 0, None)])
@given(st.lists(step, min_size=5, max_size=40))
def test_no_committed_event_is_ever_skipped_whatever_the_schedule(
    database: str, steps: list[tuple[str, int, int | None]]
) -> None:
    execute(database, "TRUNCATE events")
    written: dict[int, list[str]] = {writer: [] for writer in range(WRITERS)}
    locked: dict[int, int] = {}
    committed: list[str] = []
    readers = [Reader(database), Reader(database)]

    def end(writer: int, how: str) -> None:
        if how == "commit":
            connections[writer].commit()
            committed.extend(written[writer])
        else:
            connections[writer].rollback()
        written[writer] = []
        for resource in [one for one, owner in locked.items() if owner == writer]:
            del locked[resource]

    with ExitStack() as stack:
        connections = [stack.enter_context(transaction_of(database)) for _ in range(WRITERS)]
        sequencers = [stack.enter_context(numbering(database)) for _ in range(2)]
        for what, who, resource in steps:
            if what == "number":
                sequencers[who].run()
                # What was committed before the run is there after it.
                readers[who].read()
                assert set(committed) <= set(readers[who].ids)
            elif what == "read":
                readers[who].read()
            elif resource is None:
                end(who, what)
            elif locked.setdefault(resource, who) == who:
                # One transaction at a time writes about a resource: it has its lock.
                written[who].append(write(connections[who], resource))
        for writer in range(WRITERS):
            end(writer, "commit")
        for sequencer in sequencers:
            sequencer.run()
    for reader in readers:
        reader.read()
        assert sorted(reader.ids) == sorted(committed)
        reader.require_order()


def number_all(url: str, sequencer: Numbering) -> None:
    """A run ends early where there is much to do, or where another holds the lock for long."""

    def is_done() -> bool:
        sequencer.run()
        return rows_of(url, "SELECT count(*) FROM events WHERE sequence IS NULL") == [(0,)]

    wait_for(is_done, "all events to be numbered")


@pytest.mark.slow
def test_readers_beside_many_writers_and_two_sequencers_see_everything_once(url: str) -> None:
    committed: list[str] = []
    done = threading.Event()
    readers = [Reader(url), Reader(url)]
    locks = [threading.Lock() for _ in range(RESOURCES)]

    def in_thread(work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def writing(number: int) -> None:
        with transaction_of(url) as connection:
            for turn in range(60):
                resource = (number + turn) % RESOURCES
                with locks[resource]:
                    ids = [write(connection, resource) for _ in range(1 + turn % 3)]
                    if turn % 5 == 4:
                        connection.rollback()
                        continue
                    connection.commit()
                    committed.extend(ids)

    def reading(reader: Reader) -> None:
        with numbering(url) as sequencer:
            while not done.is_set():
                sequencer.run()
                reader.read()
            number_all(url, sequencer)
        reader.read()

    read = [in_thread(partial(reading, reader)) for reader in readers]
    for writer in [in_thread(partial(writing, number)) for number in range(4)]:
        writer.join()
    done.set()
    for thread in read:
        thread.join()
    for reader in readers:
        assert sorted(reader.ids) == sorted(committed)
        reader.require_order()


def test_what_commits_late_comes_late_and_is_not_missed_e3(url: str) -> None:
    reader = Reader(url)
    with transaction_of(url) as late, transaction_of(url) as soon, numbering(url) as sequencer:
        first = write(late, 1)
        seconds = []
        for _ in range(5):
            seconds.append(write(soon, 2))
            soon.commit()
            sequencer.run()
            reader.read()
            assert reader.ids == seconds
        late.commit()
        sequencer.run()
    reader.read()
    assert reader.ids == [*seconds, first]


def test_a_pile_of_events_is_numbered_batch_by_batch_in_its_order(url: str) -> None:
    execute(url, MANY, 2 * BATCH + 1)
    with numbering(url) as sequencer:
        number_all(url, sequencer)
    rows = rows_of(url, "SELECT position FROM events WHERE sequence IS NOT NULL ORDER BY sequence")
    assert len(rows) == 2 * BATCH + 1
    assert rows == sorted(rows)


def test_the_first_event_of_a_new_shop_is_numbered_like_any_other(url: str) -> None:
    execute(url, "TRUNCATE events RESTART IDENTITY")
    with numbering(url) as sequencer, transaction_of(url) as connection:
        for _ in range(5):
            sequencer.run()
        write(connection)
        connection.commit()
        sequencer.run()
        assert rows_of(url, "SELECT count(*) FROM events WHERE sequence IS NULL") == [(0,)]


@pytest.fixture
def hanging(url: str) -> Iterator[int]:
    """A PostgreSQL process that hangs after it got the sequencer's lock."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, 'events'::regclass::oid::int), pg_backend_pid()", (LOCK_CLASS,)
        )
        pid = cursor.fetchone()[1]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield pid
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_one_that_hangs_with_the_lock_keeps_nobody_waiting(url: str, hanging: int) -> None:
    execute(url, MANY, 3)
    with numbering(url) as sequencer:
        sequencer.run()
        assert rows_of(url, "SELECT count(*) FROM events WHERE sequence IS NULL") == [(3,)]
        os.kill(hanging, signal.SIGCONT)
        execute(url, f"SELECT pg_terminate_backend({hanging})")

        number_all(url, sequencer)


@pytest.mark.slow
def test_a_client_that_is_frozen_in_the_middle_keeps_nobody_waiting(url: str) -> None:
    program = (
        "import sys; from tests.events.shop_events import numbering\n"
        "with numbering(sys.argv[1]) as sequencer:\n"
        "    while True: sequencer.run(); print(flush=True)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, url], cwd=PROJECT_ROOT, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        with numbering(url) as sequencer:
            for turn in range(30):
                other.stdout.readline()
                execute(url, MANY, BATCH // 2 + turn)
                os.kill(other.pid, signal.SIGSTOP)

                def is_done() -> bool:
                    sequencer.run()
                    return rows_of(url, "SELECT count(*) FROM events WHERE sequence IS NULL") == [(0,)]

                wait_for(is_done, "the events are numbered beside a frozen process")
                os.kill(other.pid, signal.SIGCONT)
    finally:
        other.kill()
        other.communicate()
    numbers = rows_of(url, "SELECT count(*), count(DISTINCT sequence) FROM events")
    assert numbers[0][0] == numbers[0][1]


def test_an_open_snapshot_makes_no_run_look_again_at_what_is_settled(url: str) -> None:
    with transaction_of(url) as backup, numbering(url) as sequencer:
        backup.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with backup.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM events")
        for _ in range(5):
            execute(url, MANY, BATCH)
            sequencer.run()
        # Other tests may have transactions in progress meanwhile.
        floor, _ = sequencer.sequencer.settled.below(0)
        assert floor > 1


class TestSettled:
    """Which positions need no further look."""

    def test_at_first_everything_is_looked_at(self) -> None:
        assert Settled().below(0) == (0, frozenset())

    def test_positions_that_were_known_before_a_run_are_settled_by_it(self) -> None:
        assert settled_by(run_at("5:9:", 9, 10), run_at("9:10:", 10, 20)).below(3) == (11, frozenset())

    def test_a_transaction_in_progress_is_remembered_until_it_has_ended(self) -> None:
        settled = settled_by(run_at("5:9:5", 9, 10), run_at("5:10:5", 10, 20))
        assert settled.below(3) == (11, frozenset({5}))
        settled.note(run_at("12:12:", None, 20), 3)
        assert settled.below(4) == (11, frozenset())

    def test_so_is_one_that_is_younger_than_whatever_has_ended(self) -> None:
        # The ids 9 and 10 were given, and no snapshot names them before a later transaction has ended.
        assert settled_by(run_at("9:9:", 10, 10), run_at("9:9:", 11, 20)).below(3) == (11, frozenset({9, 10}))

    def test_a_run_without_an_id_settles_nothing(self) -> None:
        assert settled_by(run_at("5:9:", 9, 10), run_at("9:10:", None, 20)).below(3) == (0, frozenset())

    def test_a_run_that_left_something_settles_nothing(self) -> None:
        runs = [run_at("5:9:", 9, 10)._replace(found=BATCH) for _ in range(4)]
        assert settled_by(*runs).below(4) == (0, frozenset())

    def test_a_database_that_went_back_is_looked_at_anew(self) -> None:
        runs = [run_at("9:9:", 9, position) for position in (10, 20, 5)]
        assert settled_by(*runs).below(4)[0] == 0


def settled_by(*runs: Run) -> Settled:
    settled = Settled(0)
    settled.below(0)
    for now, run in enumerate(runs):
        settled.note(run, now)
    return settled


def run_at(snapshot: str, transaction: int | None, last_position: int) -> Run:
    return Run(True, 1, 1, snapshot, transaction, last_position)
