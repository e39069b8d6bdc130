"""The fast path: known reads, those with a good answer all together in one step for each turn of the event loop.

It does what the layers of middleware would do for such a request, and nothing else: counts it, looks whether the
answer that this worker remembers is good, has it read where it is not, and writes it with the headers that every
answer has. Wherever more is to be said (a refusal, an error, another origin), the request is handed on to them.
"""

import asyncio
import logging
from collections.abc import Sequence

from starlette.responses import Response

from infrastructure.cache.batcher import Batcher, settled
from infrastructure.observability.log_lines import request_id, trace_id
from infrastructure.server.deferred_request import DeferredRequest
from infrastructure.server.header_lines import header_lines
from infrastructure.server.request_heads import Headers, memoize_on_headers
from middleware.compression import VARY
from middleware.conditional_response import LARGE_BYTES, ConditionalResponse
from middleware.edge import Asked, Edge, note_asked
from middleware.request_context import POLICY_LINES, Begun, RequestContext

log = logging.getLogger("shop.fast_path")


# A request, and what was asked for it.
_Held = tuple[DeferredRequest, Asked, Begun]


class FastPath:
    """Writes what `edge` decides, in the name of the outermost layer `context`.

    `vary` are the headers of a request, without an Origin, that the layers between these two say its answer varies by.
    """

    def __init__(self, edge: Edge, context: RequestContext, vary: Sequence[bytes] = ()) -> None:
        self._edge, self._context = edge, context
        # By whether the answer itself varies.
        self._vary = {False: _vary_line(vary), True: _vary_line((VARY[1], *vary))}
        self._turns: Batcher[list[_Held], None] = Batcher(list, self._answer_turn)
        self._under_way: set[asyncio.Task[None]] = set()

    def handle_early(self, request: DeferredRequest) -> bool:
        """Whether the request is now in the care of the fast path."""
        scope = request.scope
        route = self._edge.known.find(scope)
        # A root path is part of the paths of the scope, and would be taken for a target.
        if route is None or scope["root_path"] or self._context.draining or memoize_on_headers(scope, _has_origin):
            return False
        begun = self._context.begin(scope)
        self._turns.join()[0].append((request, self._edge.ask(scope, route), begun))
        return True

    async def _answer_turn(self, turn: list[_Held]) -> None:
        # They asked together, so these are few.
        futures = {asked.found for _, asked, _ in turn} | {
            asked.counted.answer for _, asked, _ in turn if asked.counted
        }
        await settled(future for future in futures if future is not None)
        for held in turn:
            try:
                self._answer(held)
            except Exception:
                # Whatever happens to one of them, the others wait for this loop.
                log.exception("A request could not be answered on the fast path")
                _hand_on(held)

    def _answer(self, held: _Held) -> None:
        """Answer at once what needs no waiting, and have a task answer the rest."""
        request, asked, begun = held
        request_id.set(begun.identity)
        if trace_id.get() is not begun.trace_id:
            trace_id.set(begun.trace_id)
        response = self._edge.refusal(request.scope, asked) or self._edge.kept_answer(request.scope, asked)
        if response is not None:
            self._send(held, response)
            return
        # Nobody waits for this one: it takes as long as the database.
        task = asyncio.get_running_loop().create_task(self._answer_later(held))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _answer_later(self, held: _Held) -> None:
        try:
            request, asked, _ = held
            self._send(held, await self._edge.answer(request.scope, asked))
        except Exception:
            log.exception("A request could not be answered on the fast path")
            _hand_on(held)

    def _send(self, held: _Held, response: Response) -> None:
        """Write the response in one piece; the layers send what is no read, too large, or to be waited for."""
        if not (isinstance(response, ConditionalResponse) and self._write(held, response)):
            _, asked, _ = held
            asked.response = response
            _hand_on(held)

    def _write(self, held: _Held, response: ConditionalResponse) -> bool:
        if len(response.body) > LARGE_BYTES:
            return False
        request, asked, begun = held
        own, caches = response.blocks
        vary = self._vary[response.varies]
        lines = (
            self._context.led_back(own.lines, begun),
            caches.lines,
            asked.limit_lines,
            vary,
            POLICY_LINES,
            self._context.lines(begun),
        )
        if not request.write(response.status_code, lines, response.body):
            return False
        self._context.has_answered(request.scope, begun, response.status_code, response.hit)
        return True


def _hand_on(held: _Held) -> None:
    request, asked, _ = held
    if not request.is_answered:
        note_asked(request.scope, asked)
        request.fall_through()


def _vary_line(names: Sequence[bytes]) -> bytes:
    return header_lines([(VARY[0], b", ".join(names))]) if names else b""


def _has_origin(headers: Headers) -> bool:
    return any(name == b"origin" for name, _ in headers)
