"""One worker process of the shop: `python -m config.worker LISTENER CONTROL`, started by `config.supervisor`.

Its two arguments are inherited descriptors: the socket that all workers accept on, and one end of a socket pair
to the launcher. The worker imports the application at once and serves when the launcher gives the word, so that
importing and migrating can go on side by side. Nobody outlives the launcher: when its end of the pair closes,
however that came about, the worker ends too.
"""

import asyncio
import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from types import FrameType

from uvicorn import Config, Server

from config.settings import Settings, get_settings

APPLICATION = "main:app"
GRACEFUL_SECONDS = 30
# After the launcher has shut the door: for those in the queue, and for their requests to arrive.
_ARRIVAL_SECONDS = 0.3

_OBJECTS_BETWEEN_COLLECTIONS = 20_000

# What goes through the pair. The launcher asks, and each question is answered with the worker's state.
PING = b"?"
SERVE = b"!"
NOT_SERVING = b"-"
SERVING = b"+"


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
        http="httptools",
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


def serve_reloaded(sockets: list[socket.socket] | None) -> None:
    """Serve in a child of uvicorn's reloader, for as long as that lives."""
    reloader = multiprocessing.parent_process()
    assert reloader is not None

    def end_with_reloader() -> None:
        reloader.join()
        os._exit(1)

    threading.Thread(target=end_with_reloader, daemon=True).start()
    Server(uvicorn_config(get_settings())).run(sockets)


def _spare_the_collector() -> None:
    """Keep the garbage collector from looking at the application again and again, which stays until the end.

    A request leaves next to nothing that only the collector can free, and Python by itself would search for it
    every few hundred objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)


def _report(control: socket.socket, server: Server, may_serve: threading.Event) -> None:
    """Answer the launcher until it is gone, and then end this process, whatever it is doing."""
    with suppress(OSError):
        while question := control.recv(1):
            if question == SERVE:
                may_serve.set()
            control.sendall(SERVING if server.started else NOT_SERVING)
    # Nobody would answer for the requests in flight: their transactions roll back.
    os._exit(1)


def _leave(signal_number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    listener, control = (socket.socket(fileno=int(word)) for word in sys.argv[1:3])
    # Until uvicorn listens to SIGTERM, and again when it has finished, leaving in good order is all there is to do.
    signal.signal(signal.SIGTERM, _leave)
    config = uvicorn_config(get_settings())
    server = PatientServer(config)
    may_serve = threading.Event()
    threading.Thread(target=_report, args=(control, server, may_serve), daemon=True).start()
    with listener:
        config.load()
        _spare_the_collector()
        may_serve.wait()
        server.run([listener])


if __name__ == "__main__":
    main()
