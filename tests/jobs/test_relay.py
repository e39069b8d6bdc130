"""Events make jobs: each event one job of each task that wants it, whatever is killed and whoever relays."""

import threading
import time
from collections import Counter

import pytest
import redis

from config.settings import read_settings
from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.publisher import NEWS
from jobs.subscriptions import patterns_of
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration

_EVENTS = "INSERT INTO events (type, resource, resource_id, data) SELECT %s, 'orders', n, '{}' FROM generate_series(1, %s) AS n"


def wait_until_relayed(work: Background) -> None:
    rest = (
        "SELECT 1 FROM events WHERE sequence IS NULL "
        "OR sequence > (SELECT last_sequence FROM event_relays WHERE name = 'jobs')"
    )
    wait_for(lambda: not rows_of(work.url, rest), "all events to be relayed")
    work.wait_until_done()


def expected(work: Background) -> Counter[str]:
    rows = rows_of(work.url, "SELECT id, sequence FROM events WHERE type LIKE 'order.%' OR type = 'stock.low'")
    return Counter(f"event {event_id} {sequence}" for event_id, sequence in rows)


def test_patterns_are_whole_types() -> None:
    patterns, tasks = patterns_of({"one": ("order.*", "stock.low"), "other": ("*",)})
    assert tasks == ["one", "other"]
    assert patterns == [r"^(order\..*|stock\.low)$", "^(.*)$"]


def test_events_of_the_wanted_types_make_one_job_each(work: Background) -> None:
    for kind, count in (
        ("order.created", 3),
        ("stock.low", 2),
        ("stock.lower", 2),
        ("reorder.created", 2),
        ("client.created", 2),
    ):
        execute(work.url, _EVENTS, kind, count)
    work.start()
    wait_until_relayed(work)
    assert Counter(work.effects()) == expected(work)
    assert len(work.effects()) == 5


def test_more_than_a_batch_is_relayed_at_once_and_nothing_twice(work: Background) -> None:
    execute(work.url, _EVENTS, "client.created", 5000)
    execute(work.url, _EVENTS, "order.created", 1200)
    for _ in range(3):
        work.start()
    wait_until_relayed(work)
    assert Counter(work.effects()) == expected(work)


def test_a_word_of_valkey_spares_the_wait_for_the_next_look(work: Background, redis_url: str) -> None:
    work.redis_url = redis_url
    work.settings |= {"TICK": "3600", "DEAD_AFTER": "36000"}
    work.start()
    execute(work.url, _EVENTS, "order.created", 1)
    channel = RedisGateway(None, prefix=read_settings({}).redis_prefix).key(NEWS)
    with redis.Redis.from_url(redis_url) as valkey:

        def is_told() -> bool:
            valkey.publish(channel, "")
            return len(work.effects()) == 1

        wait_for(is_told, "the job of the first event")
        execute(work.url, _EVENTS, "order.created", 1)
        assert valkey.publish(channel, "") >= 1
        wait_for(lambda: len(work.effects()) == 2, "the job of the second event")


def test_nothing_is_lost_or_doubled_while_processes_are_killed(work: Background) -> None:
    """E1, for jobs: an event makes one job, and the job counts once."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.02):
            execute(work.url, _EVENTS, "order.created", 5)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(6):
            process = work.start()
            before = len(work.effects())
            wait_for(lambda before=before: len(work.effects()) > before + 10, "some events")  # type: ignore[misc]
            time.sleep(0.05 * number)
            process.kill()
    finally:
        stop.set()
        writer.join()
    work.start()
    wait_until_relayed(work)
    assert Counter(work.effects()) == expected(work)
    assert len({pid for (pid,) in rows_of(work.url, "SELECT DISTINCT pid FROM effects")}) > 3
