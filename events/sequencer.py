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
# With more transactions at a time nothing is found out about them.
_MOST_OPEN = 10_000
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
    """All positions up to `position` belong to transactions that have ended, or are among those `in_progress`."""

    position: int
    in_progress: frozenset[int]


class Settled:
    """Below which position all events are settled: they have a sequence, or never will.

    A transaction has its id before it takes the position of an event. So whoever took one before a run that numbers
    something has a smaller id than the run: it has ended by the snapshot of the run, or it is in progress. A complete run
    has numbered the events of all that have ended. As long as none of the others has ended since, there is nothing to look
    for up to the last position that was known before.
    """

    def __init__(self, settle_seconds: float = SETTLE_SECONDS) -> None:
        self._settle_seconds = settle_seconds
        self._floor = _NOTHING
        self._last_position: int | None = None
        # The first run since then that has numbered something.
        self._later: int | None = None
        self._looked_at_all = self._noted_at = float("-inf")

    def below(self, now: float) -> tuple[int, frozenset[int]]:
        """The first position to look at, if none of these transactions has ended."""
        if now - self._looked_at_all >= _FULL_LOOK_SECONDS:
            self._looked_at_all, self._floor = now, _NOTHING
        return self._floor.position + 1, self._floor.in_progress

    def note(self, run: Run, now: float) -> None:
        """Learn from a run that began with `below`."""
        if self._last_position is not None and run.last_position < self._last_position:
            # The database is another one, or an older one.
            self._floor, self._last_position, self._later = _NOTHING, None, None
        if self._last_position is not None and self._later is None:
            self._later = run.transaction
        if run.is_complete:
            self._note_complete(run, now)

    def _note_complete(self, run: Run, now: float) -> None:
        snapshot = _Snapshot.read(run.snapshot)
        self._floor = self._floor._replace(in_progress=frozenset(filter(snapshot.is_open, self._floor.in_progress)))
        if now - self._noted_at < self._settle_seconds:
            return
        if self._last_position is None:
            self._last_position, self._noted_at = run.last_position, now
        elif self._later is not None and self._later - snapshot.end <= _MOST_OPEN:
            in_progress = snapshot.in_progress.union(range(snapshot.end, self._later))
            self._floor = _Bound(self._last_position, in_progress)
            self._last_position, self._later, self._noted_at = run.last_position, None, now


class _Snapshot(NamedTuple):
    """What PostgreSQL's snapshot says: of the transactions below `end` all have ended but those `in_progress`."""

    end: int
    in_progress: frozenset[int]

    @classmethod
    def read(cls, text: str) -> "_Snapshot":
        """The snapshot that PostgreSQL writes as `xmin:xmax:xip,…`."""
        _, end, in_progress = text.split(":")
        return cls(int(end), frozenset(map(int, filter(None, in_progress.split(",")))))

    def is_open(self, transaction: int) -> bool:
        """Whether the transaction has not ended, as far as the snapshot tells."""
        return transaction >= self.end or transaction in self.in_progress


_NOTHING = _Bound(-1, frozenset())
