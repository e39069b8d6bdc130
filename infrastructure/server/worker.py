"""Worker process: serves the application with uvicorn, as a child of the launcher (`infrastructure.server.supervisor`).

It has two sockets: the one that all workers accept on, and one end of a socket pair to the launcher. No worker outlives
the launcher: when the launcher's end of the pair closes, for whatever reason, the worker ends too.
"""

import asyncio
import faulthandler
import gc
import multiprocessing
import os
import random
import signal
import socket
import threading
import traceback
from types import FrameType

from uvicorn import Config, Server

from config.settings import Settings, get_settings
from infrastructure.server.connection_guard import ConnectionGuard, guard_of
from infrastructure.server.file_limit import room_for_connections
from infrastructure.server.http_protocol import ShopProtocol, guarded
from infrastructure.server.pings import DUMP_STACKS, NOT_SERVING, SERVING, SPENT, answer_pings

APPLICATION = "main:app"
GRACEFUL_SECONDS = 30
# Python's default is some hundred objects. Requests leave hardly any that only the garbage collector can free.
_OBJECTS_BETWEEN_COLLECTIONS = 20_000
# After the launcher has dropped new connections: for connections in the queue, and for their requests to arrive.
_ARRIVAL_SECONDS = 0.3

# So much of LIMIT_MAX_REQUESTS is added at random, so that workers do not all leave at once.
_JITTER = 0.1


class ApplicationFailed(RuntimeError):
    """The application did not start; the message is one line."""


class GracefulServer(Server):
    """uvicorn's server, but a connection of the last moment is served and not reset."""

    # The event loop, once it runs.
    loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, config: Config, max_requests: int | None = None) -> None:
        super().__init__(config)
        # When it is spent.
        self._most: int | None = None
        if max_requests is not None:
            self._most = max_requests + random.randint(0, round(max_requests * _JITTER))  # noqa: S311 (no secret)

    def state(self) -> bytes:
        """What the worker answers to a ping."""
        if not self.started:
            return NOT_SERVING
        is_spent = self._most is not None and self.server_state.total_requests >= self._most
        return SPENT if is_spent else SERVING

    def leave(self) -> None:
        """Accept no more connections, and drain."""
        for server in self.servers:
            server.close()
        os.kill(os.getpid(), signal.SIGTERM)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.force_exit:
            await asyncio.sleep(_ARRIVAL_SECONDS)
        await super().shutdown(sockets)


def uvicorn_config(settings: Settings, guard: ConnectionGuard | None = None) -> Config:
    """The configuration of uvicorn; `guard` limits its connections. The limit of open files is raised for them.

    Headers of proxies, logs and the drain are the application's own; uvicorn's are off.
    """
    return Config(
        APPLICATION,
        loop="auto",
        http=ShopProtocol if guard is None else guarded(guard),
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        backlog=settings.backlog,
        timeout_keep_alive=max(1, round(settings.timeout_keep_alive)),
        limit_concurrency=room_for_connections(settings.limit_concurrency),
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )


def load(config: Config) -> None:
    """Import and assemble the application of `config`, and all else that a worker needs, before any worker is forked.

    The garbage collector pauses meanwhile: imports leave hardly anything that only it could free.
    Raises `ApplicationFailed` after printing the traceback, which is for developers.
    """
    gc.disable()
    try:
        config.load()
        config.get_loop_factory()
    except SystemExit:
        raise ApplicationFailed("The application did not start; what it said is above") from None
    except Exception as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ApplicationFailed(f"The application cannot be imported ({reason}); where is said above") from None
    # The objects so far are never garbage. A collector that visited them would give each worker its own copy.
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    gc.enable()


def serve(
    config: Config, number: int, listener: socket.socket, control: socket.socket, max_requests: int | None = None
) -> None:
    """Serve the application of `config` on `listener`, and answer the launcher's pings on `control`.

    `number`, from 0 to UVICORN_WORKERS, is not that of any other running worker. After some more than `max_requests` the
    worker tells the launcher that another one should take over, and serves until then.
    """
    # Before uvicorn handles SIGTERM, and after it has finished, an exit with code 0 is all there is to do.
    signal.signal(signal.SIGTERM, _exit)
    faulthandler.register(DUMP_STACKS)
    _join_connection_guard(config, number)
    server = GracefulServer(config, max_requests)
    threading.Thread(target=answer_pings, args=(control, server), daemon=True).start()
    with listener:
        server.run([listener])


def serve_reloaded(sockets: list[socket.socket] | None) -> None:
    """Serve in a child of uvicorn's reloader, and end with it."""
    reloader = multiprocessing.parent_process()
    assert reloader is not None

    def end_with_reloader() -> None:
        reloader.join()
        os._exit(1)

    threading.Thread(target=end_with_reloader, daemon=True).start()
    settings = get_settings()
    Server(uvicorn_config(settings, guard_of(settings))).run(sockets)


def _join_connection_guard(config: Config, number: int) -> None:
    protocol = config.http_protocol_class
    if issubclass(protocol, ShopProtocol) and protocol.guard is not None:
        protocol.guard.counts.use_block(number)
        protocol.guard.on_closed = getattr(config.loaded_app, "count_closed", protocol.guard.on_closed)


def _exit(signal_number: int, frame: FrameType | None) -> None:
    # No exception: it could be raised between the creation of uvicorn's coroutine and its first step.
    os._exit(0)
