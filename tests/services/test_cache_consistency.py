"""Two workers, one Redis and one database, in every order: no read is older than a finished write."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from infrastructure.cache.entries import Entry
from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import Invalidation
from services.cache_service import CacheService
from tests.valkey import Valkey

pytestmark = [pytest.mark.race, pytest.mark.integration]

TAGS = ("products", "categories")

workers = st.integers(0, 1)
tags = st.sampled_from(TAGS)


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as server:
        yield server


@dataclass
class Read:
    """A read under way: its load has read the database, or will, and waits to be released."""

    floor: dict[str, int]
    through: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[tuple[RenderedResponse, bool]] | None" = None


@dataclass
class Write:
    """A write that is committed, and whose worker has yet to invalidate."""

    worker: int
    tag: str
    version: int


class TwoWorkers(RuleBasedStateMachine):
    """`committed` is the database, `answered` what writers got a response for: no later read shows less."""

    url: str

    reads = Bundle("reads")
    writes = Bundle("writes")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.committed = dict.fromkeys(TAGS, 0)
        self.answered = dict.fromkeys(TAGS, 0)
        self.under_way: list[Read] = []
        # A busy machine must not pass for a Redis that is away: then an older value would be allowed.
        self.gateways = [RedisGateway(self.url, timeout=10) for _ in range(2)]
        self.caches = [CacheService(gateway) for gateway in self.gateways]
        self.runner.run(self.gateways[0].call("FLUSHALL"))

    def seen(self) -> bytes:
        return " ".join(str(self.committed[tag]) for tag in TAGS).encode()

    @rule(worker=workers)
    def read(self, worker: int) -> None:
        floor = dict(self.answered)

        async def load() -> RenderedResponse:
            return RenderedResponse(self.seen(), "etag")

        # A read may join one that is under way, and then waits for it.
        if not self.under_way:
            answer, _ = self.runner.run(self.caches[worker].get_or_load(Entry("everything", TAGS), load))
            self.check(answer, floor)

    @rule(target=reads, worker=workers)
    def begin_read(self, worker: int) -> Read:
        read = Read(dict(self.answered))

        async def load() -> RenderedResponse:
            body = self.seen()
            await read.through.wait()
            return RenderedResponse(body, "etag")

        async def begin() -> None:
            read.task = asyncio.ensure_future(self.caches[worker].get_or_load(Entry("everything", TAGS), load))
            await asyncio.wait({read.task}, timeout=0.003)

        self.runner.run(begin())
        self.under_way.append(read)
        return read

    @rule(read=consumes(reads))
    def finish_read(self, read: Read) -> None:
        async def finish() -> RenderedResponse:
            assert read.task is not None
            read.through.set()
            await asyncio.wait({read.task}, timeout=0.01)
            # Still waiting: it has joined the load of another read.
            for other in self.under_way:
                if read.task.done():
                    break
                other.through.set()
                await asyncio.wait({read.task}, timeout=0.01)
            return (await read.task)[0]

        self.check(self.runner.run(finish()), read.floor)
        self.under_way.remove(read)

    @rule(read=consumes(reads))
    def cancel_read(self, read: Read) -> None:
        async def cancel() -> None:
            assert read.task is not None
            read.task.cancel()
            read.through.set()
            await asyncio.wait({read.task})

        self.runner.run(cancel())
        self.under_way.remove(read)

    @rule(target=writes, worker=workers, tag=tags)
    def commit(self, worker: int, tag: str) -> Write:
        self.committed[tag] += 1
        return Write(worker, tag, self.committed[tag])

    @rule(write=consumes(writes))
    def publish(self, write: Write) -> None:
        self.runner.run(self.caches[write.worker].invalidate(Invalidation({write.tag})))
        self.answered[write.tag] = max(self.answered[write.tag], write.version)

    @rule()
    def flush(self) -> None:
        self.runner.run(self.gateways[0].call("FLUSHALL"))

    @rule(worker=workers)
    def restart_worker(self, worker: int) -> None:
        self.runner.run(self.caches[worker].start())

    def check(self, answer: RenderedResponse, floor: dict[str, int]) -> None:
        shown = dict(zip(TAGS, map(int, answer.body.split()), strict=True))
        assert all(shown[tag] >= floor[tag] for tag in TAGS), f"{shown} shown, {floor} was answered before"

    @invariant()
    def redis_is_there(self) -> None:
        assert all(gateway.available for gateway in self.gateways)

    def teardown(self) -> None:
        async def close() -> None:
            for read in self.under_way:
                read.through.set()
            for cache, gateway in zip(self.caches, self.gateways, strict=True):
                await cache.close()
                await gateway.close()
            await asyncio.gather(*(read.task for read in self.under_way if read.task), return_exceptions=True)

        self.runner.run(close())
        self.runner.close()


def test_no_read_is_older_than_a_finished_write(valkey: Valkey) -> None:
    class Machine(TwoWorkers):
        url = valkey.url

    limits = settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Machine, settings=limits)
