"""Consumer of `order_notifications`: what happened to orders becomes notifications when RabbitMQ has delivered it.

Only with NOTIFY_FROM=amqp. A message is acknowledged after the commit of its notifications; one that comes again changes nothing.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Never
from uuid import UUID

from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy.orm import Session

from config.settings import Settings
from infrastructure.broker.connection import BrokerUnavailable
from infrastructure.broker.consumer import acknowledge, consumer, give_back, refuse
from infrastructure.broker.topology import Subscription
from jobs.failures import is_of_task
from services.executor import Executor
from services.notifier import Notifier

log = logging.getLogger("shop.broker")

ORDER_NOTIFICATIONS = Subscription("order_notifications", "order.*")

_PAUSE_SECONDS = 1.0


class OrderNotifications:
    """The consumer of one background process, for one event loop."""

    def __init__(self, settings: Settings, url: str, executor: Executor) -> None:
        self._settings, self._url, self._executor = settings, url, executor
        self._has_trouble = False

    async def run(self) -> Never:
        """Read until cancelled."""
        while True:
            try:
                await self._read()
            except BrokerUnavailable as error:
                if not self._has_trouble:
                    log.warning("Notifications of orders wait for the broker: %s", error)
                self._has_trouble = True
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _read(self) -> Never:
        exchange = self._settings.rabbitmq_exchange
        async with consumer(self._url, exchange, ORDER_NOTIFICATIONS, "shop notifications") as queue:
            if self._has_trouble:
                log.info("Notifications of orders are read again")
            self._has_trouble = False
            while True:
                await self._deal_with(await queue.next())

    async def _deal_with(self, messages: Sequence[AbstractIncomingMessage]) -> None:
        known = []
        for message in messages:
            if (event_id := _event_id(message)) is None:
                log.warning("A message of %s is no event: it is a dead letter", ORDER_NOTIFICATIONS.queue)
                await refuse(message)
            else:
                known.append((message, event_id))
        if await self._tell([event_id for _, event_id in known]) is None:
            await acknowledge([message for message, _ in known])
            return
        # One of them may be to blame.
        for message, event_id in known:
            if (error := await self._tell([event_id])) is None:
                await acknowledge([message])
            else:
                log.warning("No notifications could be made of the event %s", event_id, exc_info=error)
                await asyncio.sleep(_PAUSE_SECONDS)
                await give_back(message)

    async def _tell(self, event_ids: Sequence[UUID]) -> Exception | None:
        """Make notifications of these events; what was wrong with that. It waits for a database that is away."""
        while True:
            try:
                await self._executor.transact(partial(_tell_of, settings=self._settings, event_ids=event_ids))
                return None
            except Exception as error:
                if is_of_task(error):
                    return error
            await asyncio.sleep(_PAUSE_SECONDS)


def _tell_of(session: Session, *, settings: Settings, event_ids: Sequence[UUID]) -> None:
    Notifier(session, settings).tell_of(event_ids)


def _event_id(message: AbstractIncomingMessage) -> UUID | None:
    try:
        return UUID(message.message_id)
    except (TypeError, ValueError):
        return None
