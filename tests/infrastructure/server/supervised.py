"""A program of one thread that supervises one worker, as the launcher does; the worker is no shop, but quick to start.

It prints its state as a line of JSON whenever that changes, and stops in good order on SIGTERM. Its arguments are a
folder: while there is a file `broken` in it, workers fail at their start; and after how many seconds one hangs that does
not answer. A worker that is asked for /sleep or /spin hangs; asked for /busy, it does nothing else for a while.
"""

import json
import logging
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path
from types import FrameType

from starlette.types import Receive, Scope, Send
from uvicorn import Config

import infrastructure.server.supervised_process
from infrastructure.server.supervisor import Supervisor
from infrastructure.server.worker import ApplicationFailed, load, serve

EXIT_CODE_OF_BROKEN = 3
BUSY_SECONDS = 0.3


async def hang(scope: Scope, receive: Receive, send: Send) -> None:
    """What no application may do: keep the event loop."""
    if scope["path"] == "/sleep":
        time.sleep(1e6)  # noqa: ASYNC251 (meant)
    while scope["path"] == "/spin":
        pass
    time.sleep(BUSY_SECONDS)  # noqa: ASYNC251 (meant)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


def work(folder: Path, application: Config, number: int, listener: socket.socket, control: socket.socket) -> None:
    """What a worker of the shop does, with another application."""
    if (folder / "broken").exists():
        sys.exit(EXIT_CODE_OF_BROKEN)
    serve(application, number, listener, control)


def say(**state: object) -> None:
    sys.stdout.write(json.dumps(state) + "\n")
    sys.stdout.flush()


def supervise(folder: Path, listener: socket.socket) -> None:
    ended: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        ended.append(number)

    signal.signal(signal.SIGTERM, end)
    application = Config(hang, lifespan="off", log_config=None)
    load(application)
    supervisor, last = Supervisor(1, partial(work, folder, application), listener), None
    port = listener.getsockname()[1]
    while not ended:
        supervisor.tick()
        state = supervisor.workers(), supervisor.has_served
        if state != last:
            say(workers=state[0], served=state[1], port=port)
            last = state
        time.sleep(0.02)
    supervisor.stop(30, partial(bool, False))
    say(workers=supervisor.workers(), served=True, port=port)


def main() -> int:
    logging.basicConfig(stream=sys.stderr)
    infrastructure.server.supervised_process._HUNG_SECONDS = float(sys.argv[2])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        try:
            supervise(Path(sys.argv[1]), listener)
        except ApplicationFailed as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
