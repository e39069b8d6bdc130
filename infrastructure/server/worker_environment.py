"""What the launcher has decided for its workers: they read it as settings, from their environment."""

import secrets
from collections.abc import Callable
from pathlib import Path

from config.settings import Settings, SettingsError, export_setting, get_settings
from infrastructure.embedded.secret_file import kept_secret
from infrastructure.embedded.servers import ServerUrls, data_folder

_LOOPBACK = "127.0.0.0/8,::1"


def export_settings(
    settings: Settings, urls: ServerUrls, *, address: str, metrics: Path | None, production: bool
) -> None:
    """Put into the environment what is not there yet, so that no worker starts servers or finds keys of its own.

    `address` is where the shop can be reached, if SHOP_URL does not say it better.
    """
    export_setting("EMBEDDED", "false")
    export_setting("AUTH", "on" if settings.auth else "off")
    export_setting("DATABASE_URL", urls.database_url)
    export_setting("SHOP_URL", settings.shop_url or f"http://{address}")
    if settings.secret_keys:
        export_setting("SECRET_KEYS", ",".join(settings.secret_keys))
    if urls.redis_url is None:
        export_setting("REDIS_ENABLED", "false")
    else:
        export_setting("REDIS_URL", urls.redis_url)
    if metrics is not None:
        export_setting("METRICS_DIR", str(metrics))
    alone = not production and settings.outside_database_url is None
    if alone and settings.rate_limit_exempt is None:
        export_setting("RATE_LIMIT_EXEMPT", _LOOPBACK)
    # The application is imported in this process, and reads its settings again.
    get_settings.cache_clear()


def with_secret_keys(settings: Settings, say: Callable[[str], None]) -> Settings:
    """The settings of a shop on an outside PostgreSQL, with keys: SECRET_KEYS, or the file that is made in the data folder.

    Where neither is possible, a shop with AUTH=off gets a key for this run. Raises `SettingsError` with AUTH=on. With an
    embedded PostgreSQL the data folder can be written, and the file is made when the first key is needed.
    """
    if settings.secret_keys or settings.outside_database_url is None:
        return settings
    folder = data_folder(settings)
    try:
        kept_secret(folder)
        return settings
    except OSError as error:
        reason = error.strerror or str(error)
    if settings.auth:
        raise SettingsError(
            f"The secret key cannot be kept in {folder / 'secret_key'} ({reason}): set SECRET_KEYS, or DATA_DIR to a folder "
            "that can be written"
        )
    say(f"SECRET_KEYS is not set, and {folder} keeps no key ({reason}): tokens are valid until this shop is stopped")
    return settings.model_copy(update={"secret_keys": (secrets.token_urlsafe(32),)})
