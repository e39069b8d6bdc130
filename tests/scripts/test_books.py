"""`python -m scripts.books`: credit bills for orders that were canceled before cancellations made them."""

import re
from collections.abc import Iterator

import httpx
import pytest

from config.settings import get_settings
from infrastructure.embedded.servers import ServerUrls
from scripts.books import main
from scripts.database import EXIT_CANNOT, EXIT_FINE
from scripts.verify import main as verify
from tests.race.databases import breaches, execute, new_database, rows_of
from tests.race.goods import Goods
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

# The first two orders were canceled by a release that made no credit bills.
AS_BEFORE = """
    UPDATE orders SET status = 4 WHERE id_key IN (1, 2);
    UPDATE products SET stock = 100;
    INSERT INTO stock_movements (product_id, delta, reason, order_detail_id)
    SELECT product_id, quantity, 'cancel', id_key FROM order_details WHERE order_id IN (1, 2);
    CREATE OR REPLACE FUNCTION books_since() RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$SELECT timestamptz 'infinity'$$;
"""
CREDITS = "SELECT bill_number, total, reason, client_id, date = (now() AT TIME ZONE 'UTC')::date FROM bills WHERE kind = 'credit'"


@pytest.fixture(scope="module")
def old_shop(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = new_database(servers.database_url)
    with (
        shop_in_thread(environment_of(url, None, tmp_path_factory.mktemp("old"))) as shop_url,
        httpx.Client(base_url=shop_url) as http,
    ):
        goods = Goods(http)
        lamp = goods.product(stock=100, price=39.95)
        goods.bought((lamp, 2))
        goods.bought((lamp, 1), bill_number="INV-7")
        third = goods.bought((lamp, 1))
        assert http.post(f"/orders/{third['id_key']}/cancel").status_code == 200
    execute(url, AS_BEFORE)
    return url


@pytest.fixture
def database(old_shop: str, servers: ServerUrls, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A copy of it, which the settings of this process name."""
    url = new_database(servers.database_url, old_shop)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("REDIS_ENABLED", "false")
    get_settings.cache_clear()
    yield url
    get_settings.cache_clear()


def test_a_plan_says_what_would_be_done_and_does_nothing(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plan"]) == EXIT_FINE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Database: ")
    assert lines[1] == "2 credit bills to make, over 119.85 together"
    assert re.fullmatch(r"   order 1: 79\.90 of bill 1 \(BILL-\d{4}-000001\)", lines[2])
    assert lines[3:] == ["   order 2: 39.95 of bill 2 (INV-7)", "0 bills of another client than their order's"]
    assert len(rows_of(database, CREDITS)) == 1


def test_they_are_made_once_and_numbered_today(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    for made in (2, 0):
        assert main(["--apply"]) == EXIT_FINE
        assert capsys.readouterr().out.endswith(f"{made} credit bills made\n")
    credits = [(row[0][-6:], float(row[1]), *row[2:]) for row in rows_of(database, CREDITS)]
    assert credits == [
        ("000001", 39.95, "canceled", 1, True),
        ("000002", 79.90, "canceled", 1, True),
        ("000003", 39.95, "canceled", 1, True),
    ]
    assert breaches(database) == []
    events = "SELECT resource_id, data -> 'bill' ->> 'refunded' FROM events WHERE type = 'order.updated' ORDER BY 1"
    assert rows_of(database, events) == [(1, "79.90"), (2, "39.95")]


def test_older_orders_are_listed_apart_by_the_verification(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify([]) == EXIT_FINE
    assert "   older than this rule: order 1 is canceled, but 0.00 of bill 1" in capsys.readouterr().out


def test_bills_of_another_client_are_listed_for_people(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    execute(database, "INSERT INTO clients (name, lastname, email, email_key) VALUES ('B', 'B', 'b@x.org', 'b@x.org')")
    execute(database, "UPDATE bills SET client_id = 2 WHERE bill_number = 'INV-7'")
    assert main(["--apply"]) == EXIT_FINE
    output = capsys.readouterr().out
    assert "1 bills of another client than their order's\n   order 2 of client 1: bill 2 (INV-7) of client 2" in output


def test_a_database_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg2://nobody@127.0.0.1:1/none")
    get_settings.cache_clear()
    try:
        assert main(["--plan"]) == EXIT_CANNOT
    finally:
        get_settings.cache_clear()


@pytest.mark.parametrize("arguments", [[], ["--plan", "--apply"]])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
