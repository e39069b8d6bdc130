"""Receivers of webhooks and mails beside a shop that is bought in, and the proof that they got all that happened."""

import asyncio
import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

import orjson
from aiosmtpd.controller import Controller

from benchmarks.http_client import Connection
from benchmarks.production_shop import Shop, free_port

TYPES = "order."
_NOTIFICATION = re.compile(r"notification-(\d+)-")
# Those of a process that was killed are taken over after half a minute, and what failed is tried again a little later.
_STUCK_SECONDS = 90.0
_ANSWER = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
# Settings of a shop that may send to it.
SETTINGS = {"WEBHOOKS_ALLOW_INSECURE": "true", "WEBHOOKS_ALLOW_NETWORKS": "127.0.0.0/8"}


@dataclass(slots=True)
class Receiver:
    """What came, in its order."""

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            self.events.append(orjson.loads(await reader.readexactly(length)))
            writer.write(_ANSWER)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            # The sender was killed.
            return
        finally:
            writer.close()


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver on a port of the loopback address, in a thread of its own."""
    one, loop, is_ready = Receiver(), asyncio.new_event_loop(), threading.Event()

    async def listen() -> None:
        server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
        one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        is_ready.set()

    thread = threading.Thread(target=lambda: (loop.run_until_complete(listen()), loop.run_forever()), daemon=True)
    thread.start()
    is_ready.wait()
    try:
        yield one
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def send_to(shop: Shop, url: str) -> None:
    """Have events of orders sent to the receiver."""
    async with Connection(shop.host, shop.port) as connection:
        body = {"url": url, "types": [f"{TYPES}*"]}
        response = await connection.request("POST", "/webhook_endpoints", body)
        assert response.status == 201, response.body


@dataclass(frozen=True, slots=True)
class WebhooksVerdict:
    """What a receiver did not get of what happened, or before what came earlier. Doubles are no fault: they have one id."""

    lost: list[str]
    invented: list[str]
    out_of_order: list[str]
    doubled: int

    @property
    def faults(self) -> list[str]:
        return [*self.lost, *self.invented, *self.out_of_order]

    def __str__(self) -> str:
        return (
            f"webhooks: lost {len(self.lost)}, invented {len(self.invented)}, out of order {len(self.out_of_order)}, "
            f"doubled {self.doubled} with the same webhook-id"
        )


_LEFT = """
    SELECT (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending')
        + (SELECT count(*) FROM notifications WHERE status = 'queued')
        + (SELECT count(*) FROM events WHERE sequence IS NULL OR sequence > (SELECT min(last_sequence) FROM event_relays))
"""


def wait_until_sent(cursor: Any) -> None:
    """Wait until no event, webhook or mail is on its way any more, or until none has moved for very long."""
    left, moved_at = -1, time.monotonic()
    while time.monotonic() - moved_at < _STUCK_SECONDS:
        cursor.execute(_LEFT)
        before, (left,) = left, cursor.fetchone()
        if not left:
            return
        if left != before:
            moved_at = time.monotonic()
        time.sleep(0.5)


def judge_webhooks(cursor: Any, received: Sequence[dict[str, Any]]) -> WebhooksVerdict:
    """Compare what came with the events of the shop, which `cursor` reads, when nothing happens any more."""
    cursor.execute("SELECT id::text FROM events WHERE starts_with(type, %s)", (TYPES,))
    written = {row[0] for row in cursor.fetchall()}
    got = Counter(event["id"] for event in received)
    last: defaultdict[str, str] = defaultdict(str)
    seen: set[str] = set()
    out_of_order = []
    for event in received:
        if event["id"] in seen:
            continue
        seen.add(event["id"])
        if event["sequence"] < last[event["subject"]]:
            out_of_order.append(f"{event['type']} of {event['subject']} came late")
        last[event["subject"]] = event["sequence"]
    return WebhooksVerdict(
        [f"event {one} was never delivered" for one in written - got.keys()],
        [f"webhook {one} is no event" for one in got.keys() - written],
        out_of_order,
        sum(got.values()) - len(got),
    )


@dataclass(slots=True)
class Inbox:
    """A mail server's handler, which keeps the recipient and the `Message-ID` of each mail."""

    mails: list[tuple[str, str]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (the name that aiosmtpd calls)
        message_id = str(message_from_bytes(envelope.content)["Message-ID"])
        self.mails += ((recipient, message_id) for recipient in envelope.rcpt_tos)
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[str, Inbox]]:
    """The value of SMTP_URL for a mail server of its own, and what it got."""
    inbox = Inbox()
    controller = Controller(inbox, "127.0.0.1", free_port())
    controller.start()
    try:
        yield f"smtp://127.0.0.1:{controller.port}", inbox
    finally:
        controller.stop()


@dataclass(frozen=True, slots=True)
class MailsVerdict:
    """Orders of which no mail came; and mails that came twice, with one `Message-ID` or with another one, which is a fault."""

    lost: list[str]
    doubled: int
    doubled_by_another: int

    @property
    def faults(self) -> list[str]:
        return [*self.lost, *(["a mail came twice with another Message-ID"] * self.doubled_by_another)]

    def __str__(self) -> str:
        return f"mails: lost {len(self.lost)}, doubled {self.doubled} with the same Message-ID"


# What clients are told of.
_MUST_BE_MAILED = """
    SELECT id::text FROM events WHERE type IN ('order.created', 'order.canceled', 'order.returned')
    OR (type = 'order.status_changed' AND data ->> 'new_status' IN ('2', '3'))
"""


def judge_mails(cursor: Any, mails: Sequence[tuple[str, str]]) -> MailsVerdict:
    """Compare the mails with the events and notifications of the shop, which `cursor` reads."""
    cursor.execute(_MUST_BE_MAILED)
    wanted = {row[0] for row in cursor.fetchall()}
    cursor.execute("SELECT event_id::text, id_key FROM notifications WHERE channel = 'mail' AND client_id IS NOT NULL")
    notified: defaultdict[str, list[int]] = defaultdict(list)
    for event_id, key in cursor.fetchall():
        notified[event_id].append(key)
    got = Counter(message_id for _, message_id in mails)
    came = {number for number in (_number(message_id) for message_id in got) if number is not None}
    lost = [f"event {one} was told by no mail" for one in wanted if not came.intersection(notified[one])]
    by_another = sum(len(keys) - 1 for keys in notified.values() if len(keys) > 1)
    return MailsVerdict(lost, sum(got.values()) - len(got), by_another)


def _number(message_id: str) -> int | None:
    """The key of the notification that a mail is."""
    match = _NOTIFICATION.search(message_id)
    return None if match is None else int(match[1])
