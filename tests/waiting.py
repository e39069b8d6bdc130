"""Waiting for what others do: other tasks, threads, processes, or PostgreSQL."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds. Raises `TimeoutError` after a minute."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  (what changes is elsewhere)
            await asyncio.sleep(0.01)
