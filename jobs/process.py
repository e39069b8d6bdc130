"""How a background process begins and ends: logging, signals, and a bound for the end."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable

from config.logging_config import configure_logging, stop_logging
from config.settings import Settings, get_settings

# For the connections to be closed, after the drain.
_CLOSING_SECONDS = 3.0


def run(on_loop: Callable[[asyncio.AbstractEventLoop], None] = lambda loop: None) -> None:
    """Be a background process until SIGTERM, SIGINT or SIGHUP. `on_loop` is called with its event loop."""
    settings = get_settings()
    configure_logging(settings)
    try:
        asyncio.run(_run(settings, on_loop))
    finally:
        stop_logging()


async def _run(settings: Settings, on_loop: Callable[[asyncio.AbstractEventLoop], None]) -> None:
    # Imported here: the launcher, which knows this module, needs none of it.
    from jobs.background import BackgroundProcess

    stopping, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop() -> None:
        # A job whose statement does not end, or a server that says nothing, holds nobody up: another process goes on.
        loop.call_later(settings.drain_seconds + _CLOSING_SECONDS, _leave)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop)
    on_loop(loop)
    process = BackgroundProcess(settings)
    gc.freeze()
    await process.run(stopping)


def _leave() -> None:
    stop_logging()
    os._exit(0)
