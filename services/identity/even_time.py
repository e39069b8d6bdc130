"""Even time: results that take equally long, so that their time does not tell what was found."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

# Longer than the work takes on a machine that is not busy.
_SECONDS = 0.3


async def in_even_time(work: Awaitable[T]) -> T:
    """The result of `work`, not before some tenths of a second. Errors come at once."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + _SECONDS
    result = await work
    await asyncio.sleep(ends_at - loop.time())
    return result
