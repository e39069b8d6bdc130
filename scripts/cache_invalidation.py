"""Cache invalidation for scripts: tells the workers of a running shop what a script has changed."""

import asyncio
import sys

from config.settings import get_settings
from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.publisher import Publisher
from infrastructure.cache.seal import Seal
from infrastructure.cache.tags import Invalidation


def invalidate_cache(redis_url: str | None, invalidation: Invalidation, stale: str) -> None:
    """Invalidate the cached responses of `invalidation`.

    If Redis cannot be reached, a line on standard error says that a running shop may still show `stale`, a description.
    """
    if not asyncio.run(_is_published(redis_url, invalidation)):
        print(f"Redis cannot be reached: a running shop may show {stale}.", file=sys.stderr)


async def _is_published(redis_url: str | None, invalidation: Invalidation) -> bool:
    """Publish to Redis; True if that succeeded, or if there is no Redis."""
    gateway = RedisGateway(redis_url, prefix=get_settings().redis_prefix)
    # To invalidate needs no secret. A worker that cannot read a frontier treats all responses as older.
    publisher = Publisher(gateway, Seal(b""))
    await publisher.publish(invalidation)
    published = await publisher.close()
    await gateway.close()
    return published
