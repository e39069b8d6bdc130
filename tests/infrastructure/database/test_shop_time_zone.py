"""The shop's time zone: it dates new bills, however they are made, and reports go by these dates."""

import datetime as dt
import random
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from infrastructure.database.shop_settings import settle_shop
from infrastructure.database.suitability import UnsuitableDatabase
from infrastructure.embedded.servers import ServerUrls
from tests.builders import a_client, a_product
from tests.race.databases import connected, new_database, rows_of
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

ZONES = ("Europe/Madrid", "Pacific/Auckland", "America/St_Johns", "UTC")
# Around New Year, and around the changes of the clocks in both hemispheres.
TURNS = ("2030-12-31T12:00", "2031-03-30T01:00", "2031-04-05T14:00", "2031-10-26T01:00", "2031-03-09T05:30")


@pytest.fixture
def migrated(servers: ServerUrls) -> str:
    """The URL of an empty shop."""
    return new_database(servers.database_url)


def settle_time_zone(database: str, zone: str) -> None:
    settle_shop(database, currency="EUR", time_zone=zone, country="ES")


def test_it_dates_new_bills_at_once(migrated: str) -> None:
    new_bill = "INSERT INTO bills (bill_number, total, payment_type) VALUES ('{}', 0, 'card') RETURNING date"
    with connected(migrated) as old, old.cursor() as cursor:
        # Of a running worker, whose plans are older.
        cursor.execute("PREPARE zone AS SELECT shop_time_zone()")
        cursor.execute("EXECUTE zone")
        for number, zone in enumerate(("Pacific/Kiritimati", "Pacific/Pago_Pago")):
            settle_time_zone(migrated, zone)
            settle_time_zone(migrated, zone)
            cursor.execute("EXECUTE zone")
            assert cursor.fetchall() == [(zone,)]
            cursor.execute(new_bill.format(number))
            assert cursor.fetchall() == [(dt.datetime.now(ZoneInfo(zone)).date(),)]


def test_one_that_the_database_does_not_know_is_refused(migrated: str) -> None:
    with pytest.raises(
        UnsuitableDatabase, match="SHOP_TIMEZONE is Mars/Olympus_Mons, which this PostgreSQL does not know"
    ):
        settle_time_zone(migrated, "Mars/Olympus_Mons")
    assert rows_of(migrated, "SELECT shop_time_zone()") == [("UTC",)]


@pytest.mark.parametrize("zone", ZONES)
def test_reports_of_any_range_are_those_of_the_dates_of_the_bills(migrated: str, tmp_path: Path, zone: str) -> None:
    settle_time_zone(migrated, zone)
    chosen = random.Random(zone)
    with shop_in_thread(environment_of(migrated, None, tmp_path)) as url, httpx.Client(base_url=url) as http:
        client, product = a_client(http), a_product(http, price=0.07, stock=1000)
        bills: list[tuple[dt.date, Decimal]] = []
        for turn in TURNS:
            for _ in range(3):
                moment = dt.datetime.fromisoformat(turn).replace(tzinfo=dt.UTC) + chosen.uniform(
                    -16, 16
                ) * dt.timedelta(hours=1)
                placed = _placed(http, client["id_key"], product["id_key"], moment, chosen.randint(1, 9))
                assert placed["date"] == moment.astimezone(ZoneInfo(zone)).date().isoformat()
                bills.append((dt.date.fromisoformat(placed["date"]), Decimal(placed["total"])))
        for _ in range(20):
            first, last = sorted(chosen.choice(bills)[0] + dt.timedelta(chosen.randint(-2, 2)) for _ in range(2))
            for group in ("day", "month", "product"):
                asked = {"from": str(first), "to": str(last), "group": group}
                report = http.get("/reports/sales", params=asked).json(parse_float=Decimal)
                expected = sum(total for day, total in bills if first <= day <= last)
                assert report["totals"]["net"] == sum(row["net"] for row in report["rows"]) == expected


def _placed(http: httpx.Client, client: int, product: int, moment: dt.datetime, quantity: int) -> Any:
    body = {
        "client_id": client,
        "delivery_method": 1,
        "payment_type": "card",
        "date": moment.isoformat(),
        "lines": [{"product_id": product, "quantity": quantity}],
    }
    response = http.post("/checkout", json=body)
    assert response.status_code == 201, response.text
    return response.json(parse_float=Decimal)["bill"]
