"""The orders of a worker that wait for a statement, in the order in which they go into groups."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from repositories.checkout import LockedRow, Outcome, PendingOrder
from services.errors import Unavailable

MOST_ORDERS = 64
# An order with more lines is a group by itself.
MOST_LINES = 500
# A timer of the event loop may be so much too early.
_EARLY_SECONDS = 0.01


@dataclass(slots=True, eq=False)
class WaitingOrder:
    """An order that waits, since when and until when (monotonic), and the future of its outcome.

    `is_sent` while a statement with it is under way. `alone` says that it must be a group by itself, and `blocked_by`
    which row somebody has locked, as far as is known.
    """

    order: PendingOrder
    since: float
    until: float
    outcome: "asyncio.Future[Outcome]"
    is_sent: bool = False
    alone: bool = False
    blocked_by: LockedRow | None = None

    def give_up_if_late(self) -> None:
        """Give up what has waited long enough, but nothing that has been sent: it may take effect."""
        if not self.is_sent and time.monotonic() >= self.until - _EARLY_SECONDS:
            self.fail(Unavailable())

    def fail(self, error: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def finish(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class Lane:
    """The orders that wait for the statement that is under way, and for each other. `place` takes one group at a time."""

    def __init__(self, place: Callable[[list[WaitingOrder]], Awaitable[None]]) -> None:
        self._place = place
        self._waiting: deque[WaitingOrder] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, orders: Sequence[WaitingOrder], *, first: bool = False) -> None:
        """Let the orders wait, at the end or before all others."""
        for waiting in orders:
            waiting.is_sent = False
            waiting.give_up_if_late()
        if first:
            self._waiting.extendleft(reversed(orders))
        else:
            self._waiting.extend(orders)
        if self._waiting and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def take_blocked_by(self, row: LockedRow) -> list[WaitingOrder]:
        """A group of those that are blocked by the row. All others come before what is left of these."""
        blocked = [waiting for waiting in self._waiting if waiting.blocked_by == row]
        others = [waiting for waiting in self._waiting if waiting.blocked_by != row]
        self._waiting = deque(blocked)
        group = self._next_group()
        self._waiting.extendleft(reversed(others))
        return group

    async def _run(self) -> None:
        try:
            while group := self._next_group():
                await self._place(group)
        finally:
            self._task = None

    def _next_group(self) -> list[WaitingOrder]:
        """The orders that wait longest, as many as may be in one statement."""
        group: list[WaitingOrder] = []
        claims: set[tuple[str, str]] = set()
        lines = 0
        while self._waiting and len(group) < MOST_ORDERS:
            waiting = self._waiting[0]
            if waiting.outcome.done():
                # It was given up, so it must not take effect any more.
                self._waiting.popleft()
                continue
            lines += len(waiting.order.lines)
            is_apart = waiting.alone or lines > MOST_LINES or not claims.isdisjoint(waiting.order.claims)
            if group and (is_apart or group[0].alone):
                break
            claims.update(waiting.order.claims)
            waiting.is_sent = True
            group.append(self._waiting.popleft())
        return group
