"""Credentials of the scripts: SHOP_TOKEN or SHOP_API_KEY, else a throw-away key where the script reaches the shop's database.

A throw-away key is made by SQL, has all scopes, and is deleted when the script ends. If the script is killed, the key
ends by itself after a day.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Engine, delete, func, insert
from sqlalchemy.exc import SQLAlchemyError

from config.settings import SettingsError, get_settings
from infrastructure.database.migrations import maintenance_engine
from infrastructure.embedded.servers import embedded_urls
from models.api_key import ApiKey
from scripts.api_errors import ScriptError, shown_address
from security.credentials import KEY_MARK
from security.scopes import ALL_SCOPES

TOKEN, API_KEY = "SHOP_TOKEN", "SHOP_API_KEY"
# A read that always needs a scope with AUTH=on.
_GUARDED = "/clients"
_ASK_SECONDS = 10.0

Headers = dict[str, str]


class CredentialsNeeded(ScriptError):
    """The shop asks who calls, and the script has nothing to show."""

    def __init__(self, base_url: str) -> None:
        super().__init__(
            f"The shop at {shown_address(base_url)} asks who calls: "
            f"set {TOKEN} to an access token, or {API_KEY} to an API key"
        )


def given_credentials(environment: Mapping[str, str] = os.environ) -> Headers:
    """The headers for the credentials in the environment; none if there are none. The token goes first."""
    if token := environment.get(TOKEN):
        return {"Authorization": f"Bearer {token}"}
    if key := environment.get(API_KEY):
        return {"X-API-Key": key}
    return {}


@contextmanager
def credentials_for(base_url: str) -> Iterator[Headers]:
    """The headers with which a script calls the shop at `base_url`, for a block. Raises `CredentialsNeeded`."""
    given = given_credentials()
    if given or not _asks_who_calls(base_url):
        yield given
        return
    if not _is_on_this_machine(base_url):
        raise CredentialsNeeded(base_url)
    try:
        engine = maintenance_engine(embedded_urls(get_settings()).database_url)
        try:
            key = make_key(engine, "throw-away key of a script")
        except SQLAlchemyError:
            engine.dispose()
            raise
    except (SettingsError, SQLAlchemyError):
        raise CredentialsNeeded(base_url) from None
    try:
        yield {"X-API-Key": key}
    finally:
        delete_key(engine, key)
        engine.dispose()


def make_key(engine: Engine, name: str) -> str:
    """The secret of a new API key with all scopes, which ends by itself after a day."""
    prefix = secrets.token_hex(4)
    secret = f"{KEY_MARK}{prefix}_{secrets.token_urlsafe(32)}"
    row = {
        "name": name,
        "prefix": prefix,
        "secret_hash": _digest(secret),
        "scopes": sorted(map(str, ALL_SCOPES)),
        "expires_at": func.now() + func.make_interval(0, 0, 0, 1),
    }
    with engine.begin() as connection:
        connection.execute(insert(ApiKey).values(row))
    return secret


def delete_key(engine: Engine, secret: str) -> None:
    """Delete the key; the shop refuses it from then on."""
    with engine.begin() as connection:
        connection.execute(delete(ApiKey).where(ApiKey.secret_hash == _digest(secret)))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _asks_who_calls(base_url: str) -> bool:
    try:
        response = httpx.get(f"{base_url.rstrip('/')}{_GUARDED}?limit=1", timeout=_ASK_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL):
        # The script says so itself at its first request.
        return False
    return response.status_code == HTTPStatus.UNAUTHORIZED


def _is_on_this_machine(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
