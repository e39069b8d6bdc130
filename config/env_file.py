"""Warnings about likely mistakes in `.env`: names that are no setting, and servers without a host."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from config.setting_files import SUFFIX
from config.settings import Settings

# From this similarity on, from 0 to 1, a name counts as a misspelled setting.
_SIMILARITY = 0.8
# The prefix of settings that name a server by its parts, and the setting that names it by a URL.
_PARTS = {"POSTGRES": "DATABASE_URL", "REDIS": "REDIS_URL"}
_NOT_ABOUT_A_SERVER = frozenset({"REDIS_ENABLED", "REDIS_CACHE_TTL", "REDIS_MAX_CONNECTIONS"})


def env_file_warnings(env_file: Mapping[str, str], settings: Settings) -> Iterator[str]:
    """One line for each name in `env_file` that is nearly a setting, and for each server that is named without a host."""
    known = [name.upper() for name in Settings.model_fields]
    for name in env_file:
        if name.upper().removesuffix(SUFFIX) in known:
            continue
        meant = get_close_matches(name.upper(), known, 1, _SIMILARITY)
        if meant:
            yield f".env sets {name}, which is no setting and is passed over: {meant[0]} may be meant"
    for server, url in _PARTS.items():
        if getattr(settings, f"{server.lower()}_host") is None and getattr(settings, url.lower()) is None:
            given = [
                name
                for name in sorted(field.upper() for field in settings.model_fields_set)
                if name.startswith(f"{server}_") and name not in _NOT_ABOUT_A_SERVER
            ]
            if given:
                yield f"{', '.join(given)} without {server}_HOST or {url} name no server, and are passed over"
