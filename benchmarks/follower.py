"""A reader of events who follows the shop while it is bought in, and the proof that nothing was kept from it.

It reads `GET /events` from the first event on, goes on from the last one that it saw, and comes back when the worker that
it asked is gone. In the end, what it was told is compared with the rows of the shop.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from benchmarks.http_client import Connection

_PAGE = 500
_WAIT_SECONDS = 1
_RETRY_SECONDS = 0.1

# What the rows of the shop say must have been told, and how often: the type, and the key of its resource.
MUST_BE_TOLD: Mapping[str, str] = {
    "category.created": "SELECT id_key, 1 FROM categories",
    "client.created": "SELECT id_key, 1 FROM clients",
    "product.created": "SELECT id_key, 1 FROM products",
    "product.price_changed": "SELECT product_id, count(*) - 1 FROM price_changes GROUP BY product_id HAVING count(*) > 1",
    "order.created": "SELECT id_key, 1 FROM orders",
    "order.canceled": "SELECT id_key, 1 FROM orders WHERE status = 4",
    # Nothing else in this benchmark moves an order on, and each once.
    "order.status_changed": "SELECT id_key, 1 FROM orders WHERE status IN (2, 3)",
    "order.returned": (
        "SELECT orders.id_key, count(*) FROM orders JOIN bills ON bills.refunds_bill_id = orders.bill_id"
        " WHERE bills.reason = 'returned' GROUP BY 1"
    ),
}


@dataclass(slots=True)
class Told:
    """What the reader was told, in the order in which it was, and how often its connection broke."""

    events: list[dict[str, Any]] = field(default_factory=list)
    broken: int = 0
    # The time from the commit to the reader, where the clocks are one.
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EventsVerdict:
    """The differences between what was told and what happened: each is a fault."""

    lost: list[str]
    invented: list[str]
    out_of_order: list[str]

    @property
    def faults(self) -> list[str]:
        return [*self.lost, *self.invented, *self.out_of_order]

    def __str__(self) -> str:
        return f"events: lost {len(self.lost)}, invented {len(self.invented)}, out of order {len(self.out_of_order)}"


class Follower:
    """One reader, which reads until it is told to stop and then to the end."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = Connection(host, port)
        self._stopped = False
        self.told = Told()

    def stop(self) -> None:
        """From now on nothing more happens: the reader ends with the first empty page."""
        self._stopped = True

    async def follow(self) -> None:
        """Read all events."""
        after = 0
        async with self._connection:
            while True:
                is_last = self._stopped
                try:
                    path = f"/events?after={after}&limit={_PAGE}&wait={_WAIT_SECONDS}"
                    response = await self._connection.request("GET", path)
                except ConnectionError:
                    self.told.broken += 1
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                if 400 <= response.status < 500:
                    raise SystemExit(f"the shop does not tell: {response.body.decode()}")
                if response.status != 200:
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                page = response.json()
                self._note(page)
                after = int(response.headers[b"x-next-after"])
                if is_last and not page:
                    return

    def _note(self, page: Sequence[dict[str, Any]]) -> None:
        now = time.time()
        self.told.events += page
        self.told.seconds += (now - seconds_of(event["occurred_at"]) for event in page)


def seconds_of(moment: str) -> float:
    """The time since the epoch of a time of the shop's JSON."""
    return datetime.fromisoformat(moment).timestamp()


def judge_events(cursor: Any, events: Sequence[Mapping[str, Any]]) -> EventsVerdict:
    """Compare what was told with the rows, which `cursor` reads, when nothing happens any more."""
    told = Counter((event["type"], event["resource_id"]) for event in events)
    lost: list[str] = []
    invented: list[str] = []
    for kind, query in MUST_BE_TOLD.items():
        cursor.execute(query)
        happened = dict(cursor.fetchall())
        of_kind = {resource_id: count for (type_, resource_id), count in told.items() if type_ == kind}
        for key in happened.keys() | of_kind.keys():
            wanted, found = happened.get(key, 0), of_kind.get(key, 0)
            (lost if found < wanted else invented).extend([f"{kind} of {key}"] * abs(wanted - found))
    cursor.execute("SELECT id::text FROM events")
    written = {row[0] for row in cursor.fetchall()}
    read = Counter(event["id"] for event in events)
    lost += [f"event {one} was never read" for one in written - read.keys()]
    invented += [f"event {one} is not there" for one in read.keys() - written]
    invented += [f"event {one} was read {count} times" for one, count in read.items() if count > 1]
    return EventsVerdict(sorted(lost), sorted(invented), list(out_of_order(events)))


def out_of_order(events: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The events that do not follow from the one before them: of the whole reading, and of the same resource."""
    last = 0
    of_resource: defaultdict[tuple[str, Any], list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        if event["sequence"] <= last:
            yield f"sequence {event['sequence']} after {last}"
        last = event["sequence"]
        before = of_resource[event["resource"], event["resource_id"]]
        if before and not _follows(before, event):
            yield f"{event['type']} of {event['resource']} {event['resource_id']} after {before[-1]['type']}"
        before.append(event)


def _follows(before: Sequence[Mapping[str, Any]], event: Mapping[str, Any]) -> bool:
    """Whether an event can follow those of its resource: nothing before its creation, and each price from the last one."""
    if event["type"].endswith(".created"):
        return False
    if event["type"] != "product.price_changed":
        return True
    prices = [one["data"]["new_price"] for one in before if one["type"] == "product.price_changed"]
    return not prices or prices[-1] == event["data"]["old_price"]
