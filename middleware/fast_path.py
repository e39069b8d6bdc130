"""The fast path: known reads, those with a good answer all together in one step for each turn of the event loop.

It does what the layers of middleware would do for such a request, and nothing else: counts it, looks whether the
answer that this worker remembers is good, has it read where it is not, and writes it with the headers that every
answer has. Wherever more is to be said (a refusal, an error, another origin), the request is handed on to them.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from infrastructure.cache.batcher import Batcher, SharedFuture, settled
from infrastructure.cache.gateway import RedisUnavailable
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import TagValues
from infrastructure.observability.log_lines import request_id, trace_id
from infrastructure.server.deferred_request import DeferredRequest
from infrastructure.server.header_lines import header_lines
from infrastructure.server.request_heads import Headers, memoize_on_headers
from middleware.cache_control import lines_about_caches
from middleware.compression import VARY, coding_for
from middleware.conditional_response import LARGE_BYTES, client_has
from middleware.edge import Asked, Edge, note_asked
from middleware.rate_limit import Counted, LimitUsage
from middleware.request_context import Begun, RequestContext
from middleware.route_cache import ResolvedRoute

log = logging.getLogger("shop.fast_path")


@dataclass(slots=True)
class _Held:
    """A request, what was asked for it in its turn, and how far its client is into the limit as soon as that is known."""

    request: DeferredRequest
    route: ResolvedRoute
    found: SharedFuture[TagValues] | None
    counted: Counted | None
    begun: Begun
    usage: LimitUsage | None = None

    def recalled(self) -> RenderedResponse | None:
        """The answer that this worker remembers, if Redis has said that it is good."""
        if self.found is None:
            return None
        try:
            return self.route.get_if_fresh(self.found.result())
        except RedisUnavailable as error:
            log.debug("Cache away: %s", error)
            return None


class FastPath:
    """Answers what `edge` knows, in the name of the outermost layer `context`.

    `vary` are the headers of a request, without an Origin, that the layers between these two say its answer varies by.
    """

    def __init__(self, edge: Edge, context: RequestContext, vary: Sequence[bytes] = ()) -> None:
        self._known, self._limit = edge.known, edge.limit
        self._context = context
        # By whether the answer itself varies.
        self._vary = {False: _vary_line(vary), True: _vary_line((VARY[1], *vary))}
        self._turns: Batcher[list[_Held], None] = Batcher(list, self._answer_turn)
        self._under_way: set[asyncio.Task[None]] = set()

    def handle_early(self, request: DeferredRequest) -> bool:
        """Whether the request is now in the care of the fast path."""
        scope = request.scope
        route = self._known.find(scope)
        if route is None or self._context.draining or memoize_on_headers(scope, _has_origin):
            return False
        counted = None if self._limit is None else self._limit.count(scope)
        held = _Held(request, route, route.check(), counted, self._context.begin(scope))
        turn, _ = self._turns.join()
        turn.append(held)
        return True

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _answer_turn(self, turn: list[_Held]) -> None:
        # They asked together, so these are few.
        asked = {held.found for held in turn} | {held.counted.answer for held in turn if held.counted is not None}
        await settled(answer for answer in asked if answer is not None)
        for held in turn:
            try:
                self._answer(held)
            except Exception:
                # Whatever happens to one of them, the others wait for this loop.
                log.exception("A request could not be answered on the fast path")
                self._hand_on(held)

    def _answer(self, held: _Held) -> None:
        """Answer what is remembered, and have the rest read."""
        request_id.set(held.begun.identity)
        if trace_id.get() is not held.begun.trace_id:
            trace_id.set(held.begun.trace_id)
        if self._limit is not None:
            held.usage = self._limit.usage_now(held.counted)
            if self._limit.refuses(held.usage):
                self._hand_on(held)
                return
        answer = held.recalled()
        if answer is None:
            # Nobody waits for this one: it takes as long as the database.
            self._start(self._read(held))
        elif not self._send(held, answer, True):
            self._hand_on(held, (answer, True))

    async def _read(self, held: _Held) -> None:
        try:
            answer, hit = await held.route.answer(held.found)
        except Exception as error:
            # The layers meet it again, and find the words for it.
            log.debug("A known read failed: %s", type(error).__name__)
            self._hand_on(held)
        else:
            await self._make_and_send(held, answer, hit)

    async def _make_and_send(self, held: _Held, answer: RenderedResponse, hit: bool | None) -> None:
        """Send the answer in a coding that it may have to be brought into first."""
        try:
            if answer.varies and not client_has(answer.etag, held.request.scope):
                await answer.make_form(coding_for(held.request.scope))
            if not self._send(held, answer, hit):
                self._hand_on(held, (answer, hit))
        except Exception:
            log.exception("A request could not be answered on the fast path")
            self._hand_on(held)

    @staticmethod
    def _hand_on(held: _Held, answered: tuple[RenderedResponse, bool | None] | None = None) -> None:
        if not held.request.is_answered:
            note_asked(held.request.scope, Asked(held.found, held.usage, answered))
            held.request.fall_through()

    def _send(self, held: _Held, answer: RenderedResponse, hit: bool | None) -> bool:
        """Whether the answer was sent, or will be as soon as it is in the coding that the client takes."""
        scope = held.request.scope
        coding = coding_for(scope) if answer.varies else None
        if client_has(answer.etag, scope):
            status, lines, body = 304, answer.form_without_body(coding).lines_of_304, b""
        else:
            form = answer if coding is None else answer.form(coding)
            if form is None:
                self._start(self._make_and_send(held, answer, hit))
                return True
            status, lines, body = 200, form.lines_of_200, form.body
            if scope["method"] == "HEAD":
                body = b""
            elif len(body) > LARGE_BYTES:
                return False
        limits = b"" if held.usage is None or self._limit is None else self._limit.lines(held.usage)
        about = lines_about_caches(held.route.cache_control, hit)
        if not held.request.write(
            status, (lines, about, limits, self._vary[answer.varies], self._context.lines(held.begun)), body
        ):
            return False
        if hit is not None:
            self._context.count_read(hit=hit)
        self._context.has_answered(scope, held.begun, status)
        return True


def _vary_line(names: Sequence[bytes]) -> bytes:
    return header_lines([(VARY[0], b", ".join(names))]) if names else b""


def _has_origin(headers: Headers) -> bool:
    return any(name == b"origin" for name, _ in headers)
