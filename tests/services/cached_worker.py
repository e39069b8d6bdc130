"""A worker with its cache, on a database of one number that all workers share."""

import asyncio
from collections.abc import Awaitable, Callable

from infrastructure.cache.entries import Entry
from infrastructure.cache.epoch import CacheEpoch
from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import Invalidation
from services.cache_service import CacheService

TAGS = ["products"]

# A busy machine must not pass for a Redis that is away, except where that is the point.
PATIENT = 5.0


class Worker:
    """A worker with its cache, on a database of one number that all workers share."""

    database = 0

    def __init__(
        self, url: str | None, timeout: float = PATIENT, epoch: CacheEpoch | None = None, prefix: str = "shop:"
    ) -> None:
        self.gateway = RedisGateway(url, timeout=timeout, prefix=prefix)
        self.cache = CacheService(self.gateway, default_ttl=60, epoch=epoch)
        self.loads = 0

    async def load(self) -> RenderedResponse:
        self.loads += 1
        seen = Worker.database
        await asyncio.sleep(0.01)
        return RenderedResponse(b"%d" % seen, etag=f'"{seen}"', headers={"X-Total-Count": str(seen)})

    async def read(self) -> tuple[int, bool]:
        answer, hit = await self.cache.get_or_load(Entry("products:list", TAGS), self.load)
        return int(answer.body), hit

    async def write(self) -> int:
        Worker.database += 1
        written = Worker.database
        await self.cache.invalidate(Invalidation(set(TAGS)))
        return written

    async def close(self) -> None:
        await self.cache.close()
        await self.gateway.close()


class Gated:
    """A load that takes its snapshot, waits to be released, and then returns it."""

    def __init__(self) -> None:
        self.taken, self.through = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> RenderedResponse:
        seen = Worker.database
        self.taken.set()
        await self.through.wait()
        return RenderedResponse(b"%d" % seen, etag="old")


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)
