"""A worker is killed while documents are made: all of one is there or nothing, and whoever asks again gets it once."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.bounds import Bounds
from tests.faults.faulty import do_on_insert, heal
from tests.faults.test_workers import SLEEPING, LoneWorker, kill_and_wait_for_another, wait_for_rows
from tests.race.databases import breaches, new_database
from tests.race.goods import Goods, exact
from tests.shop import environment_of, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.chaos]

Ask = Callable[[httpx.Client], httpx.Response]


@pytest.fixture(scope="module")
def lone_worker(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneWorker]:
    database = new_database(servers.database_url)
    with shop_processes(environment_of(database, None, tmp_path_factory.mktemp("lone")), workers=1) as (url, launcher):
        yield LoneWorker(url, launcher, database)


def asking(what: str, order: dict[str, Any]) -> Ask:
    """The request that makes the document, which may be sent again."""
    one, key = f"/orders/{order['id_key']}", {"Idempotency-Key": uuid.uuid4().hex}
    line = {"order_detail_id": order["order_details"][0]["id_key"], "quantity": 1}
    paying = {"amount": float(order["to_pay"]), "method": "cash"}
    requests: dict[str, Ask] = {
        "cancel": lambda http: http.post(f"{one}/cancel", headers=key),
        "delete": lambda http: http.delete(one),
        "return": lambda http: http.post(f"{one}/returns", json={"lines": [line]}, headers=key),
        "pay": lambda http: http.post(f"/bills/{order['bill_id']}/payments", json=paying, headers=key),
        "ship": lambda http: http.post(f"{one}/shipments", json={}, headers=key),
    }
    return requests[what]


def state(http: httpx.Client, order: dict[str, Any]) -> tuple[Any, ...]:
    """What is there of documents about the order."""
    bill = exact(http.get(f"/bills/{order['bill_id']}"))
    credits = exact(http.get("/bills", params={"refunds_bill_id": order["bill_id"]}))
    found = http.get(f"/orders/{order['id_key']}")
    shipments = http.get(f"/orders/{order['id_key']}/shipments").json() if found.is_success else []
    return (
        found.json().get("status") if found.is_success else "gone",
        bill["refunded"],
        bill["paid"],
        [credit["total"] for credit in credits],
        len(shipments),
        len(bill["bill_lines"]),
    )


# The order is one of 10.00 + 30.00 with a discount of 20.00.
# What is asked for, the table of which a row is written when the worker is killed, and what is there in the end.
DOCUMENTS = {
    "cancel": ("bills", (4, 20, 0, [20], 0, 2)),
    "delete": ("bill_lines", ("gone", 20, 0, [20], 0, 2)),
    "return": ("return_lines", (2, 5, 0, [5], 0, 2)),
    "pay": ("payments", (1, 0, 20, [], 0, 2)),
    "ship": ("shipment_lines", (2, 0, 0, [], 1, 2)),
}


@pytest.mark.parametrize("at_commit", [False, True], ids=["written", "committed"])
@pytest.mark.parametrize("what", DOCUMENTS)
def test_f14_a_worker_is_killed_while_it_makes_a_document(
    lone_worker: LoneWorker, what: str, at_commit: bool, bounds: Bounds
) -> None:
    table, done = DOCUMENTS[what]
    with httpx.Client(base_url=lone_worker.url, timeout=30) as http, ThreadPoolExecutor(1) as thread:
        goods = Goods(http)
        order = goods.bought((goods.product(stock=9), 1), (goods.product(stock=9, price=30), 1), discount=20)
        if what == "return":
            assert http.post(f"/orders/{order['id_key']}/advance").is_success
        before, ask = state(http, order), asking(what, order)
        do_on_insert(lone_worker.database, table, "PERFORM pg_sleep(1)", at_commit=at_commit)
        asked = thread.submit(ask, http)
        wait_for_rows(lone_worker.database, SLEEPING)
        kill_and_wait_for_another(lone_worker.launcher, lone_worker.url, bounds)
        with pytest.raises(httpx.TransportError):
            asked.result()
        # This waits until the transaction of the dead worker has ended, and so do its locks.
        heal(lone_worker.database)
        assert state(http, order) in (before, done)
        again = ask(http)
        assert again.is_success or (what == "delete" and again.status_code == 404)
        assert state(http, order) == done
    assert breaches(lone_worker.database) == []
