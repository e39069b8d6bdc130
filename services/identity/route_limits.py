"""Limits of the routes that ask for a password or send a mail: fewer calls than the limit of all requests allows.

They hold for exempt networks, too. Addresses of one IPv6 network of 64 bits count as one client.
"""

import hashlib

from config.settings import Settings
from infrastructure.cache.fixed_windows import FixedWindows
from infrastructure.cache.gateway import RedisGateway
from infrastructure.server.ip_addresses import counted_as
from models.text_key import email_key, text_key
from services.errors import RateLimited

# Longer than any name and any address of a user.
_LONGEST_ACCOUNT = 1000


class RouteLimit:
    """One limit: `rate` is how many calls within how many seconds, or None for no limit."""

    def __init__(self, gateway: RedisGateway, name: str, rate: tuple[int, int] | None) -> None:
        self._name, self._calls = name, rate[0] if rate else 0
        self._windows = FixedWindows(gateway, rate[1]) if rate else None

    async def count(self, address: str, account: str = "") -> None:
        """Count a call. Raises `RateLimited` for one beyond the limit."""
        if self._windows is None:
            return
        client = f"{self._name}:{counted_as(address)}"
        usage = await self._windows.count(
            f"{client}:{account}" if account else client, self._calls, f"IP: {address} ({self._name})"
        )
        if usage.is_exceeded:
            raise RateLimited(self._calls, self._windows.period, usage.reset)


class RouteLimits:
    """The limits of one worker. Every method counts a call and raises `RateLimited` if it is one too many.

    `address` is that of the client. `secret` hides in Redis which accounts are counted.
    """

    def __init__(self, gateway: RedisGateway, settings: Settings, secret: bytes) -> None:
        self._key = hashlib.blake2b(secret, digest_size=32, person=b"counted account").digest()

        def limit(name: str, rate: tuple[int, int]) -> RouteLimit:
            return RouteLimit(gateway, name, rate if settings.rate_limit_enabled else None)

        self._login = limit("login", settings.rate_limit_login)
        self._login_address = limit("login_address", settings.rate_limit_login_address)
        self._register = limit("register", settings.rate_limit_register)
        self._refresh = limit("refresh", settings.rate_limit_refresh)

    async def login(self, address: str, account: str) -> None:
        """A login with this name or e-mail address, whether somebody has it or not."""
        await self._login.count(address, self._account(account))

    async def login_address(self, address: str) -> None:
        """A login, with whatever name."""
        await self._login_address.count(address)

    async def register(self, address: str) -> None:
        """A registration, or a mail that somebody asks for by its address."""
        await self._register.count(address)

    async def refresh(self, address: str) -> None:
        """A refreshed token."""
        await self._refresh.count(address)

    def _account(self, account: str) -> str:
        """The same short text for all spellings of an account, which does not tell whose it is."""
        account = account[:_LONGEST_ACCOUNT]
        key = email_key(account) if "@" in account else text_key(account)
        return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).hexdigest()
