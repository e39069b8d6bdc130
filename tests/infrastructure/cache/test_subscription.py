"""What is published on a channel of Redis, and heard by those who listen."""

import asyncio

import pytest

from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.publisher import NEWS, Publisher
from infrastructure.cache.seal import Seal
from infrastructure.cache.subscription import Subscription
from infrastructure.cache.tags import Invalidation
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("invalidation", [Invalidation({"products:rows"}), Invalidation()], ids=["stale", "nothing"])
def test_every_write_is_heard_whatever_it_makes_stale(redis_url: str, invalidation: Invalidation) -> None:
    async def scenario() -> None:
        gateway = RedisGateway(redis_url, prefix="heard:")
        publisher = Publisher(gateway, Seal(b""))
        heard: list[None] = []
        subscription = Subscription(redis_url, gateway.key(NEWS))
        listening = asyncio.create_task(subscription.listen(lambda: heard.append(None)))
        # The connect itself counts as one.
        await until(lambda: len(heard) == 1)
        await publisher.publish(invalidation)
        await until(lambda: len(heard) == 2)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await publisher.close()
        await gateway.close()

    asyncio.run(scenario())


def test_without_redis_nothing_is_heard() -> None:
    asyncio.run(Subscription(None, "x").listen(pytest.fail))


def test_it_tries_again_where_redis_is_away() -> None:
    async def scenario() -> None:
        listening = asyncio.create_task(Subscription("redis://127.0.0.1:1/0", "x").listen(pytest.fail))
        await asyncio.sleep(0.2)
        assert not listening.done()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    asyncio.run(scenario())
