"""The fast path: known reads whose answers are cached, all those of one turn of the event loop in one step.

It does what the layers of middleware would do for such a request, and nothing else: counts it, looks whether the
answer that this worker remembers is good, and writes it with the headers that every answer has. Wherever more is to
be done or said (a refusal, an answer that is old, Redis away, another origin), the request is handed on to them.
"""

import asyncio
import logging
from dataclasses import dataclass

from config.http_protocol import HeldRequest
from config.logging import request_id
from config.redis_config import RedisUnavailable
from config.turns import SharedAnswer
from middleware.edge import Asked, Edge, note_asked
from middleware.known_reads import Read
from middleware.rate_limit import Counted, Usage
from middleware.read_response import HIT_LINE, client_has
from middleware.request_context import Begun, RequestContext
from services.answer import Answer
from services.versions import Found

log = logging.getLogger("shop.fast_path")


@dataclass(slots=True)
class _Held:
    """A request, and what was asked for it in its turn."""

    request: HeldRequest
    read: Read
    found: SharedAnswer[Found]
    counted: Counted | None
    begun: Begun


class FastPath:
    """Answers what `edge` knows, in the name of the outermost layer `context`."""

    def __init__(self, edge: Edge, context: RequestContext) -> None:
        self._known, self._limit = edge.known, edge.limit
        self._context = context
        self._turn: list[_Held] = []
        self._under_way: set[asyncio.Task[None]] = set()

    def take(self, request: HeldRequest) -> bool:
        """Whether the request is now in the care of the fast path."""
        scope = request.scope
        read = self._known.find(scope)
        if read is None or self._context.draining or _has_origin(scope["headers"]):
            return False
        found = read.look()
        if found is None:
            return False
        counted = None if self._limit is None else self._limit.count(scope)
        self._turn.append(_Held(request, read, found, counted, self._context.begin(scope)))
        if len(self._turn) == 1:
            task = asyncio.get_running_loop().create_task(self._answer_turn())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return True

    async def _answer_turn(self) -> None:
        turn, self._turn = self._turn, []
        for held in turn:
            try:
                await self._answer(held)
            except Exception:
                # Whatever happens to one of them, the others wait for this loop.
                log.exception("A request could not be answered on the fast path")
                held.request.hand_on()

    async def _answer(self, held: _Held) -> None:
        """Wait, which the first of a turn does for all, and answer."""
        usage = answer = None
        request_id.set(held.begun.identity)
        if self._limit is not None:
            usage = await self._limit.usage(held.counted)
        if usage is None or self._limit is None or not self._limit.refuses(usage):
            try:
                answer = held.read.recall(await held.found)
            except RedisUnavailable as error:
                log.debug("Cache away: %s", error)
        if answer is None or not self._send(held, answer, usage):
            note_asked(held.request.scope, Asked(held.found, usage))
            held.request.hand_on()

    def _send(self, held: _Held, answer: Answer, usage: Usage | None) -> bool:
        scope = held.request.scope
        status, lines, body = 200, answer.lines_of_200, answer.body
        if client_has(answer.etag, scope["headers"]):
            status, lines, body = 304, answer.lines_of_304, b""
        elif scope["method"] == "HEAD":
            body = b""
        limits = b"" if usage is None or self._limit is None else self._limit.lines(usage)
        if not held.request.write(status, (lines, HIT_LINE, limits, self._context.lines(held.begun)), body):
            return False
        self._context.count_hit()
        self._context.has_answered(scope, held.begun, status)
        return True


def _has_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    # A loop, because a generator costs three times as much.
    for name, _ in headers:  # noqa: SIM110
        if name == b"origin":
            return True
    return False
