"""The shop's currency: taken over while nothing was sold, and fixed from then on, whoever starts beside whom."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from config.settings import PROJECT_ROOT
from infrastructure.database.shop_settings import settle_shop
from infrastructure.database.suitability import UnsuitableDatabase
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import connected, execute, new_database, rows_of
from tests.shop import environment_of, reserved_port, shop_in_thread

pytestmark = pytest.mark.integration

A_PRODUCT = (
    "INSERT INTO categories (name) VALUES ('c'); INSERT INTO products (name, price, category_id) VALUES ('p', 1, 1)"
)
A_BILL = "INSERT INTO bills (bill_number, total, payment_type) VALUES ('B-1', 0, 'card')"


@pytest.fixture
def migrated(servers: ServerUrls) -> str:
    """The URL of a shop that has sold nothing."""
    return new_database(servers.database_url)


def settle_currency(database: str, currency: str) -> None:
    settle_shop(database, currency=currency, time_zone="UTC", country="ES")


def currencies(database: str) -> tuple[str, ...]:
    found = rows_of(database, "SELECT shop_currency() UNION ALL SELECT DISTINCT currency FROM products")
    return tuple(row[0] for row in found)


def test_another_currency_is_taken_over_while_nothing_was_sold(migrated: str) -> None:
    execute(migrated, A_PRODUCT)
    with connected(migrated) as old, old.cursor() as cursor:
        # A plan of a running worker must not keep the constant.
        cursor.execute("PREPARE bill AS SELECT shop_currency() FROM products")
        cursor.execute("EXECUTE bill")
        settle_currency(migrated, "USD")
        cursor.execute("EXECUTE bill")
        assert cursor.fetchall() == [("USD",)]
    assert currencies(migrated) == ("USD", "USD")
    execute(migrated, A_BILL)
    assert rows_of(migrated, "SELECT currency FROM bills") == [("USD",)]


def test_what_was_sold_fixes_it(migrated: str) -> None:
    execute(migrated, A_BILL)
    settle_currency(migrated, "EUR")
    with pytest.raises(UnsuitableDatabase) as refused:
        settle_currency(migrated, "USD")
    assert str(refused.value) == (
        "CURRENCY is USD, but this shop has sold in EUR, and its currency is fixed: set CURRENCY=EUR"
    )
    assert currencies(migrated) == ("EUR",)


def test_those_that_start_at_once_leave_one_currency(migrated: str) -> None:
    execute(migrated, A_PRODUCT)
    # Often, because what stands in the way of one another does so for a moment only; a deadlock fails the test.
    codes = ("USD", "GBP", "CHF") * 4
    threads = [threading.Thread(target=settle_currency, args=(migrated, code)) for code in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shop, products = currencies(migrated)
    assert shop == products
    assert shop in ("USD", "GBP", "CHF")


def test_a_sale_that_is_under_way_is_waited_for(migrated: str) -> None:
    refused: list[UnsuitableDatabase] = []

    def start() -> None:
        try:
            settle_currency(migrated, "USD")
        except UnsuitableDatabase as error:
            refused.append(error)

    with connected(migrated) as seller, seller.cursor() as cursor:
        seller.autocommit = False
        cursor.execute(A_BILL)
        starting = threading.Thread(target=start)
        starting.start()
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        while rows_of(migrated, waits) == [(0,)]:
            assert starting.is_alive()
        seller.commit()
    starting.join(60)
    assert len(refused) == 1
    assert currencies(migrated) == ("EUR",)


def test_a_start_is_refused_with_one_line(migrated: str, redis_url: str, tmp_path: Path) -> None:
    execute(migrated, A_BILL)
    with reserved_port() as port:
        environment = environment_of(migrated, redis_url, tmp_path, CURRENCY="USD", API_PORT=str(port))
        result = subprocess.run(
            [sys.executable, str(PROJECT_ROOT / "run_production.py")],
            env={**os.environ, **environment, "API_HOST": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].endswith("set CURRENCY=EUR")


def test_bodies_may_repeat_it_and_not_change_it(migrated: str, tmp_path: Path) -> None:
    with shop_in_thread(environment_of(migrated, None, tmp_path)) as url, httpx.Client(base_url=url) as http:
        category = http.post("/categories", json={"name": "Currency"}).json()["id_key"]
        product = {"name": "Lamp", "price": 5, "category_id": category}
        for path in ("/products", "/products/bulk"):
            body = {**product, "currency": "USD"}
            refused = http.post(path, json=[body] if path.endswith("bulk") else body)
            assert refused.status_code == 422
            assert refused.json()["detail"][0]["loc"][-1] == "currency"
            assert "must be EUR" in refused.json()["detail"][0]["msg"]
        made = http.post("/products", json={**product, "currency": "EUR"})
        assert (made.status_code, made.json()["currency"]) == (201, "EUR")
        row = f"/products/{made.json()['id_key']}"
        assert http.put(row, json=made.json()).status_code == 200
        assert http.patch(row, json={"currency": "USD"}).status_code == 422
        assert http.patch(row, json={"currency": None}).status_code == 422
        for path in (row, "/products?sort=price&fields=currency"):
            assert '"currency":"EUR"' in http.get(path).text
        bill = http.post("/bills", json={"total": 1, "payment_type": "card", "currency": "EUR"})
        assert (bill.status_code, bill.json()["currency"]) == (201, "EUR")
        assert http.patch(f"/bills/{bill.json()['id_key']}", json={"currency": "USD"}).status_code == 422
