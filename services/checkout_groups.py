"""Group commit: all orders that wait are placed by one statement.

A statement for one order costs PostgreSQL three to four times what an order costs in a statement for many. So while a
statement is under way, the orders that come in wait for the next one, which takes all of them; an order that finds none
under way waits for nobody. Each gets an outcome of its own.

An order of a product that somebody has locked would hold up its group. After a short time such a group is sent again by a
statement that skips locked rows; orders of those products are set aside, together with those of the same products that
come later. They have a lane of their own, with a connection of its own, where they wait in PostgreSQL's queue for the
lock.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from config.settings import Settings
from infrastructure.cache.tags import Invalidation
from infrastructure.database.sqlstate import CANCELED, LOCK_TIMEOUT, DatabaseUnavailable, StatementRefused, sqlstate
from repositories.checkout import CheckoutRepository, Outcome, PendingOrder, outcome, placing
from repositories.checkout_statement import Verdict
from services.base import invalidation_of
from services.errors import RequestInProgress, Unavailable
from services.executor import Executor
from services.integrity import violations_of
from services.product import ProductService

MOST_ORDERS = 64
# An order with more lines is a group by itself.
MOST_LINES = 500
# A timer of the event loop may be so much too early.
_EARLY_SECONDS = 0.01


@dataclass(slots=True, eq=False)
class _Waiting:
    """An order that waits, since when and until when (monotonic), and the future of its outcome.

    `is_sent` while a statement with it is under way. `alone` says that it must be a group by itself.
    """

    order: PendingOrder
    since: float
    until: float
    outcome: "asyncio.Future[Outcome]"
    is_sent: bool = False
    alone: bool = False

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


class _Lane:
    """The orders that wait for the statement that is under way, and for each other."""

    def __init__(self, place: Callable[[list[_Waiting]], Awaitable[None]]) -> None:
        self._place = place
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, orders: Sequence[_Waiting], *, first: bool = False) -> None:
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

    async def _run(self) -> None:
        try:
            while group := self._next_group():
                await self._place(group)
        finally:
            self._task = None

    def _next_group(self) -> list[_Waiting]:
        """The orders that wait longest, as many as may be in one statement."""
        group: list[_Waiting] = []
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


class CheckoutGroups:
    """Places the orders of one worker. It belongs to one event loop."""

    def __init__(self, executor: Executor, settings: Settings) -> None:
        self._executor = executor
        self._patience, self._lock_timeout = settings.db_pool_timeout, settings.db_lock_timeout
        self._main, self._aside = _Lane(self._place), _Lane(self._place)
        self._keys: set[str] = set()
        # Products that somebody had locked when an order of them was set aside.
        self._locked: set[int] = set()
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
        waiting = _Waiting(order, since, since + self._patience, loop.create_future())
        timer = loop.call_later(waiting.until - time.monotonic(), waiting.give_up_if_late)
        if self._locked.isdisjoint(order.product_ids):
            self._main.add([waiting])
        else:
            self._set_aside([waiting])
        try:
            return await waiting.outcome
        finally:
            timer.cancel()

    def _set_aside(self, orders: list[_Waiting]) -> None:
        for waiting in orders:
            waiting.until = waiting.since + self._lock_timeout
            asyncio.get_running_loop().call_later(waiting.until - time.monotonic(), waiting.give_up_if_late)
        self._aside.add(orders)

    async def _place(self, group: list[_Waiting]) -> None:
        try:
            outcomes = await self._outcomes(group)
        except StatementRefused as refused:
            self._place_alone(group, is_locked=refused.code == LOCK_TIMEOUT)
        except DatabaseUnavailable as error:
            if len(group) > 1 and sqlstate(error.__cause__) == CANCELED:
                # One by one they may be soon enough.
                self._place_alone(group, is_locked=False)
            else:
                _fail(group, Unavailable())
        except Exception as error:
            _fail(group, error)
        else:
            self._finish(group, outcomes)

    async def _outcomes(self, group: list[_Waiting]) -> list[Outcome]:
        try:
            return await self._send(group, skips_locked=False)
        except StatementRefused as refused:
            # One that is alone for a row that is no product's would wait for it a second time.
            if refused.code != LOCK_TIMEOUT or group[0].alone:
                raise
        return await self._send(group, skips_locked=True)

    async def _send(self, group: list[_Waiting], *, skips_locked: bool) -> list[Outcome]:
        orders = [waiting.order for waiting in group]
        # Who has waited for the statement before has half of the time at least to wait for a connection.
        since = max(min(waiting.since for waiting in group), time.monotonic() - self._patience / 2)
        statement, parameters = placing(orders, skips_locked=skips_locked)
        rows = await self._executor.send(statement, parameters, partial(_sold, orders), since)
        return [outcome(row) for row in rows]

    def _finish(self, group: list[_Waiting], outcomes: list[Outcome]) -> None:
        """Sort out who has to wait again; the others go when what they changed is published."""
        undecided: list[_Waiting] = []
        locked: list[_Waiting] = []
        done: list[tuple[_Waiting, Outcome]] = []
        for waiting, result in zip(group, outcomes, strict=True):
            if result.verdict == Verdict.LOCKED:
                locked.append(waiting)
                self._locked.update(
                    waiting.order.product_ids[line.number] for line in result.broken_lines if line.is_locked
                )
                continue
            self._locked.difference_update(waiting.order.product_ids)
            if result.verdict == Verdict.UNDECIDED:
                undecided.append(waiting)
            else:
                done.append((waiting, result))
        self._set_aside(locked)
        self._main.add(undecided, first=True)
        self._go_on(self._publish(done))

    async def _publish(self, done: list[tuple[_Waiting, Outcome]]) -> None:
        placed = [waiting.order for waiting, result in done if result.order is not None]
        if placed:
            await self._executor.cache.invalidate(_sold(placed))
        for waiting, result in done:
            waiting.finish(result)

    def _place_alone(self, group: list[_Waiting], *, is_locked: bool) -> None:
        """Place one by one the orders of a group that PostgreSQL refused as a whole, which wrote nothing.

        Where a row is locked that is no product's, who waits for it must not hold up the others again. Else a session
        finds out what the constraint is about that the one violates that did.
        """
        if is_locked:
            for waiting in group:
                waiting.alone = True
            self._set_aside(group)
        else:
            self._go_on(self._place_in_sessions(group))

    async def _place_in_sessions(self, group: list[_Waiting]) -> None:
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


def _fail(group: list[_Waiting], error: Exception) -> None:
    for waiting in group:
        waiting.fail(error)
