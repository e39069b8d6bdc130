"""The connection breaks during a commit: nobody knows what happened, until the same key is sent again."""

from pathlib import Path

import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.faults.commit_proxy import COMMIT, PLACE_ORDER, CommitProxy, Cut
from tests.faults.faulty import goods_on, require_unavailable
from tests.race.databases import breaches, new_database, rows_of
from tests.race.goods import Goods
from tests.valkey import Valkey

pytestmark = pytest.mark.integration


def open_the_pool(goods: Goods) -> None:
    """Have its connection opened, which commits too, before the commit that is meant."""
    goods.bill()


@pytest.mark.parametrize("more", [{}, {"bill_number": "mine"}], ids=["plain", "numbered"])
@pytest.mark.parametrize("cut", ["before", "after"])
def test_f3_the_connection_is_lost_during_commit(
    servers: ServerUrls, tmp_path: Path, cut: Cut, more: dict[str, str]
) -> None:
    database = new_database(servers.database_url)
    with CommitProxy(database, tmp_path) as proxy, goods_on(proxy.url, tmp_path, DB_POOL_SIZE="1") as goods:
        product = goods.product(stock=5)
        cart, key = goods.cart((product, 1), **more), {"Idempotency-Key": "who-knows"}
        open_the_pool(goods)
        proxy.cut_at_next(PLACE_ORDER, cut)
        require_unavailable(goods.http.post("/checkout", json=cart, headers=key))
        assert proxy.commits == 1, "the server tried again by itself"
        committed = cut == "after"
        assert rows_of(database, "SELECT count(*) FROM orders") == [(int(committed),)]

        again = goods.http.post("/checkout", json=cart, headers=key)
        assert again.status_code == 201
        assert again.headers.get("Idempotent-Replayed") == ("true" if committed else None)
        assert rows_of(database, "SELECT id_key FROM orders") == [(again.json()["id_key"],)]
        assert goods.stock(product) == 4
    assert breaches(database) == []


@pytest.mark.parametrize("cut", ["before", "after"])
def test_f3_a_new_row_under_a_key_takes_several_statements(servers: ServerUrls, tmp_path: Path, cut: Cut) -> None:
    database = new_database(servers.database_url)
    with CommitProxy(database, tmp_path) as proxy, goods_on(proxy.url, tmp_path, DB_POOL_SIZE="1") as goods:
        body, key = {"name": "Lamps"}, {"Idempotency-Key": "who-knows"}
        open_the_pool(goods)
        proxy.cut_at_next(COMMIT, cut, earlier=b"idempotency_keys")
        require_unavailable(goods.http.post("/categories", json=body, headers=key))
        assert proxy.commits == 1, "the server tried again by itself"
        again = goods.http.post("/categories", json=body, headers=key)
        assert again.status_code == 201
        assert again.headers.get("Idempotent-Replayed") == ("true" if cut == "after" else None)
        assert rows_of(database, "SELECT count(*) FROM categories WHERE name = 'Lamps'") == [(1,)]


@pytest.mark.parametrize("cut", ["before", "after"])
def test_f3_a_refusal_is_not_lost_either(servers: ServerUrls, tmp_path: Path, cut: Cut) -> None:
    database = new_database(servers.database_url)
    with CommitProxy(database, tmp_path) as proxy, goods_on(proxy.url, tmp_path, DB_POOL_SIZE="1") as goods:
        product = goods.product(stock=5)
        cart, key = goods.cart((product, 6)), {"Idempotency-Key": "refused"}
        open_the_pool(goods)
        proxy.cut_at_next(COMMIT, cut, earlier=b"idempotency_keys")
        require_unavailable(goods.http.post("/checkout", json=cart, headers=key))
        goods.http.post(f"/products/{product}/stock", json={"delta": 5})
        # What was kept stays as it was; what was not is decided anew.
        again = goods.http.post("/checkout", json=cart, headers=key)
        assert again.status_code == (400 if cut == "after" else 201)


def test_f3_readers_see_what_a_lost_commit_did(servers: ServerUrls, tmp_path: Path) -> None:
    """The answer was 503, but the sale took place: the cached stock must not hide it."""
    database = new_database(servers.database_url)
    with (
        CommitProxy(database, tmp_path) as proxy,
        Valkey(tmp_path) as valkey,
        goods_on(proxy.url, tmp_path, valkey.url, DB_POOL_SIZE="1") as goods,
    ):
        product = goods.product(stock=5)
        assert [goods.stock(product) for _ in range(2)] == [5, 5]
        proxy.cut_at_next(PLACE_ORDER, "after")
        require_unavailable(goods.http.post("/checkout", json=goods.cart((product, 1))))
        assert goods.stock(product) == 4
