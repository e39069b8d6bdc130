"""A program of one thread that supervises one worker, as the launcher does; the worker is no shop, but quick to start.

It prints its state as a line of JSON whenever that changes, and stops in good order on SIGTERM. Its argument is a
folder: while there is a file `broken` in it, workers fail at their start.
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

import config.supervisor
from config.supervisor import Supervisor
from config.worker import SERVING, ApplicationFailed

EXIT_CODE_OF_BROKEN = 3


def work(folder: Path, listener: socket.socket, control: socket.socket) -> None:
    """Answer the launcher as a worker does that serves."""
    if (folder / "broken").exists():
        sys.exit(EXIT_CODE_OF_BROKEN)
    while control.recv(1):
        control.sendall(SERVING)


def say(**state: object) -> None:
    sys.stdout.write(json.dumps(state) + "\n")
    sys.stdout.flush()


def supervise(folder: Path, listener: socket.socket) -> None:
    ended: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        ended.append(number)

    signal.signal(signal.SIGTERM, end)
    supervisor, last = Supervisor(1, partial(work, folder), listener), None
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
    config.supervisor._SILENCE_SECONDS = 1.0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        try:
            supervise(Path(sys.argv[1]), listener)
        except ApplicationFailed as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
