"""Tells the workers of a running shop what a script has changed behind their backs."""

import asyncio

from config.redis_config import RedisGateway
from services.versions import News, Versions


def tell_the_cache(redis_url: str | None, news: News) -> bool:
    """Make the cached answers that `news` concern old; whether Redis heard it, or there is none."""
    return asyncio.run(_tell(redis_url, news))


async def _tell(redis_url: str | None, news: News) -> bool:
    gateway = RedisGateway(redis_url)
    versions = Versions(gateway)
    await versions.tell(news)
    await versions.close()
    await gateway.close()
    return not versions.is_untold(news.all_tags())
