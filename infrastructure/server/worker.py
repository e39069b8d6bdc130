"""What one worker process of the shop does, as a child of the launcher (`infrastructure.server.supervisor`).

It has two sockets: the one that all workers accept on, and one end of a socket pair to the launcher. Nobody
outlives the launcher: when its end of the pair closes, however that came about, the worker ends too.
"""

import asyncio
import faulthandler
import gc
import multiprocessing
import os
import resource
import signal
import socket
import threading
import traceback
from contextlib import suppress
from types import FrameType

from uvicorn import Config, Server

from config.settings import Settings, get_settings
from infrastructure.server.connection_guard import ConnectionGuard, guard_of
from infrastructure.server.http_protocol import ShopProtocol, guarded

APPLICATION = "main:app"
GRACEFUL_SECONDS = 30
# Python by itself looks for garbage every few hundred objects. Requests leave next to none that only the collector
# can free.
_OBJECTS_BETWEEN_COLLECTIONS = 20_000
# Beside connections of clients, a worker opens some to its servers, and files.
_SPARE_FILES = 500
# After the launcher has shut the door: for those in the queue, and for their requests to arrive.
_ARRIVAL_SECONDS = 0.3

# What goes through the pair. The launcher asks, and each question is answered with the worker's state.
PING = b"?"
NOT_SERVING = b"-"
SERVING = b"+"


# The signal on which a worker writes to standard error what its threads are doing, even one whose event loop hangs.
DUMP_STACKS = signal.SIGUSR2


class ApplicationFailed(RuntimeError):
    """The application does not come to serve; the message is one line."""


class GracefulServer(Server):
    """uvicorn, but whoever has connected in the last moment is served and not reset."""

    # The event loop, once it runs.
    loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.force_exit:
            await asyncio.sleep(_ARRIVAL_SECONDS)
        await super().shutdown(sockets)


def uvicorn_config(settings: Settings, guard: ConnectionGuard | None = None) -> Config:
    """How uvicorn serves the shop, with `guard` looking after its connections.

    The application itself answers for proxies' headers, logs and draining; uvicorn's ways of doing it are off.
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
        limit_concurrency=settings.limit_concurrency,
        limit_max_requests=settings.limit_max_requests,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )


def load(config: Config) -> None:
    """Import and assemble the application of `config`, and all else that a worker needs, before any is forked.

    The collector pauses until that is done: imports leave next to nothing that only it could free.
    Raises `ApplicationFailed` after the traceback has been printed: it is for whoever works on the code.
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
    # What there is by now is never garbage. A collector that looked at it would make each worker its own copy.
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    gc.enable()


def serve(config: Config, number: int, listener: socket.socket, control: socket.socket) -> None:
    """Serve the application of `config` on `listener`, and answer the launcher on `control`.

    `number` is one of 0 to UVICORN_WORKERS - 1 that no other worker has.
    """
    # Until uvicorn listens to SIGTERM, and again when it has finished, leaving in good order is all there is to do.
    signal.signal(signal.SIGTERM, _exit)
    faulthandler.register(DUMP_STACKS)
    _raise_file_limit(2 * (config.limit_concurrency or 0) + _SPARE_FILES)
    _join_connection_guard(config, number)
    server = GracefulServer(config)
    threading.Thread(target=_answer_pings, args=(control, server), daemon=True).start()
    with listener:
        server.run([listener])


def serve_reloaded(sockets: list[socket.socket] | None) -> None:
    """Serve in a child of uvicorn's reloader, for as long as that lives."""
    reloader = multiprocessing.parent_process()
    assert reloader is not None

    def end_with_reloader() -> None:
        reloader.join()
        os._exit(1)

    threading.Thread(target=end_with_reloader, daemon=True).start()
    settings = get_settings()
    Server(uvicorn_config(settings, guard_of(settings))).run(sockets)


def _raise_file_limit(count: int) -> None:
    """Let this process open so many files and connections, if the system does: many allow no more than 1024 by default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a lower limit than it says.
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _join_connection_guard(config: Config, number: int) -> None:
    protocol = config.http_protocol_class
    if issubclass(protocol, ShopProtocol) and protocol.guard is not None:
        protocol.guard.counts.use_page(number)
        protocol.guard.on_closed = getattr(config.loaded_app, "count_closed", protocol.guard.on_closed)


def _answer_pings(control: socket.socket, server: GracefulServer) -> None:
    """Have the launcher answered until it is gone, and then end this process, whatever it is doing.

    The answer comes from the event loop: where that does not turn, nobody is served, and the launcher shall know.
    """

    def answer() -> None:
        # The launcher may be gone, or stopped for so long that nothing more goes into the pair.
        with suppress(OSError):
            control.send(SERVING if server.started else NOT_SERVING, socket.MSG_DONTWAIT)

    with suppress(OSError):
        while control.recv(1):
            if server.loop is None:
                answer()
            else:
                with suppress(RuntimeError):  # It is closed: this process has finished.
                    server.loop.call_soon_threadsafe(answer)
    # Nobody would answer for the requests in flight: their transactions roll back.
    os._exit(1)


def _exit(signal_number: int, frame: FrameType | None) -> None:
    # Not by an exception, which could come between the making of uvicorn's coroutine and its first step.
    os._exit(0)
