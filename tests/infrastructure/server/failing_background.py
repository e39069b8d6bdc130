"""A program that runs background processes which fail at their start, for some seconds: prints how many there were."""

import signal
import socket
import sys
import time

from infrastructure.server.background import BackgroundProcesses


def fail(control: socket.socket) -> None:
    """What such a process does."""
    sys.exit(3)


def hold_out(control: socket.socket) -> None:
    """What one does that does not end by itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1e6)


def main() -> None:
    processes, started = BackgroundProcesses(1, fail), set[int]()
    until = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < until:
        processes.tick()
        started |= set(processes.pids())
        time.sleep(0.005)
    processes.begin_to_stop()
    processes.stop(0, lambda: False)
    stubborn = BackgroundProcesses(2, hold_out)
    stubborn.tick()
    held = stubborn.pids()
    stubborn.begin_to_stop()
    stubborn.stop(60, lambda: True)
    print(len(started), len(held), len(stubborn.pids()))  # noqa: T201


if __name__ == "__main__":
    main()
