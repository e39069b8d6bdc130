"""Responses on a real Valkey: kept whole, never stale after a write, loaded once for many readers."""

import asyncio
import logging
import re

import pytest

from infrastructure.cache.entries import Entry
from infrastructure.cache.rendered_response import RenderedResponse
from services.cache_service import CacheService
from tests.log_records import records_of
from tests.services.cached_worker import TAGS, Gated, Worker
from tests.valkey import Valkey

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


async def test_a_response_is_kept_whole_for_every_worker(workers: tuple[Worker, Worker]) -> None:
    one, other = workers
    answer = RenderedResponse(b'{"a":\n1}\n\n', '"etag"', {"X-Total-Count": "12"})

    async def load() -> RenderedResponse:
        return answer

    assert await one.cache.get_or_load(Entry("key", TAGS), load) == (answer, False)
    assert await one.cache.get_or_load(Entry("key", TAGS), load) == (answer, True)
    assert await other.cache.get_or_load(Entry("key", TAGS), load) == (answer, True)
    assert (one.cache.hits, one.cache.misses, other.cache.hits, other.cache.misses) == (1, 1, 1, 0)


async def test_compressed_forms_count_in_the_copies_of_a_worker(workers: tuple[Worker, Worker]) -> None:
    """They are made once, for one key and for pages that share its body, and are dropped with it."""
    one, _ = workers
    answer = RenderedResponse(b'{"name":"lamp"}' * 500, '"etag"')

    async def load() -> RenderedResponse:
        return answer

    await one.cache.get_or_load(Entry("key", TAGS), load)
    remembered = one.cache._copies
    plain = remembered.currsize
    page = RenderedResponse(answer.body, '"page"', coded=answer.coded)
    forms = [await form.make_form(coding) for coding in ("gzip", "zstd") for form in (answer, page, answer)]
    assert [form.etag for form in forms[:3]] == ['"etag-gzip"', '"page-gzip"', '"etag-gzip"']
    assert forms[0].body is forms[1].body is forms[2].body
    assert remembered.currsize == plain + len(forms[0].body) + len(forms[3].body)
    remembered.forget("key")
    assert remembered.currsize == 0
    await RenderedResponse(answer.body, '"other"').make_form("gzip")
    assert remembered.currsize == 0


async def test_a_large_body_is_compressed_once_for_many_requests(workers: tuple[Worker, Worker]) -> None:
    answer = RenderedResponse(b'{"name":"lamp"}' * 50_000, '"etag"')
    assert answer.form("gzip") is None
    forms = await asyncio.gather(*(answer.make_form("gzip") for _ in range(10)))
    assert len({id(form.body) for form in forms}) == 1
    assert answer.form("gzip") is not None


async def test_a_response_expires(workers: tuple[Worker, Worker]) -> None:
    worker, _ = workers
    await worker.cache.get_or_load(Entry("key", TAGS, 0.05), worker.load)
    await asyncio.sleep(0.1)

    assert (await worker.cache.get_or_load(Entry("key", TAGS), worker.load))[1] is False


async def test_a_write_is_seen_by_every_worker(workers: tuple[Worker, Worker]) -> None:
    for _ in range(3):
        for writer in workers:
            for reader in workers:
                await reader.read()
            written = await writer.write()
            assert [await reader.read() for reader in workers] == [(written, False), (written, True)]


async def test_a_write_leaves_responses_with_other_tags(workers: tuple[Worker, Worker]) -> None:
    worker, _ = workers
    await worker.cache.get_or_load(Entry("categories:list", ["categories"]), worker.load)
    await worker.write()

    assert (await worker.cache.get_or_load(Entry("categories:list", ["categories"]), worker.load))[1] is True


@pytest.mark.race
@pytest.mark.parametrize("reader", [0, 1])
async def test_what_was_loaded_before_a_write_is_not_stored_after_it(
    workers: tuple[Worker, Worker], reader: int
) -> None:
    """F13."""
    load = Gated()
    early = asyncio.ensure_future(workers[reader].cache.get_or_load(Entry("products:list", TAGS), load))
    await load.taken.wait()
    written = await workers[0].write()
    assert await workers[1 - reader].read() == (written, False)
    load.through.set()
    await early

    assert [await worker.read() for worker in workers] == [(written, True), (written, True)]


