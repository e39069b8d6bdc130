"""PostgreSQL gives fewer connections than the shop wants: requests wait for those that are there."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from tests.faults.faulty import shop_on
from tests.race.databases import execute, process_number, rows_of
from tests.race.goods import Goods, unique

pytestmark = pytest.mark.integration

_REQUESTS = 40


@pytest.fixture
def role(database: str) -> Iterator[Callable[[int], str]]:
    """Gives the URL for a role that may have so many connections to the database."""
    name = f"few_{process_number()}"
    owner = make_url(database).username

    def limited(number: int) -> str:
        execute(
            database,
            f"CREATE ROLE {name} LOGIN CONNECTION LIMIT {number};"
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {name}",
        )
        return make_url(database).set(username=name).render_as_string(hide_password=False)

    yield limited
    execute(database, f"REASSIGN OWNED BY {name} TO {owner}; DROP OWNED BY {name}; DROP ROLE {name}")


def statuses(http: httpx.Client, goods: Goods) -> dict[str, set[int]]:
    """The statuses of many requests at once, of every kind."""
    product = goods.product(stock=100_000)
    client = goods.client()

    def requests(number: int) -> list[tuple[str, int]]:
        cart = goods.cart((product, 1))
        return [
            ("read", http.get(f"/products/{product}", headers={"Cache-Control": "no-cache"}).status_code),
            ("list", http.get("/products", params={"q": f"lamp {number}"}).status_code),
            ("order", http.post("/checkout", json=cart).status_code),
            ("change", http.patch(f"/clients/{client}", json={"telephone": f"+3411122{number:04}"}).status_code),
            ("bulk", http.post("/categories/bulk", json=[{"name": unique("category")}]).status_code),
            ("ready", http.get("/health/ready").status_code),
        ]

    found: dict[str, set[int]] = {}
    with ThreadPoolExecutor(24) as threads:
        for answers in threads.map(requests, range(_REQUESTS)):
            for kind, status in answers:
                found.setdefault(kind, set()).add(status)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 4, 7])
def test_requests_wait_for_the_connections_that_are_there(
    role: Callable[[int], str], number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with shop_on(role(number), tmp_path) as http:
        assert statuses(http, Goods(http)) == {
            "read": {200},
            "list": {200},
            "order": {201},
            "change": {200},
            "bulk": {201},
            "ready": {200},
        }
    # On a busy machine statements are slow, and a connection may pass for a dead one.
    lines = [line for line in caplog.records if line.name == "shop.database" and line.levelno >= logging.WARNING]
    assert len([line for line in lines if "gives no more connections" in line.getMessage()]) == 1
    assert not [line for line in lines if line.levelno > logging.WARNING]


@pytest.mark.slow
def test_the_pools_grow_again(database: str, role: Callable[[int], str], tmp_path: Path) -> None:
    url = role(2)
    name = make_url(url).username
    count = f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{name}'"
    with shop_on(url, tmp_path) as http:
        goods = Goods(http)
        statuses(http, goods)
        assert rows_of(database, count)[0][0] <= 2
        execute(database, f"ALTER ROLE {name} CONNECTION LIMIT 30")
        for _ in range(20):
            statuses(http, goods)
            if rows_of(database, count)[0][0] >= 8:
                return
    pytest.fail("the pools do not grow again")
