"""The tasks of the night: events that are old go, invariants are verified, statistics refreshed."""

import pytest

from repositories.statistics import TABLES
from tests.infrastructure.processes import wait_for
from tests.jobs.processes import Background
from tests.jobs.test_clean_up import is_due
from tests.race.databases import connected, execute, rows_of

pytestmark = pytest.mark.integration

# Sequences, and how many days ago it was.
EVENTS = """
    INSERT INTO events (type, resource, data, sequence, occurred_at)
    SELECT 'category.created', 'categories', '{{}}', n, now() - make_interval(days => {age})
    FROM generate_series({first}, {last}) AS n;
    SELECT setval('event_sequence', {last})
"""


def test_events_are_kept_for_their_days(work: Background) -> None:
    execute(work.url, EVENTS.format(first=1, last=2500, age=31) + ";" + EVENTS.format(first=2501, last=2510, age=29))
    work.start()
    is_due(work, "purge_events")
    wait_for(lambda: len(rows_of(work.url, "SELECT 1 FROM events")) == 10, "the clean-up")
    assert rows_of(work.url, "SELECT min(sequence) FROM events") == [(2501,)]


def test_what_is_not_relayed_yet_stays(work: Background) -> None:
    """Of a table that nobody has read for a month; the place of a reader that is far behind."""
    execute(work.url, EVENTS.format(first=1, last=20, age=31))
    execute(work.url, "INSERT INTO event_relays (name, last_sequence) VALUES ('slow', 5)")
    work.start()
    is_due(work, "purge_events")
    wait_for(lambda: len(rows_of(work.url, "SELECT 1 FROM events")) <= 15, "the clean-up")
    work.wait_until_done()
    assert rows_of(work.url, "SELECT min(sequence) FROM events") == [(6,)]


def test_statistics_are_refreshed_while_somebody_holds_a_table(work: Background) -> None:
    """That table is left out, and nobody waits for it."""
    with connected(work.url) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE bills IN SHARE UPDATE EXCLUSIVE MODE")
        work.start()
        is_due(work, "refresh_statistics")
        analyzed = "SELECT relname FROM pg_stat_user_tables WHERE last_analyze IS NOT NULL"
        wait_for(lambda: set(TABLES) - {"bills"} <= {row[0] for row in rows_of(work.url, analyzed)}, "the statistics")
        work.wait_until_done()
        assert ("bills",) not in rows_of(work.url, analyzed)


def test_sound_data_are_no_news(work: Background) -> None:
    filled(work)
    work.start()
    is_due(work, "verify_invariants")
    wait_for(lambda: "is done: verify_invariants" in work.log(), "the verification")
    assert "ERROR" not in work.log()


def test_each_broken_invariant_is_one_line(work: Background) -> None:
    filled(work)
    execute(work.url, "UPDATE products SET stock = stock + 1 WHERE id_key % 2 = 0")
    execute(work.url, "UPDATE bill_counters SET last_number = 7")
    execute(work.url, "INSERT INTO bill_counters (kind, year, last_number) VALUES ('sale', 2020, 7)")
    execute(work.url, "DELETE FROM price_changes WHERE product_id = 3000")
    work.start()
    is_due(work, "verify_invariants")
    wait_for(lambda: "is done: verify_invariants" in work.log(), "the verification")
    errors = [line for line in work.log().splitlines() if "ERROR" in line]
    assert len(errors) == 3
    assert "Broken by 1500 rows: Stock is" in errors[0]
    assert "product 2: stock 6, but its ledger says 5" in errors[0]
    assert "Broken by 1 rows: Numbers" in errors[1]
    assert "product 3000: price 1.00, but its history says None" in errors[2]
    # Staff is told of all of it by one mail.
    ((kind, fields),) = rows_of(work.url, "SELECT kind, fields FROM notifications")
    assert kind == "invariants_broken"
    assert [one["count"] for one in fields["broken"]] == [1500, 1, 1]


def filled(work: Background) -> None:
    """Three thousand products, more than are looked at by one statement."""
    execute(
        work.url,
        "INSERT INTO categories (name) VALUES ('Lamps');"
        "INSERT INTO products (name, price, stock, category_id) SELECT 'Lamp', 1, 5, 1 FROM generate_series(1, 3000);"
        "INSERT INTO stock_movements (product_id, delta, reason) SELECT id_key, 5, 'initial' FROM products",
    )
