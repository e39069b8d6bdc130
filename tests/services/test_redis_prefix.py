"""The prefix of all keys: shops that share one Redis do not touch each other's.

Workers of one shop with different prefixes, as while they are replaced one by one, do not hear of each other's writes.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import httpx
import pytest
import redis
from redis.crc import key_slot

from tests.builders import a_product
from tests.race.databases import execute
from tests.services.cached_worker import Worker
from tests.shop import environment_of, shop_in_thread
from tests.valkey import Valkey

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


async def test_shops_with_different_prefixes_do_not_touch_each_other(valkey: Valkey) -> None:
    """They have the same secret, and one prefix begins with the other."""
    one, other, third = (Worker(valkey.url, prefix=prefix) for prefix in ("a", "a:", "b:"))
    shops = one, other, third
    for shop in shops:
        assert [(await shop.read())[1] for _ in range(2)] == [False, True]
        assert await shop.cache.set("note", id(shop)) is True

    await one.write()
    await one.cache.invalidate_all()
    assert await one.cache.delete_pattern("*") > 0
    assert await one.cache.get("note") is None
    for shop in (other, third):
        assert (await shop.read())[1] is True
        assert await shop.cache.get("note") == id(shop)
    for shop in shops:
        await shop.close()


@contextmanager
def scripts_seen(valkey: Valkey) -> Iterator[list[list[str]]]:
    """The keys of the scripts that clients run in the `with` block, and all there are in the end as the last list."""
    seen: list[list[str]] = []
    with redis.Redis.from_url(valkey.url) as client, client.monitor() as monitor:
        yield seen
        client.ping()
        commands = takewhile(lambda command: command != "PING", (entry["command"] for entry in monitor.listen()))
        for command in commands:
            if found := re.match(r"EVAL(?:SHA)? \S+ (\d+) (.*)", command, re.DOTALL):
                seen.append(found[2].split(" ")[: int(found[1])])
        seen.append([key.decode() for key in client.scan_iter()])


def use(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        product = a_product(client, price=5)
        path = f"/products/{product['id_key']}"
        for _ in range(3):
            for target in (path, "/products?limit=3", "/categories", "/health_check"):
                assert client.get(target).status_code == 200
            assert client.patch(path, json={"price": 6}).status_code == 200


@pytest.mark.parametrize("prefix", ["shop:", "other/shop-2:"])
def test_each_key_has_the_prefix_and_each_script_one_slot(
    database_url: str, valkey: Valkey, tmp_path: Path, prefix: str
) -> None:
    environment = environment_of(database_url, valkey.url, tmp_path, REDIS_PREFIX=prefix, RATE_LIMIT_EXEMPT="")
    # The scripts are known to Redis after the first time, and then sent by their digests.
    with shop_in_thread(environment) as url:
        use(url)
        with scripts_seen(valkey) as scripts:
            use(url)
    assert len(scripts) > 1
    assert {"ratelimit:", "products:", "tag:"} <= {
        kind for keys in scripts for key in keys for kind in re.findall(r"}([a-z]+:)", key)
    }
    for keys in scripts:
        assert all(key.startswith(prefix) for key in keys)
        assert len({key_slot(key.encode()) for key in keys}) == 1


def test_a_notice_makes_workers_of_every_prefix_forget(database_url: str, valkey: Valkey, tmp_path: Path) -> None:
    """As docs/operations.md advises for the time while a prefix is changed."""
    environments = [
        environment_of(database_url, valkey.url, tmp_path / str(number), REDIS_PREFIX=f"{number}:")
        for number in range(2)
    ]
    with (
        shop_in_thread(environments[0]) as before,
        shop_in_thread(environments[1]) as after,
        httpx.Client(base_url=before) as old,
        httpx.Client(base_url=after) as new,
    ):
        path = f"/products/{a_product(old, price=5)['id_key']}"
        for writer, reader, price in ((old, new, 6), (new, old, 7)):
            while reader.get(path).headers["X-Cache-Hit"] != "true":
                pass
            assert writer.patch(path, json={"price": price}).status_code == 200
            execute(database_url, "NOTIFY shop_catalog")
            deadline = time.monotonic() + 30
            while reader.get(path).json()["price"] != price:
                assert time.monotonic() < deadline
