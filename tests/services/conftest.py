"""Two workers on a Valkey of the test's own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from infrastructure.cache.gateway import CALL_SECONDS
from services.cache_service import CacheService
from tests.services.cached_worker import Worker
from tests.valkey import Valkey


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as server:
        yield server


@pytest.fixture
async def workers(valkey: Valkey) -> AsyncIterator[tuple[Worker, Worker]]:
    pair = Worker(valkey.url), Worker(valkey.url)
    yield pair
    for worker in pair:
        await worker.close()


@pytest.fixture
async def hasty_workers(valkey: Valkey) -> AsyncIterator[tuple[Worker, Worker]]:
    """Workers that wait for Redis no longer than the shop does."""
    pair = Worker(valkey.url, CALL_SECONDS), Worker(valkey.url, CALL_SECONDS)
    yield pair
    for worker in pair:
        await worker.close()


@pytest.fixture
async def cache(workers: tuple[Worker, Worker]) -> CacheService:
    return workers[0].cache
