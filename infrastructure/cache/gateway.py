"""Circuit breaker and pipelining: the gateway to Redis, with a bound in time for every call.

The shop works without Redis: every call through the `RedisGateway` is bounded in time, fails with one kind of error,
and fails at once while Redis is known to be away.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha1
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AskError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from infrastructure.cache.batcher import Batcher
from infrastructure.cache.connection import Argument, packed, pool_of, reply_on
from infrastructure.observability.tracing import span

log = logging.getLogger("shop.redis")

CALL_SECONDS = 0.1
PROBE_SECONDS = 1.0
FAILURES_BEFORE_OPEN = 3

# An event loop that was busy may not have read a reply that is already there. Before a call is given up the loop gets
# this many turns: no time while it is idle, and enough to connect while it is not.
_LAST_TURNS = 8


class RedisUnavailable(Exception):
    """Redis is switched off, away, too slow, or replied with an error."""


@dataclass(frozen=True)
class Script:
    """A Lua script, sent by its digest; it may use the keys it is given and no others."""

    source: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", sha1(self.source.encode(), usedforsecurity=False).hexdigest())


# It writes, and by a script, because a server may reply to PING while it refuses what the shop needs: a read-only
# replica, one that is out of memory or one that cannot save.
_PROBE = Script("return redis.call('SET', KEYS[1], '1', 'PX', 1000)")

_CLUSTER_MODE = re.compile(rb"^(redis|server)_mode:cluster", re.MULTILINE)

_OF_A_PERMISSION = ("no permissions", "can't run this command")
_OF_A_CLUSTER = (AskError, ClusterCrossSlotError, ClusterDownError, TryAgainError)


class RedisGateway:
    """The way to one Redis, for one event loop. It opens nothing before the first call.

    Calls of one turn of the event loop are one batch, sent and read in a task of its own. A caller waits for a future and
    never holds a connection, so one that is cancelled cannot leave its reply on a connection for another; the task, when
    it is cancelled, closes the connection that it was reading from.

    After three failures in a row, or one reply that is an error, the circuit is open: calls fail at once, and a probe
    every second, on a new connection, finds out when Redis is back. The scripts that were refused are part of the probe,
    because a server may refuse some and not others for good.

    Scripts get their keys with `prefix` before them. It is also their hash tag: all lie in one slot.
    """

    def __init__(
        self, url: str | None, max_connections: int = 50, timeout: float = CALL_SECONDS, prefix: str = "shop:"
    ) -> None:
        self.enabled = url is not None
        self._timeout = timeout
        self._prefix = f"{prefix}{{{prefix}}}"
        self._pool = None if url is None else pool_of(url, max_connections)
        self._exchanges: Batcher[list[bytes], list[Any]] = Batcher(list, self._exchange)
        # Called when the circuit opens.
        self.on_away: Callable[[], None] | None = None
        # Called with the seconds that an exchange took.
        self.on_exchange: Callable[[float], None] | None = None
        # What was refused since the circuit opened, by the digest of the script.
        self._refused: dict[str, Callable[[], Awaitable[Any]]] = {}
        self._causes: set[type[RedisError]] = set()
        self._failures = 0
        self._probe: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def available(self) -> bool:
        """Whether a call would be sent: the circuit is closed."""
        return self.enabled and self._probe is None and not self._closed

    def key(self, name: str) -> str:
        """The key in Redis of what the shop calls `name`; `run` makes it by itself."""
        return self._prefix + name

    async def call(self, *command: Argument) -> Any:
        """The reply to one command, with keys that `key` has made.

        Raises `RedisUnavailable` for every failure, within 100 ms.
        """
        self._refuse_unless_available()
        try:
            return await self._ask(command)
        except RedisError as error:
            raise RedisUnavailable(str(error)) from error

    async def run(self, script: Script, names: Sequence[str], arguments: Sequence[Argument] = ()) -> Any:
        """The result of `script` for the keys of these names. Raises `RedisUnavailable`."""
        self._refuse_unless_available()
        try:
            return await self._run(script, names, arguments)
        except ResponseError as error:
            self._refused[script.digest] = partial(self._run, script, names, arguments)
            raise RedisUnavailable(str(error)) from error
        except RedisError as error:
            raise RedisUnavailable(str(error)) from error

    async def ping(self) -> float:
        """The milliseconds that Redis takes for what the probe does. Raises `RedisUnavailable`."""
        self._refuse_unless_available()
        started = time.perf_counter()
        try:
            await self._try_server()
        except RedisError as error:
            if isinstance(error, ResponseError):
                self._open(error)
            raise RedisUnavailable(str(error)) from error
        return (time.perf_counter() - started) * 1000

    async def close(self) -> None:
        """Cancel what is under way and close the connections; later calls fail."""
        self._closed = True
        probes = [self._probe] if self._probe else []
        for probe in probes:
            probe.cancel()
        await self._exchanges.close()
        await asyncio.gather(*probes, return_exceptions=True)
        if self._pool is not None:
            try:
                await self._pool.aclose()
            except (RedisError, OSError) as error:
                log.debug("A connection to Redis did not close cleanly: %s", error)

    def _refuse_unless_available(self) -> None:
        if not self.enabled:
            raise RedisUnavailable("Redis is switched off")
        if not self.available:
            raise RedisUnavailable("Redis is away")

    async def _try_server(self) -> None:
        """What the probe does. Raises `RedisError`."""
        await self._run(_PROBE, ["probe"])
        # One server of a cluster may have the slot of all keys, until the cluster moves the slot.
        if _CLUSTER_MODE.search(await self._ask(("INFO", "server"))):
            raise ClusterDownError("the server is one of a cluster")

    async def _run(self, script: Script, names: Sequence[str], arguments: Sequence[Argument] = ()) -> Any:
        prefix = self._prefix
        keys = [prefix + name for name in names]
        try:
            return await self._ask(("EVALSHA", script.digest, len(keys), *keys, *arguments))
        except NoScriptError:
            # A server that was restarted or flushed; EVAL also stores the script there.
            return await self._ask(("EVAL", script.source, len(keys), *keys, *arguments))

    async def _ask(self, command: Sequence[Argument]) -> Any:
        """The reply to one command of the turn's exchange. Raises `RedisError`."""
        sent = packed(command)
        commands, exchanged = self._exchanges.join()
        position = len(commands)
        commands.append(sent)
        reply = (await exchanged)[position]
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    async def _exchange(self, commands: list[bytes]) -> list[Any]:
        """The replies to `commands`, in order; one that is an error is returned. Raises `RedisError` when there are none."""
        exchange = asyncio.current_task()
        assert exchange is not None
        timer = exchange.get_loop().call_later(self._timeout, _give_up, exchange, _LAST_TURNS)
        started = time.monotonic()
        try:
            with span("redis", "client", db__system__name="redis", db__operation__batch__size=len(commands)):
                replies = await self._converse(commands)
        except asyncio.CancelledError:
            raise self._failed(RedisError(f"no reply within {self._timeout * 1000:.0f} ms")) from None
        except (RedisError, OSError) as error:
            raise self._failed(RedisError(str(error))) from error
        finally:
            timer.cancel()
            if self.on_exchange is not None:
                self.on_exchange(time.monotonic() - started)
        self._failures = 0
        refusals = [
            reply for reply in replies if isinstance(reply, ResponseError) and not isinstance(reply, NoScriptError)
        ]
        if any("READONLY" in f"{refusal.status_code} {refusal}" for refusal in refusals):
            # A replica, which may lack what the primary has: its other replies are not used either.
            read_only = RedisError(str(refusals[-1]))
            self._open(read_only)
            raise read_only
        if refusals:
            # Out of memory, cannot save, no permission: the next call would get the same reply.
            self._open(refusals[-1])
        return replies

    async def _converse(self, commands: Sequence[bytes]) -> list[Any]:
        """The replies to `commands`, in order; a reply that is an error is returned, not raised."""
        assert self._pool is not None
        connection: AbstractConnection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.send_packed_command(b"".join(commands), check_health=False)
            return [await reply_on(connection) for _ in commands]
        except BaseException:
            # Replies that were not read must not stay on the connection for the next exchange.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)

    def _failed(self, error: RedisError) -> RedisError:
        """The error of an exchange, which counts towards opening the circuit."""
        self._failures += 1
        if self._failures >= FAILURES_BEFORE_OPEN:
            self._open(error)
        return error

    def _open(self, error: RedisError) -> None:
        if self._probe is None and not self._closed:
            self._warn(error)
            if self.on_away is not None:
                self.on_away()
            # Without the context of the request that failed last: the probe's log lines are not about it.
            self._probe = asyncio.get_running_loop().create_task(self._wait_until_back(), context=Context())

    async def _wait_until_back(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            try:
                await self._drop_connections()
                await self._try_server()
                for attempt in list(self._refused.values()):
                    await attempt()
            except RedisError as error:
                self._warn(error)
                continue
            self._refused.clear()
            self._causes.clear()
            self._failures = 0
            self._probe = None
            log.info("Redis is available again")
            return

    def _warn(self, error: RedisError) -> None:
        """Name the cause, once while the circuit is open."""
        kind = NoPermissionError if _is_of_a_permission(error) else type(error)
        if kind not in self._causes:
            self._causes.add(kind)
            log.warning("Redis is not available, serving without it: %s", _cause(error))

    async def _drop_connections(self) -> None:
        """Close those at rest: they may lead to a server that is not the primary any more, or to nowhere."""
        assert self._pool is not None
        try:
            await self._pool.disconnect(inuse_connections=False)
        except (RedisError, OSError) as error:
            log.debug("A connection to Redis did not close cleanly: %s", error)


def _cause(error: RedisError) -> str:
    if isinstance(error, _OF_A_CLUSTER) and not isinstance(error, MasterDownError):
        return "it is a Redis Cluster; name a Redis or Valkey that is not one in REDIS_URL, or set REDIS_ENABLED=false"
    if _is_of_a_permission(error):
        return f"{error}; docs/operations.md names the permissions that the shop needs"
    return str(error)


def _is_of_a_permission(error: RedisError) -> bool:
    # What a script may not do has no code.
    return isinstance(error, NoPermissionError) or any(words in str(error) for words in _OF_A_PERMISSION)


def _give_up(exchange: asyncio.Task[Any], turns: int) -> None:
    if exchange.done():
        return
    if turns:
        exchange.get_loop().call_soon(_give_up, exchange, turns - 1)
    else:
        exchange.cancel()
