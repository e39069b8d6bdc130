"""Redis for people and scripts: its URL by the settings, and a check of the connection."""

import logging

import redis
from redis.exceptions import RedisError

from config.settings import Settings, SettingsError, get_settings

log = logging.getLogger("shop.redis")


class RedisConfig:
    """The URL of Redis by the settings of this process."""

    def get_connection_url(self) -> str | None:
        """The URL of the outside Redis, else of the embedded one; None when Redis is switched off."""
        return redis_uri(get_settings())


def redis_uri(settings: Settings) -> str | None:
    """The URL of the outside Redis, else of the embedded one that would be started. Opens nothing."""
    if not settings.redis_enabled:
        return None
    if settings.outside_redis_url is not None:
        return settings.outside_redis_url
    # Imported here, so that a shop with outside servers never loads the embedded ones.
    from infrastructure.embedded.servers import embedded_urls

    return embedded_urls(settings).redis_url


redis_config = RedisConfig()


def check_redis_connection() -> bool:
    """Whether Redis answers a PING within a second.

    Starts the embedded server for the time of the call when no outside one is named and none runs.
    """
    settings = get_settings()
    if not settings.redis_enabled:
        return False
    if settings.outside_redis_url is not None:
        return _answers(settings.outside_redis_url)
    from infrastructure.embedded.servers import EmbeddedServerError, running_servers

    try:
        with running_servers(settings) as servers:
            return servers.redis_url is not None and _answers(servers.redis_url)
    except (EmbeddedServerError, SettingsError) as error:
        log.error("Redis does not answer: %s", error)
        return False


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except RedisError as error:
        log.error("Redis does not answer: %s", error)
        return False
