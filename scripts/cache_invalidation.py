"""Tells the workers of a running shop what a script has changed behind their backs."""

import asyncio
import sys

from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.seal import Seal
from infrastructure.cache.tags import CacheTags, Invalidation


def invalidate_cache(redis_url: str | None, invalidation: Invalidation, stale: str) -> None:
    """Make the cached answers that `invalidation` concern old.

    Where Redis cannot be reached, standard error says what a running shop may show then: the words `stale`.
    """
    if not asyncio.run(_is_published(redis_url, invalidation)):
        print(f"Redis cannot be reached: a running shop may show {stale}.", file=sys.stderr)


async def _is_published(redis_url: str | None, invalidation: Invalidation) -> bool:
    """Tell Redis; whether it heard it, or there is none."""
    gateway = RedisGateway(redis_url)
    # With no secret: to make things old needs none. Whoever cannot read a frontier takes all for being before it.
    tags = CacheTags(gateway, Seal(b""))
    await tags.publish(invalidation)
    await tags.close()
    await gateway.close()
    return not tags.is_pending(invalidation.all_tags())
