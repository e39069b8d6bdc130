"""Somebody else writes into the Redis of the shop: every first read is answered, and rightly, also by the fast path."""

from collections.abc import Callable
from pathlib import Path

import httpx
import orjson
import pytest
import redis

from infrastructure.cache.seal import SEAL_BYTES
from tests.builders import a_product
from tests.shop import environment_of, shop_in_thread
from tests.valkey import Valkey

pytestmark = pytest.mark.integration


def with_about(**changes: object) -> Callable[[bytes], bytes]:
    """An entry that looks right, but for these members of what it says of itself."""

    def changed(entry: bytes) -> bytes:
        line, _, body = entry[SEAL_BYTES:].partition(b"\n")
        return entry[:SEAL_BYTES] + orjson.dumps({**orjson.loads(line), **changes}) + b"\n" + body

    return changed


GARBAGE: list[Callable[[bytes], bytes]] = [
    with_about(etag="\u20ac"),
    with_about(headers={"X-Total-Count": "1\r\nSet-Cookie: evil=1"}),
    with_about(headers={"Set-Cookie": "evil=1"}),
    with_about(headers={}),
    with_about(headers=None),
    with_about(etag=1),
    lambda entry: entry.replace(b"lamp", b"evil"),
    lambda entry: entry[:-1],
    lambda entry: b"",
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_the_first_read_and_every_other_is_right(
    database_url: str, tmp_path: Path, garbage: Callable[[bytes], bytes]
) -> None:
    with Valkey(tmp_path) as valkey, redis.Redis.from_url(valkey.url) as store:
        environment = environment_of(database_url, valkey.url, tmp_path)
        with shop_in_thread(environment) as url, httpx.Client(base_url=url, timeout=60) as client:
            product = a_product(client, name="A lamp")
            others = {"category_id": product["category_id"]}
            paths = (f"/products/{product['id_key']}", "/products?limit=3", str(httpx.URL("/products", params=others)))
            right = {path: client.get(path) for path in paths}
            for _ in range(3):
                # What this worker remembers is not to be believed any more, and what there is to read is garbage.
                entries = [key for key in store.scan_iter("shop:{shop:}products:*") if store.type(key) == b"string"]
                assert entries
                for key in entries:
                    store.set(key, garbage(store.get(key)))
                for path in paths:
                    for _ in range(2):
                        read = client.get(path)
                        assert (read.status_code, read.content) == (200, right[path].content)
                        for name in ("ETag", "X-Total-Count", "Link"):
                            assert read.headers.get(name) == right[path].headers.get(name)
                        assert "Set-Cookie" not in read.headers
                    assert read.headers["X-Cache-Hit"] == "true"
