"""Group commit: all orders that wait are placed by one statement.

A statement for one order costs PostgreSQL three to four times what an order costs in a statement for many. So while a
statement is under way, the orders that come in wait for the next one, which takes all of them; an order that finds none
under way waits for nobody. Each gets an outcome of its own.

An order of a row that somebody has locked (a product, its client, its address) would hold up its group. After a short
time such a group is sent again by a statement that skips locked rows; orders of those rows are set aside, together with
those of the same rows that come later. They have a lane of their own, with a connection of its own. There the orders of
one row after another wait in PostgreSQL's queue for its lock, each for the short time, so that no locked row hides behind
another.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from config.settings import Settings
from infrastructure.cache.tags import Invalidation
from infrastructure.database.sqlstate import CANCELED, LOCK_TIMEOUT, DatabaseUnavailable, StatementRefused, sqlstate
from repositories.checkout import CheckoutRepository, LockedRow, Outcome, PendingOrder, outcome, placing
from repositories.checkout_judging import Verdict
from services.base import invalidation_of
from services.checkout_lane import Lane, WaitingOrder
from services.checkout_metrics import CheckoutMetrics
from services.errors import RequestInProgress, Unavailable
from services.executor import Executor
from services.integrity import violations_of
from services.product import ProductService

# So long after a client or an address was found locked its orders are sent again.
_PAUSE_SECONDS = 0.05


class CheckoutGroups:
    """Places the orders of one worker. It belongs to one event loop."""

    def __init__(self, executor: Executor, settings: Settings, metrics: CheckoutMetrics) -> None:
        self._executor, self._metrics = executor, metrics
        self._patience, self._lock_timeout = settings.db_pool_timeout, settings.db_lock_timeout
        self._main, self._aside = Lane(self._place), Lane(self._place_free_ones_and_wait)
        # Whether any order may be taxed. As long as none was, they are placed by statements that compute no taxes.
        self._taxed = False
        self._keys: set[str] = set()
        # Rows that somebody had locked when an order of them was set aside.
        self._locked: set[LockedRow] = set()
        self._under_way: set[asyncio.Task[None]] = set()

    async def place(self, order: PendingOrder, since: float) -> Outcome:
        """What became of the order, after the commit. Raises `Unavailable`, and `RequestInProgress` for a key in use.

        `since` is when the request began to wait, by the monotonic clock.
        """
        if order.key is None:
            return await self._outcome(order, since)
        if order.key in self._keys:
            raise RequestInProgress
        self._keys.add(order.key)
        try:
            return await self._outcome(order, since)
        finally:
            self._keys.discard(order.key)

    async def _outcome(self, order: PendingOrder, since: float) -> Outcome:
        loop = asyncio.get_running_loop()
        waiting = WaitingOrder(order, since, since + self._patience, loop.create_future())
        timer = loop.call_later(waiting.until - time.monotonic(), waiting.give_up_if_late)
        waiting.blocked_by = self._known_block(order)
        if waiting.blocked_by is None:
            self._main.add([waiting])
        else:
            self._set_aside([waiting])
        try:
            return await waiting.outcome
        finally:
            timer.cancel()

    def _set_aside(self, orders: list[WaitingOrder]) -> None:
        for waiting in orders:
            until = waiting.since + self._lock_timeout
            if waiting.until != until:
                # Once, however often it is set aside.
                waiting.until = until
                asyncio.get_running_loop().call_later(until - time.monotonic(), waiting.give_up_if_late)
        self._aside.add(orders)

    def _known_block(self, order: PendingOrder) -> LockedRow | None:
        return min(self._locked & order.rows, default=None) if self._locked else None

    async def _place(self, group: list[WaitingOrder]) -> None:
        if not await self._is_placed(group, skips_locked=False):
            await self._is_placed(group, skips_locked=True)

    async def _place_free_ones_and_wait(self, group: list[WaitingOrder]) -> None:
        """Place the orders of which nothing is locked any more, and then wait for what blocks the first of the others.

        So a row that is locked now and then, by those who sell it, has its turn beside one that is locked for long.
        """
        await self._is_placed(group, skips_locked=True)
        row = next((waiting.blocked_by for waiting in group if waiting.blocked_by is not None), None)
        blocked = [] if row is None else self._aside.take_blocked_by(row)
        if blocked and not await self._is_placed_after_a_wait(blocked, row):
            self._aside.add(blocked)

    async def _is_placed_after_a_wait(self, group: list[WaitingOrder], row: LockedRow | None) -> bool:
        if row in group[0].order.products:
            return await self._is_placed(group, skips_locked=True, awaited=row)
        # Nobody else wants a client or an address all the time, so now and then is often enough.
        await asyncio.sleep(_PAUSE_SECONDS)
        return False

    async def _is_placed(
        self, group: list[WaitingOrder], *, skips_locked: bool, awaited: LockedRow | None = None
    ) -> bool:
        """Send the group, and see to what becomes of it. False, and it is for the caller to do, where it waited too long
        for a lock that it might have skipped."""
        try:
            outcomes = await self._send(group, skips_locked=skips_locked, awaited=awaited)
        except StatementRefused as refused:
            is_locked = refused.code == LOCK_TIMEOUT
            if is_locked and (awaited or not skips_locked):
                return False
            self._place_alone(group, is_locked=is_locked)
        except DatabaseUnavailable as error:
            if len(group) > 1 and sqlstate(error.__cause__) == CANCELED:
                # One by one they may be soon enough.
                self._place_alone(group, is_locked=False)
            else:
                _fail(group, Unavailable())
        except Exception as error:
            _fail(group, error)
        else:
            self._finish(group, outcomes, skips_locked=skips_locked)
        return True

    async def _send(self, group: list[WaitingOrder], *, skips_locked: bool, awaited: LockedRow | None) -> list[Outcome]:
        orders = [waiting.order for waiting in group]
        # Who has waited for the statement before has half of the time at least to wait for a connection.
        since = max(min(waiting.since for waiting in group), time.monotonic() - self._patience / 2)
        statement, parameters = placing(orders, skips_locked=skips_locked, awaited=awaited, taxed=self._taxed)
        rows = await self._executor.send(statement, parameters, partial(_sold, orders), since)
        return [outcome(row) for row in rows]

    def _finish(self, group: list[WaitingOrder], outcomes: list[Outcome], *, skips_locked: bool = False) -> None:
        """Sort out who has to wait again; the others go when what they changed is published."""
        undecided: list[WaitingOrder] = []
        locked: list[WaitingOrder] = []
        done: list[tuple[WaitingOrder, Outcome]] = []
        for waiting, result in zip(group, outcomes, strict=True):
            waiting.blocked_by = None
            if result.verdict == Verdict.LOCKED:
                locked.append(waiting)
                rows = waiting.order.locked_rows(result)
                waiting.blocked_by = min(rows)
                self._locked |= rows
                continue
            if self._locked and (result.verdict > Verdict.LOCKED or not skips_locked):
                self._locked -= waiting.order.rows
            self._taxed = self._taxed or result.verdict == Verdict.TAXED
            if result.verdict in (Verdict.UNDECIDED, Verdict.TAXED):
                undecided.append(waiting)
            else:
                done.append((waiting, result))
        self._metrics.retried(len(locked) + len(undecided))
        self._set_aside(locked)
        self._main.add(undecided, first=True)
        self._go_on(self._publish(done))

    async def _publish(self, done: list[tuple[WaitingOrder, Outcome]]) -> None:
        placed = [waiting.order for waiting, result in done if result.order is not None]
        if placed:
            await self._executor.cache.invalidate(_sold(placed))
        for waiting, result in done:
            waiting.finish(result)

    def _place_alone(self, group: list[WaitingOrder], *, is_locked: bool) -> None:
        """Place one by one the orders of a group that PostgreSQL refused as a whole, which wrote nothing.

        Where a row is locked that cannot be skipped, who waits for it must not hold up the others again. Else a session
        finds out what the constraint is about that the one violates that did.
        """
        self._metrics.retried(len(group))
        if is_locked:
            for waiting in group:
                waiting.alone = True
            self._set_aside(group)
        else:
            self._go_on(self._place_in_sessions(group))

    async def _place_in_sessions(self, group: list[WaitingOrder]) -> None:
        for waiting in group:
            try:
                result = await self._executor.transact(partial(place_in_session, waiting.order), waiting.since)
            except Exception as error:
                waiting.fail(error)
            else:
                self._finish([waiting], [result])

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def place_in_session(order: PendingOrder, session: Session) -> Outcome:
    """What became of the order, within the transaction of the session. Raises what a violated constraint is about."""
    with violations_of(
        {
            "bill_number": order.asked.bill_number,
            "client_id": order.asked.client_id,
            "address_id": order.asked.address_id,
        }
    ):
        (result,) = CheckoutRepository(session).place([order])
    if result.order is not None:
        invalidation_of(session).tags.update(_sold([order]).tags)
    return result


def _sold(orders: Sequence[PendingOrder]) -> Invalidation:
    """What is old where the orders are placed: the products that they take."""
    invalidation = Invalidation()
    for product_id in {product_id for order in orders for product_id in order.product_ids}:
        invalidation.row_changed(ProductService.resource, product_id)
    return invalidation


def _fail(group: list[WaitingOrder], error: Exception) -> None:
    for waiting in group:
        waiting.fail(error)
