"""Relay to the broker: every event, in the order of reading, marked as sent when the broker has confirmed it.

While the broker is away events wait, and the relay tries again every second. A broker that was given an event twice
knows it by its id.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Never, TypeVar
from uuid import uuid4

from config.settings import Settings
from infrastructure.broker.connection import BrokerUnavailable
from infrastructure.broker.publisher import Letter, Publisher, publisher
from infrastructure.database.sqlstate import DatabaseUnavailable, StatementRefused
from jobs.order_notifications import ORDER_NOTIFICATIONS
from repositories.broker_turn import END_TURN, NOTE_SENT, TAKE_TURN, TURN_SECONDS
from services.cloud_events import CONTENT_TYPE, cloud_event
from services.event import FIELDS, EventService, Selection
from services.executor import Executor
from services.mails.mail_message import shop_address

log = logging.getLogger("shop.broker")

T = TypeVar("T")

PAGE = 500
# So many are on their way at a time. They share the time that the broker has for its answer.
WAVE = 100
_PAUSE_SECONDS = 1.0
_TICK_SECONDS = 1.0
_NOTE_SECONDS = 1.0

_ID, _TYPE, _RESOURCE, _RESOURCE_ID, _OCCURRED_AT, _SEQUENCE = (
    FIELDS.index(name) for name in ("id", "type", "resource", "resource_id", "occurred_at", "sequence")
)


class BrokerRelay:
    """The relay of one background process, for one event loop. It sends events that have their places already."""

    def __init__(self, settings: Settings, url: str, executor: Executor) -> None:
        self._url, self._exchange = url, settings.rabbitmq_exchange
        # They have to be there before the first message: the exchange keeps nothing.
        self._subscriptions = [ORDER_NOTIFICATIONS] if settings.notify_from == "amqp" else []
        self._source = shop_address(settings)
        self._pool, self._executor = executor.database.write_pool, executor
        self._woken = asyncio.Event()
        self._holder = uuid4()
        self._is_ending = False
        self._has_trouble = False

    def wake(self) -> None:
        """Look at once: there may be new events."""
        self._woken.set()

    async def run(self) -> Never:
        """Send events until cancelled; then what is on its way is confirmed first. Raises what is wrong with the database."""
        self._is_ending = False
        while True:
            try:
                async with publisher(self._url, self._exchange, "shop events", self._subscriptions) as sender:
                    await self._send_on(sender)
            except BrokerUnavailable as error:
                self._note_trouble(error)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _send_on(self, sender: Publisher) -> Never:
        try:
            while True:
                self._woken.clear()
                while await self._whole(self._send_page(sender)):
                    pass
                self._note_well()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_TICK_SECONDS):
                        await self._woken.wait()
        finally:
            with suppress(DatabaseUnavailable, StatementRefused):
                await self._pool.execute(END_TURN, {"holder": self._holder})

    async def _whole(self, work: Any) -> bool:
        """The result of the work. Who is cancelled meanwhile waits for the wave that is on its way."""
        task = asyncio.ensure_future(work)
        try:
            return bool(await asyncio.shield(task))
        except asyncio.CancelledError:
            self._is_ending = True
            await asyncio.wait({task})
            raise

    async def _send_page(self, sender: Publisher) -> bool:
        """Send the next events, if it is the turn of this process; whether there may be more."""
        turn = {"holder": self._holder, "seconds": TURN_SECONDS}
        rows = await self._pool.execute(TAKE_TURN, turn)
        if not rows:
            return False
        page = await self._executor.read(EventService.page(Selection(), rows[0][0], PAGE))
        clock = asyncio.get_running_loop().time
        noted_at = clock()
        for wave in waves(page.rows):
            await sender.send([self._letter(row) for row in wave])
            is_last = wave[-1] is page.rows[-1]
            if is_last or self._is_ending or clock() - noted_at > _NOTE_SECONDS:
                reached = page.reached if is_last else wave[-1][_SEQUENCE]
                if not await self._pool.execute(NOTE_SENT, {**turn, "sequence": reached}) or self._is_ending:
                    return False
                noted_at = clock()
        return bool(page.rows)

    def _letter(self, row: Sequence[Any]) -> Letter:
        body = cloud_event(row, self._source)
        return Letter(str(row[_ID]), row[_TYPE], CONTENT_TYPE, row[_OCCURRED_AT], body)

    def _note_trouble(self, error: BrokerUnavailable) -> None:
        if not self._has_trouble:
            log.warning("Events wait for the broker: %s", error)
        self._has_trouble = True

    def _note_well(self) -> None:
        if self._has_trouble:
            log.info("Events are sent to the broker again")
        self._has_trouble = False


def waves(rows: Sequence[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """Cut the events into parts to be confirmed one after another, each with one event of a resource at most.

    The broker may refuse one event and take the next: so none is sent before the one of its resource that precedes it is
    confirmed.
    """
    wave: list[Sequence[Any]] = []
    about: set[tuple[Any, Any]] = set()
    for row in rows:
        resource = row[_RESOURCE], row[_RESOURCE_ID]
        if resource in about or len(wave) == WAVE:
            yield wave
            wave, about = [], set()
        wave.append(row)
        about.add(resource)
    if wave:
        yield wave
