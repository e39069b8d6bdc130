"""Webhooks: deliveries are made of events and sent, by all background processes together.

A process takes a delivery for a while, sends it without a transaction, and settles it. One that dies in between leaves it to
the others: it may be sent twice, then with the same `webhook-id`. Each endpoint has room for some at a time, and for one
while nothing succeeds there, so that none waits for another.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence

from config.settings import Settings
from events.webhook_try import Claim, Outcome, WebhookTries
from infrastructure.database.engine import Database
from infrastructure.database.prepared import Parameters, Prepared, Row
from infrastructure.database.sqlstate import DatabaseUnavailable, StatementRefused
from infrastructure.http_client.client import ANSWER_SECONDS
from repositories.webhook_queue import BATCH, CLAIM, FAILING_DAYS, RELAY, RELEASE, REPLAY, SETTLE
from services.errors import Unavailable
from services.executor import Executor
from services.identity.audit import SYSTEM, Author, writing_as
from services.webhook_endpoint import WebhookEndpointService

log = logging.getLogger("shop.webhooks")

# So many are under way for one endpoint, and for all of them.
ROOM, MOST = 8, 256
# So long a delivery is this process's: longer than a try, and what it takes to settle it.
LEASE_SECONDS = ANSWER_SECONDS + 15.0
_TICK_SECONDS = 1.0
_PAUSE_SECONDS = 0.5
# Parts of what was asked for again, in one round.
_MOST_REPLAYS = 20
_SYSTEM = Author(SYSTEM, "switch_off_webhook_endpoint")
_DATABASE_ERRORS = (DatabaseUnavailable, StatementRefused, OSError)


class Webhooks:
    """Sends what is due, with the database of one background process."""

    def __init__(self, database: Database, executor: Executor, settings: Settings) -> None:
        self._pool, self._executor = database.write_pool, executor
        self._settings, self._tries = settings, WebhookTries(settings)
        self._woken = asyncio.Event()
        # Whether there may be more than what has become due.
        self._has_news = True
        self._under_way: dict[asyncio.Task[None], Claim] = {}

    def wake(self) -> None:
        """Look at once: there may be new events."""
        self._has_news = True
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled. Raises what is wrong with the database; what is under way goes on then."""
        while True:
            self._woken.clear()
            if self._has_news:
                self._has_news = False
                await self._make_deliveries()
            await self._send_due()
            try:
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                self._has_news = True

    async def close(self, seconds: float) -> None:
        """Let what is under way go on for so long, and give the rest to other processes."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)
        left = dict(self._under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for claim in left.values():
            await self._pool.run(RELEASE, {"delivery": claim.delivery_id, "tries": claim.tries})

    async def _make_deliveries(self) -> None:
        while await self._number(RELAY) == BATCH:
            pass
        for _ in range(_MOST_REPLAYS):
            if not await self._number(REPLAY):
                break

    async def _number(self, statement: Prepared) -> int:
        try:
            rows = await self._pool.execute(statement, {"limit": BATCH})
        except StatementRefused:
            # An endpoint is being changed or deleted at this moment.
            return 0
        return int(rows[0][0])

    async def _send_due(self) -> None:
        room = MOST - len(self._under_way)
        if not room:
            return
        busy = Counter(claim.endpoint_id for claim in self._under_way.values())
        rows = await self._pool.execute(
            CLAIM,
            {
                "endpoints": list(busy),
                "numbers": list(busy.values()),
                "most": ROOM,
                "limit": room,
                "seconds": LEASE_SECONDS,
            },
        )
        for row in rows:
            claim = Claim.of(row)
            task = asyncio.create_task(self._deliver(claim))
            self._under_way[task] = claim
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._woken.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("A webhook could not be sent", exc_info=task.exception())

    async def _deliver(self, claim: Claim) -> None:
        until = time.monotonic() + LEASE_SECONDS
        outcome = await self._tries.make(claim)
        settled = await self._settle(claim, outcome, until)
        if not settled:
            log.info("Webhook delivery %d was taken over by another process", claim.delivery_id)
        elif outcome.is_gone:
            await self._switch_off(claim.endpoint_id, is_gone=True)
        elif settled[0][0]:
            await self._switch_off(claim.endpoint_id, is_gone=False)

    async def _settle(self, claim: Claim, outcome: Outcome, until: float) -> Sequence[Row]:
        """The row of the statement; none if the delivery is not this process's any more."""
        parameters: Parameters = {
            "delivery": claim.delivery_id,
            "tries": claim.tries,
            "is_delivered": outcome.is_delivered,
            "pause": outcome.pause,
            "code": outcome.code,
            "duration": outcome.milliseconds,
            "error": outcome.error,
        }
        while time.monotonic() < until:
            try:
                return await self._pool.execute(SETTLE, parameters)
            except _DATABASE_ERRORS:
                await asyncio.sleep(_PAUSE_SECONDS)
        return []

    async def _switch_off(self, endpoint_id: int, *, is_gone: bool) -> None:
        """Where the database is away, the next failure does it."""
        try:
            with writing_as(_SYSTEM):
                is_off = await self._executor.transact(
                    lambda session: WebhookEndpointService(session).switch_off(
                        endpoint_id, self._settings, is_gone=is_gone
                    )
                )
        except Unavailable:
            return
        if is_off:
            reason = "it says that it is gone (410)" if is_gone else f"nothing has succeeded for {FAILING_DAYS} days"
            log.warning("Webhook endpoint %d is switched off: %s", endpoint_id, reason)
