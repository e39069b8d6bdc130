"""Whatever happens to what Redis holds, every response is right.

Rows come and change, pages of them are read by two workers with copies and by one that has just started, and in between
any value in Redis is changed at random: bits, pieces, types, places.
"""

import itertools
import random
from collections.abc import Callable

import pytest

from infrastructure.cache.entries import Entry, page_entry
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import Invalidation, size_tag
from tests.services.cached_worker import Worker
from tests.valkey import Valkey

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.slow]

PAGES = {skip: page_entry(f"products:list:skip:{skip}:limit:2", "products", None) for skip in (0, 2, 4)}
SIZE = Entry("products:size", (size_tag("products"),))
LIMIT = 2

Mutation = Callable[[random.Random, bytes, list[bytes]], bytes]


def flip(chance: random.Random, value: bytes, others: list[bytes]) -> bytes:
    place = chance.randrange(len(value))
    return value[:place] + bytes((value[place] ^ 1 << chance.randrange(8),)) + value[place + 1 :]


def cut(chance: random.Random, value: bytes, others: list[bytes]) -> bytes:
    start, end = sorted((chance.randrange(len(value) + 1), chance.randrange(len(value) + 1)))
    return value[:start] + value[end:]


def insert(chance: random.Random, value: bytes, others: list[bytes]) -> bytes:
    place = chance.randrange(len(value) + 1)
    return (
        value[:place]
        + chance.choice((b"0", b"9", b"\r\nSet-Cookie: evil=1", "€".encode(), b"\n", b"\x00"))
        + value[place:]
    )


def count_down(chance: random.Random, value: bytes, others: list[bytes]) -> bytes:
    """Another digit: a frontier that is too near, a count that is too small."""
    places = [place for place, byte in enumerate(value) if byte in b"0123456789"]
    if not places:
        return b""
    place = chance.choice(places)
    return value[:place] + b"%d" % chance.randrange(10) + value[place + 1 :]


def replace(chance: random.Random, value: bytes, others: list[bytes]) -> bytes:
    """By garbage, or by what is right somewhere else."""
    return chance.choice([b"", b"1", b"-1", b"nan", b"\xff" * 40, b"[]\n{}", *others])


MUTATIONS: list[Mutation] = [flip, cut, insert, count_down, replace]


class Shop:
    """Rows, and the responses about them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.rows: dict[int, int] = {}
        self.unused = list(range(1, 200))
        self.transactions = 700

    def page(self, skip: int) -> bytes:
        return repr(sorted(self.rows.items())[skip : skip + LIMIT]).encode()

    def answer(self, skip: int) -> RenderedResponse:
        shown = sorted(self.rows)[skip : skip + LIMIT]
        return RenderedResponse(self.page(skip), '"tag"', complete_to=shown[-1] if len(shown) == LIMIT else None)

    def change(self) -> Invalidation:
        """A new row, mostly with the next key and sometimes with one that was overtaken; another value; one row less."""
        invalidation = Invalidation()
        self.transactions += 1
        if not self.rows or self.chance.random() < 0.6:
            key = self.unused.pop(0 if self.chance.random() < 0.7 else self.chance.randrange(4))
            self.rows[key] = 0
            is_known = self.chance.random() < 0.8
            invalidation.row_added("products", key, str(self.transactions) if is_known else None)
        elif self.chance.random() < 0.7:
            key = self.chance.choice(sorted(self.rows))
            self.rows[key] += 1
            invalidation.row_changed("products", key)
        else:
            key = self.chance.choice(sorted(self.rows))
            del self.rows[key]
            invalidation.row_removed("products", key)
        return invalidation


async def assert_all_right(shop: Shop, worker: Worker) -> None:
    for skip, entry in PAGES.items():

        async def load(skip: int = skip) -> RenderedResponse:
            return shop.answer(skip)

        answer, _ = await worker.cache.get_or_load(entry, load)
        assert answer.body == shop.page(skip)
        assert answer.etag == '"tag"'
        assert answer.headers == {}

    async def count() -> RenderedResponse:
        next_one = shop.transactions + 1
        headers = {"X-Total-Count": str(len(shop.rows))}
        return RenderedResponse(b"", "", headers, snapshot=f"{next_one}:{next_one}:")

    size, _ = await worker.cache.get_or_load(SIZE, count)
    assert size.headers == {"X-Total-Count": str(len(shop.rows))}


async def mutate(chance: random.Random, worker: Worker) -> None:
    keys = sorted(await worker.gateway.call("KEYS", "*"))
    if not keys:
        return
    values = dict(zip(keys, await worker.gateway.call("MGET", *keys), strict=True))
    key = chance.choice(keys)
    value = values.pop(key)
    if value is None or chance.random() < 0.1:
        await worker.gateway.call("UNLINK", key)
        if chance.random() < 0.5:
            await worker.gateway.call("RPUSH", key, "a", "b")
    else:
        others = [other for other in values.values() if other]
        changed = chance.choice(MUTATIONS)(chance, value or b"0", others)
        await worker.gateway.call("SET", key, changed)


@pytest.mark.parametrize("seed", range(6))
async def test_every_response_is_right(valkey: Valkey, workers: tuple[Worker, Worker], seed: int) -> None:
    chance = random.Random(seed)
    shop = Shop(chance)
    for step in itertools.count():
        if step == 120 or len(shop.unused) < 5:
            break
        for _ in range(chance.randrange(3)):
            await mutate(chance, workers[0])
        if chance.random() < 0.6:
            await chance.choice(workers).cache.invalidate(shop.change())
        for _ in range(chance.randrange(2)):
            await mutate(chance, workers[0])
        fresh = Worker(valkey.url)
        for worker in chance.sample([*workers, fresh], chance.randrange(1, 4)):
            await assert_all_right(shop, worker)
        await fresh.close()


async def test_garbage_is_replaced_and_then_hits_again(valkey: Valkey, workers: tuple[Worker, Worker]) -> None:
    shop = Shop(random.Random(1))
    for _ in range(8):
        shop.change()
    for mutation in MUTATIONS:
        await assert_all_right(shop, workers[0])
        for key in await workers[0].gateway.call("KEYS", "*"):
            (value,) = await workers[0].gateway.call("MGET", key)
            await workers[0].gateway.call("SET", key, mutation(shop.chance, value, [b"other"]))
        fresh = Worker(valkey.url)
        await assert_all_right(shop, fresh)
        before = fresh.cache.misses
        await assert_all_right(shop, fresh)
        assert fresh.cache.misses == before
        await fresh.close()
