"""E3 and E7: transactions that stay open for long, and a clock that is set back."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.faults.faulty import shop_on
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background, background
from tests.race.databases import close, execute, new_database, rows_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.chaos]

OPEN_SECONDS = 30
_WRITE = "INSERT INTO events (type, resource, resource_id, data) VALUES ('product.updated', 'products', %s, '{}') RETURNING id"


def _id(cursor: Any) -> str:
    return str(cursor.fetchone()[0])


class Reader:
    """Goes on by `after` until it is stopped."""

    def __init__(self, http: httpx.Client) -> None:
        self._http, self._after = http, 0
        self.ids: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        while not self._stop.is_set():
            answer = self._http.get("/events", params={"after": self._after, "wait": 1})
            self.ids += [event["id"] for event in answer.json()]
            self._after = int(answer.headers["X-Next-After"])

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_e3_what_commits_half_a_minute_late_is_read_once(servers: ServerUrls, tmp_path: Path) -> None:
    """The reader has read what others committed meanwhile, and gets the late ones behind that."""
    url, other = new_database(servers.database_url), new_database(servers.database_url)
    late, elsewhere = (psycopg2.connect(one.replace("+psycopg2", "")) for one in (url, other))
    written: list[str] = []
    with shop_on(url, tmp_path) as http, Reader(http) as reader:
        try:
            with late.cursor() as cursor, elsewhere.cursor() as foreign:
                # Both have a place among transactions, one of them in another database, as a backup has.
                foreign.execute(_WRITE, (1,))
                cursor.execute(_WRITE, (1,))
                opened = _id(cursor)
                since = rows_of(url, "SELECT clock_timestamp()")[0][0]
                number = 1
                while (rows_of(url, "SELECT clock_timestamp()")[0][0] - since).total_seconds() < OPEN_SECONDS:
                    number += 1
                    written.append(str(rows_of(url, _WRITE, number)[0][0]))
                    wait_for(lambda: written[-1] in reader.ids, "an event that was committed meanwhile")
                cursor.execute(_WRITE, (2,))
                last = _id(cursor)
            assert opened not in reader.ids
            late.commit()
            wait_for(lambda: last in reader.ids, "the late events")
        finally:
            close(late)
            close(elsewhere)
    assert reader.ids[:-2] == written
    assert reader.ids[-2:] == [opened, last]


# The clock of the database, for whoever looks into this schema before that of PostgreSQL.
_CLOCK = """
    CREATE SCHEMA fake;
    CREATE TABLE fake.shift (by interval);
    INSERT INTO fake.shift VALUES ('0');
    CREATE FUNCTION fake.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
        AS $$ SELECT pg_catalog.clock_timestamp() + by FROM fake.shift $$;
    CREATE FUNCTION fake.now() RETURNS timestamptz LANGUAGE sql STABLE
        AS $$ SELECT pg_catalog.now() + by FROM fake.shift $$;
    CREATE TABLE fired (due_at timestamptz);
    CREATE FUNCTION note_fired() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN INSERT INTO fired VALUES (OLD.due_at); RETURN NULL; END $$;
    CREATE TRIGGER note_fired AFTER UPDATE ON job_schedules FOR EACH ROW
        WHEN (NEW.task = 'now_and_then') EXECUTE FUNCTION note_fired();
"""


@pytest.fixture
def work(servers: ServerUrls, tmp_path: Path) -> Iterator[Background]:
    url = new_database(servers.database_url)
    execute(url, _CLOCK)
    shifted = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dpublic,fake,pg_catalog"
    with background(url, tmp_path, DATABASE_URL=shifted, EXAMPLE_SCHEDULE="* * * * * */2") as work:
        yield work


def test_e7_a_clock_that_is_set_back_an_hour_has_nothing_run_twice(work: Background) -> None:
    beats = "SELECT max(last_heartbeat) FROM procrastinate_workers"
    processes = [work.start() for _ in range(2)]
    wait_for(lambda: len(rows_of(work.url, "SELECT 1 FROM fired")) >= 3, "some due times")
    execute(work.url, "UPDATE fake.shift SET by = '-1 hour'")
    before = rows_of(work.url, "SELECT count(*) FROM fired")
    # Both go on living by the other clock; what is not due by it is not done.
    work.defer("add_one", name="by the other clock")
    wait_for(lambda: "by the other clock" in work.effects(), "a job that may be done at once")
    was = rows_of(work.url, beats)
    wait_for(lambda: rows_of(work.url, beats) != was, "a sign of life")
    assert rows_of(work.url, "SELECT count(*) FROM fired") == before
    execute(work.url, "UPDATE fake.shift SET by = '0'")
    wait_for(lambda: rows_of(work.url, "SELECT count(*) FROM fired") != before, "the next due time")
    assert rows_of(work.url, "SELECT due_at FROM fired GROUP BY due_at HAVING count(*) > 1") == []
    assert [process.poll() for process in processes] == [None, None]
