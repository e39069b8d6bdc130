"""The migration to which two writings of one text are the same: it refuses what collides, and changes nothing then."""

import io
import subprocess
import sys

import pytest
from alembic.util import CommandError

from config.settings import PROJECT_ROOT
from tests.alembic_migrations.history import REVISIONS, check, fill, move, revision_of
from tests.race.databases import execute, rows_of

pytestmark = pytest.mark.integration

BEFORE, AFTER = "0009", "0010"
COLLIDING = """
    INSERT INTO products (name, sku, price, category_id) VALUES
        ('a', 'DUP', 1, 1), ('b', 'dup', 1, 1), ('c', U&'D\\200BUP', 1, 1), ('d', 'other', 1, 1), ('e', NULL, 1, 1), ('f', NULL, 1, 1);
    INSERT INTO categories (name) VALUES ('Tea'), ('tea');
    INSERT INTO clients (name, lastname, email, email_key) VALUES
        ('A', 'B', U&'a@b\\00FCcher.example', U&'a@b\\00FCcher.example'),
        ('A', 'B', 'a@xn--bcher-kva.example', 'a@xn--bcher-kva.example');
    INSERT INTO bills (bill_number, total, payment_type) VALUES ('inv-1', 1, 'cash'), ('INV-1', 1, 'cash'), ('bill-2031-000001', 1, 'cash');
"""
LINES = [
    "clients.email: 'a@b\u00fccher.example' (id_key 2), 'a@xn--bcher-kva.example' (id_key 3)",
    "bills.bill_number: 'inv-1' (id_key 3), 'INV-1' (id_key 4)",
    "categories.name: 'Tea' (id_key 2), 'tea' (id_key 3)",
    "products.sku: 'DUP' (id_key 4), 'dup' (id_key 5), 'D\\u200bUP' (id_key 6)",
    "bills.bill_number, of the form that the server alone gives: 'bill-2031-000001' (id_key 5)",
]
MENDED = """
    UPDATE products SET sku = sku || id_key WHERE id_key IN (5, 6);
    UPDATE categories SET name = 'tea 2' WHERE id_key = 3;
    UPDATE clients SET email = 'b@xn--bcher-kva.example', email_key = 'b@xn--bcher-kva.example' WHERE id_key = 3;
    UPDATE bills SET bill_number = 'INV-2' WHERE id_key = 4;
    UPDATE bills SET bill_number = 'old bill-2031-000001' WHERE id_key = 5;
"""
EVERYTHING = "SELECT id_key, email, email_key, xmin::text FROM clients ORDER BY id_key"


def test_what_collides_is_named_and_nothing_changes(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    move(empty_database, BEFORE)
    fill(empty_database)
    execute(empty_database, COLLIDING)
    before = rows_of(empty_database, EVERYTHING)
    # Not by capsys: Alembic keeps for good what is standard output at its first import.
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    with pytest.raises(CommandError) as refusal:
        move(empty_database, AFTER)
    assert "above: 5)" in str(refusal.value)
    assert [line.strip() for line in errors.getvalue().splitlines()] == LINES
    assert rows_of(empty_database, EVERYTHING) == before
    assert revision_of(empty_database) == BEFORE
    execute(empty_database, MENDED)
    move(empty_database, REVISIONS[-1])
    check(empty_database)


def test_the_command_line_and_the_start_say_it_without_a_traceback(empty_database: str) -> None:
    move(empty_database, BEFORE)
    fill(empty_database)
    execute(
        empty_database,
        "INSERT INTO categories (name) SELECT x || n FROM generate_series(1, 25) n, unnest('{a,A}'::text[]) x",
    )
    environment = {"DATABASE_URL": empty_database, "REDIS_ENABLED": "false", "PATH": "/usr/bin:/bin"}
    for command in (["-m", "alembic", "upgrade", "head"], ["main.py"]):
        finished = subprocess.run(
            [sys.executable, *command], cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
        )
        said = finished.stdout + finished.stderr
        assert finished.returncode != 0
        assert "above: 25)" in said
        assert said.count("categories.name: ") == 20
        assert "... and 5 more" in said
        assert "Traceback" not in said
    assert revision_of(empty_database) == BEFORE


def test_keys_of_addresses_are_made_anew_also_where_rows_exchange_them(empty_database: str) -> None:
    move(empty_database, BEFORE)
    execute(
        empty_database,
        "INSERT INTO clients (name, lastname, email, email_key) VALUES "
        "('A', 'B', 'a@xn--bcher-kva.example', 'b@x.example'), ('A', 'B', 'B@x.example', 'stale'), ('A', 'B', 'c@x.org', 'c@x.org')",
    )
    move(empty_database, AFTER)
    keys = rows_of(empty_database, "SELECT email_key FROM clients ORDER BY id_key")
    assert keys == [("a@b\u00fccher.example",), ("b@x.example",), ("c@x.org",)]
    move(empty_database, BEFORE)
    assert rows_of(empty_database, "SELECT count(*) FROM clients") == [(3,)]
    move(empty_database, REVISIONS[-1])
    check(empty_database)


def test_who_writes_past_the_shop_needs_no_keys(empty_database: str) -> None:
    move(empty_database, AFTER)
    execute(empty_database, "INSERT INTO clients (name, lastname, email) VALUES ('A', 'B', 'Ada@X.example')")
    stored = "SELECT email_key FROM clients"
    assert rows_of(empty_database, stored) == [("ada@x.example",)]
    execute(empty_database, "UPDATE clients SET email = 'Bob@X.example'")
    assert rows_of(empty_database, stored) == [("bob@x.example",)]
    execute(empty_database, "UPDATE clients SET email = 'C@x.example', email_key = 'c@x.example'")
    assert rows_of(empty_database, stored) == [("c@x.example",)]
