"""What one worker process of the shop does, as a child of the launcher (`config.supervisor`).

It has two sockets: the one that all workers accept on, and one end of a socket pair to the launcher. Nobody
outlives the launcher: when its end of the pair closes, however that came about, the worker ends too.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import socket
import threading
import traceback
from contextlib import suppress
from types import FrameType

from uvicorn import Config, Server

from config.http_protocol import ShopProtocol
from config.settings import Settings, get_settings

APPLICATION = "main:app"
GRACEFUL_SECONDS = 30
# Python by itself looks for garbage every few hundred objects. Requests leave next to none that only the collector
# can free.
_OBJECTS_BETWEEN_COLLECTIONS = 20_000
# After the launcher has shut the door: for those in the queue, and for their requests to arrive.
_ARRIVAL_SECONDS = 0.3

# What goes through the pair. The launcher asks, and each question is answered with the worker's state.
PING = b"?"
NOT_SERVING = b"-"
SERVING = b"+"


class ApplicationFailed(RuntimeError):
    """The application does not come to serve; the message is one line."""


class PatientServer(Server):
    """uvicorn, but whoever has connected in the last moment is served and not reset."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.force_exit:
            await asyncio.sleep(_ARRIVAL_SECONDS)
        await super().shutdown(sockets)


def uvicorn_config(settings: Settings) -> Config:
    """How uvicorn serves the shop.

    The application itself answers for proxies' headers, logs and draining; uvicorn's ways of doing it are off.
    """
    return Config(
        APPLICATION,
        loop="auto",
        http=ShopProtocol,
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


def serve(config: Config, listener: socket.socket, control: socket.socket) -> None:
    """Serve the application of `config` on `listener`, and answer the launcher on `control`."""
    # Until uvicorn listens to SIGTERM, and again when it has finished, leaving in good order is all there is to do.
    signal.signal(signal.SIGTERM, _leave)
    server = PatientServer(config)
    threading.Thread(target=_report, args=(control, server), daemon=True).start()
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
    Server(uvicorn_config(get_settings())).run(sockets)


def _report(control: socket.socket, server: Server) -> None:
    """Answer the launcher until it is gone, and then end this process, whatever it is doing."""
    with suppress(OSError):
        while control.recv(1):
            control.sendall(SERVING if server.started else NOT_SERVING)
    # Nobody would answer for the requests in flight: their transactions roll back.
    os._exit(1)


def _leave(signal_number: int, frame: FrameType | None) -> None:
    # Not by an exception, which could come between the making of uvicorn's coroutine and its first step.
    os._exit(0)
