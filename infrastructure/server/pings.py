"""Heartbeat: the launcher pings its children over socket pairs, and each answers from its event loop with its state.

When the loop hangs there is no answer. When the launcher's end of the pair closes, for whatever reason, the child ends.
"""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from typing import Protocol

# The launcher sends pings, and the child answers each with its state.
PING = b"?"
NOT_SERVING = b"-"
SERVING = b"+"
# It serves, and has served as many requests as one worker is meant to.
SPENT = b"="
# The launcher's last message: others serve, and this worker drains as after SIGTERM, and accepts no more connections.
LEAVE = b"!"

# On this signal a child writes the stacks of its threads to standard error, even if its event loop hangs.
DUMP_STACKS = signal.SIGUSR2


class Pinged(Protocol):
    """A child that is pinged."""

    # The event loop, once it runs.
    loop: asyncio.AbstractEventLoop | None

    def state(self) -> bytes:
        """What it answers to a ping."""

    def leave(self) -> None:
        """What it does at LEAVE."""


def answer_pings(control: socket.socket, pinged: Pinged) -> None:
    """Answer the launcher's pings until it is gone, and then end this process, whatever it is doing.

    The answer comes from the event loop: when the loop hangs, no client is served, and the launcher must notice.
    """

    def answer() -> None:
        # The launcher may be gone, or stopped for so long that the pair is full.
        with suppress(OSError):
            control.send(pinged.state(), socket.MSG_DONTWAIT)

    with suppress(OSError):
        while message := control.recv(1):
            if pinged.loop is None:
                answer()
            else:
                with suppress(RuntimeError):  # The loop is closed: this process has finished.
                    pinged.loop.call_soon_threadsafe(pinged.leave if message == LEAVE else answer)
    # Transactions under way roll back.
    os._exit(1)
