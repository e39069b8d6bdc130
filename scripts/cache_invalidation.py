"""Tells the workers of a running shop what a script has changed behind their backs."""

import asyncio
import sys

from infrastructure.cache.gateway import RedisGateway
from infrastructure.cache.seal import Seal
from infrastructure.cache.tags import News, Versions


def tell_the_cache(redis_url: str | None, news: News, old: str) -> None:
    """Make the cached answers that `news` concern old.

    Where Redis cannot be reached, standard error says what a running shop may show then: the words `old`.
    """
    if not asyncio.run(_is_told(redis_url, news)):
        print(f"Redis cannot be reached: a running shop may show {old}.", file=sys.stderr)


async def _is_told(redis_url: str | None, news: News) -> bool:
    """Tell Redis; whether it heard it, or there is none."""
    gateway = RedisGateway(redis_url)
    # With no secret: to make things old needs none. Whoever cannot read a frontier takes all for being before it.
    versions = Versions(gateway, Seal(b""))
    await versions.tell(news)
    await versions.close()
    await gateway.close()
    return not versions.is_untold(news.all_tags())
