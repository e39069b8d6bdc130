"""Sequencer: gives committed events their places in the order of reading, before somebody reads.

Every process that reads has one; `repositories.event` has the statement, and says why the order holds whoever runs it.
What a sequencer remembers only spares work: a snapshot that stays open for long, such as that of a backup, keeps the
entries of numbered events in the index of those without number, and each run would look at all of them again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from infrastructure.database.prepared import Parameters, Prepared
from infrastructure.database.sqlstate import StatementRefused
from repositories.event import Run, numbering, run_of

log = logging.getLogger("shop.events")

# Sends a statement that is a transaction by itself, on a connection that may write, and returns its rows.
Send = Callable[[Prepared, Parameters], Awaitable[Sequence[Any]]]

# So long one waits for the process that is numbering events; then it reads what there is.
LOCK_SECONDS = 0.2
_PAUSE_SECONDS = 0.01
# So long one goes on numbering what has piled up before it reads.
_LONGEST_SECONDS = 1.0
# So often what is settled is found out anew, and so often all events are looked at whatever was found out: after a
# failover the database may have gone back.
SETTLE_SECONDS = 1.0
_FULL_LOOK_SECONDS = 30.0


class Sequencer:
    """The sequencer of one process, for one event loop."""

    def __init__(self, send: Send, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._send = send
        self.settled = Settled(settle_seconds)
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Number what was committed before the call. Calls at the same time share the runs that begin after them.

        With a pile of events, or behind a process that hangs, it returns before all is done. Raises `DatabaseUnavailable`.
        """
        # The run that is under way may have looked before.
        if self._running is not None:
            await asyncio.wait({self._running})
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        await asyncio.shield(self._running)

    async def _run(self) -> None:
        started = time.monotonic()
        patient_until = started + LOCK_SECONDS
        while time.monotonic() < started + _LONGEST_SECONDS:
            try:
                run = await self._run_once()
            except StatementRefused as refused:
                log.debug("Events were not numbered: SQLSTATE %s", refused.code)
                return
            if run.is_complete:
                return
            if not run.had_lock:
                if time.monotonic() >= patient_until:
                    return
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _run_once(self) -> Run:
        run = run_of(await self._send(*numbering(*self.settled.below(time.monotonic()))))
        self.settled.note(run, time.monotonic())
        return run


class _Bound(NamedTuple):
    """All positions up to `position` were taken by transactions that had ended, or are among those `in_progress`."""

    position: int
    in_progress: frozenset[int]


class Settled:
    """Below which position all events are settled: they have a sequence, or never will.

    A transaction has its id before it takes the position of an event, so every position that was taken before a snapshot
    belongs to a transaction that the snapshot knows: it has ended, or it is in progress. A complete run has numbered all
    of those that have ended. As long as none of the others has ended since, there is nothing to look for below.
    """

    def __init__(self, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._settle_seconds = settle_seconds
        self._floor = _NOTHING
        self._next: _Bound | None = None
        self._last_position: int | None = None
        self._looked_at_all = self._noted_at = float("-inf")

    def below(self, now: float) -> tuple[int, frozenset[int]]:
        """The first position to look at, if none of these transactions has ended."""
        if now - self._looked_at_all >= _FULL_LOOK_SECONDS:
            self._looked_at_all, self._floor = now, _NOTHING
        return self._floor.position + 1, self._floor.in_progress

    def note(self, run: Run, now: float) -> None:
        """Learn from a run that began with `below`."""
        if not run.is_complete:
            return
        if self._last_position is not None and run.last_position < self._last_position:
            # The database is another one, or an older one.
            self._floor, self._next, self._last_position = _NOTHING, None, None
        ended = _ended_by(run.snapshot)
        self._floor = _still_open(self._floor, ended)
        if now - self._noted_at < self._settle_seconds:
            return
        self._noted_at = now
        if self._next is not None:
            self._floor = _still_open(self._next, ended)
        # The position of an earlier run: it was taken before this snapshot.
        if self._last_position is not None:
            self._next = _Bound(self._last_position, _in_progress(run.snapshot))
        self._last_position = run.last_position


_NOTHING = _Bound(-1, frozenset())


def _still_open(bound: _Bound, ended: Callable[[int], bool]) -> _Bound:
    return bound._replace(in_progress=frozenset(one for one in bound.in_progress if not ended(one)))


def _in_progress(snapshot: str) -> frozenset[int]:
    """The transactions that PostgreSQL's snapshot `xmin:xmax:…` lists as in progress."""
    return frozenset(map(int, filter(None, snapshot.rpartition(":")[2].split(","))))


def _ended_by(snapshot: str) -> Callable[[int], bool]:
    xmax, in_progress = int(snapshot.split(":")[1]), _in_progress(snapshot)
    return lambda transaction: transaction < xmax and transaction not in in_progress