@pytest.mark.race
async def test_a_flush_does_not_make_a_stale_response_fresh(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers
    load = Gated()
    early = asyncio.ensure_future(worker.cache.get_or_load(Entry("products:list", TAGS), load))
    await load.taken.wait()
    written = await other.write()
    await other.gateway.call("FLUSHALL")
    # A read makes new tag values without storing anything under the key.
    await other.cache.get_or_load(Entry("products:id:1", TAGS), other.load)
    load.through.set()
    await early

    assert await other.read() == (written, False)


@pytest.mark.race
async def test_a_read_after_a_write_joins_no_load_from_before_it(workers: tuple[Worker, Worker]) -> None:
    worker, other = workers
    load = Gated()
    early = asyncio.ensure_future(worker.cache.get_or_load(Entry("products:list", TAGS), load))
    await load.taken.wait()
    written = await other.write()

    async with asyncio.timeout(60):
        assert await worker.read() == (written, False)
    load.through.set()
    await early


async def test_a_hundred_readers_make_one_load_per_worker(workers: tuple[Worker, Worker]) -> None:
    answers = await asyncio.gather(*(worker.read() for worker in workers for _ in range(100)))

    assert {value for value, _ in answers} == {Worker.database}
    assert max(worker.loads for worker in workers) == 1


async def test_a_hundred_readers_in_one_turn_of_the_loop_make_one_call(workers: tuple[Worker, Worker]) -> None:
    worker = workers[0]

    async def scripts_run() -> int:
        statistics = await worker.gateway.call("INFO", "commandstats")
        return sum(map(int, re.findall(rb"cmdstat_eval(?:sha)?:calls=(\d+)", statistics)))

    await worker.write()
    before = await scripts_run()
    await asyncio.gather(*(worker.read() for _ in range(100)))
    # To check, to read, and to store; each of them twice where Redis did not know the script yet.
    assert await scripts_run() - before <= 6
    assert worker.loads == 1


async def test_a_flush_under_load_costs_one_load_per_worker(valkey: Valkey, workers: tuple[Worker, Worker]) -> None:
    """F10."""
    worker, other = workers
    await worker.read()
    for flushes in range(1, 6):
        await other.gateway.call("FLUSHALL")
        values = await asyncio.gather(*(worker.read() for _ in range(50)))
        assert {value for value, _ in values} == {Worker.database}
        assert worker.loads == 1 + flushes


async def test_the_first_reader_may_be_cancelled_without_failing_the_others(workers: tuple[Worker, Worker]) -> None:
    worker, _ = workers
    load = Gated()
    first = asyncio.ensure_future(worker.cache.get_or_load(Entry("key", TAGS), load))
    await load.taken.wait()
    others = [asyncio.ensure_future(worker.cache.get_or_load(Entry("key", TAGS), worker.load)) for _ in range(5)]
    await asyncio.sleep(0.02)
    first.cancel()
    await asyncio.sleep(0.02)
    load.through.set()

    assert [answer.etag for answer, _ in await asyncio.gather(*others)] == ["old"] * 5
    assert worker.loads == 0


async def test_an_error_goes_to_all_readers_and_is_not_kept(workers: tuple[Worker, Worker]) -> None:
    worker, _ = workers
    calls = 0

    async def broken() -> RenderedResponse:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.02)
        raise LookupError("no such row")

    errors = await asyncio.gather(
        *(worker.cache.get_or_load(Entry("key", TAGS), broken) for _ in range(5)), return_exceptions=True
    )
    assert [type(error) for error in errors] == [LookupError] * 5
    assert calls == 1
    assert (await worker.cache.get_or_load(Entry("key", TAGS), worker.load))[1] is False


async def test_hits_and_misses_are_logged(cache: CacheService, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "shop.cache")

    async def load() -> RenderedResponse:
        return RenderedResponse(b"1", "e")

    await cache.get_or_load(Entry("products:id:1", TAGS), load)
    await cache.get_or_load(Entry("products:id:1", TAGS), load)

    assert [record.getMessage() for record in records_of(caplog, "shop.cache")] == [
        "Cache MISS: products:id:1",
        "Cache HIT: products:id:1",
    ]
