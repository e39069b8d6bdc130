"""One try to deliver an event to a webhook: what is sent, and what the answer means."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from config.settings import Settings
from infrastructure.http_client.client import HttpAnswer, HttpClient, RequestFailed
from repositories.event_reading import FIELDS
from security.secret_box import SecretBox, SecretUnreadable
from security.secret_keys import key_ring
from security.webhook_signature import signed_headers
from services.cloud_events import CONTENT_TYPE, cloud_event
from services.mails.mail_message import shop_address
from services.webhook_endpoint import WebhookTargets, secret_box

# After each failure the pause until the next try, in seconds; after the one behind the last there is none.
PAUSES = (5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24)))
# They are longer by up to this part, so that what failed together is not tried again together.
JITTER = 0.1
# Who asks for a longer pause gets this one.
_LONGEST_PAUSE = 24 * 3600
_SUCCESS, _GONE = range(200, 300), 410
_USER_AGENT = "shop-webhooks/1.0"


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process has taken, for its try with the number `tries`. `event` has the values of `FIELDS`."""

    delivery_id: int
    tries: int
    failures: int
    endpoint_id: int
    url: str
    secret: bytes
    previous_secret: bytes | None
    event: Sequence[Any]

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Claim":
        """The claim in a row of `CLAIM`."""
        count = len(row) - len(FIELDS)
        values: Any = (*row[:count], row[count:])
        return cls(*values)

    @property
    def event_id(self) -> str:
        return str(self.event[0])

    @property
    def is_kept(self) -> bool:
        """Whether there is still something to send."""
        return self.event[-1] is not None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try has ended. `pause` is in seconds; None where it is the last one. `is_gone` if nobody wants more of them."""

    is_delivered: bool
    code: int | None
    milliseconds: int
    error: str | None = None
    pause: float | None = None
    is_gone: bool = False


class WebhookTries:
    """Makes tries as the settings say. The constructor opens and reads nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._targets = settings, WebhookTargets.of(settings)
        self._client = HttpClient(self._targets.guard)
        self._source = shop_address(settings)

    @cached_property
    def _box(self) -> SecretBox:
        return secret_box(key_ring(self._settings))

    async def make(self, claim: Claim) -> Outcome:
        """The outcome of the try. Raises nothing that has to do with the receiver."""
        if not claim.is_kept:
            return Outcome(is_delivered=False, code=None, milliseconds=0, error="the event is not kept any more")
        began_at = time.monotonic()
        answer, error = await self._answer(claim)
        milliseconds = round((time.monotonic() - began_at) * 1000)
        if answer is None:
            return Outcome(
                is_delivered=False, code=None, milliseconds=milliseconds, error=error, pause=pause_after(claim.failures)
            )
        return _outcome(claim, answer, milliseconds)

    async def _answer(self, claim: Claim) -> tuple[HttpAnswer | None, str | None]:
        objection = self._targets.objection(claim.url)
        if objection is not None:
            return None, f"the URL {objection}"
        try:
            secrets = [self._box.decrypted(one) for one in (claim.secret, claim.previous_secret) if one is not None]
            body = cloud_event(claim.event, self._source)
            headers = {
                "content-type": CONTENT_TYPE,
                "user-agent": _USER_AGENT,
                **signed_headers(secrets, claim.event_id, int(time.time()), body),
            }
            return await self._client.post(claim.url, headers, body), None
        except SecretUnreadable:
            return None, "the secret cannot be read, because its key is not in SECRET_KEYS any more: rotate it"
        except RequestFailed as failure:
            return None, str(failure)


def _outcome(claim: Claim, answer: HttpAnswer, milliseconds: int) -> Outcome:
    if answer.status in _SUCCESS:
        return Outcome(is_delivered=True, code=answer.status, milliseconds=milliseconds)
    is_gone = answer.status == _GONE
    pause = None if is_gone else pause_after(claim.failures, asked_pause(answer.retry_after))
    error = f"the answer was {answer.status}"
    return Outcome(False, answer.status, milliseconds, error=error, pause=pause, is_gone=is_gone)


def pause_after(failures: int, asked: float = 0) -> float | None:
    """The seconds until the next try, where so many have failed before the one that has failed now; None after the last.

    They are no less than what the receiver has asked for, up to a day.
    """
    if failures >= len(PAUSES):
        return None
    pause = max(PAUSES[failures], min(asked, _LONGEST_PAUSE))
    return pause * (1 + JITTER * random.random())  # noqa: S311 (nobody gains by guessing it)


def asked_pause(retry_after: str | None) -> float:
    """The seconds that a `Retry-After` asks for, a number or a date; 0 for what is neither."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - time.time())
