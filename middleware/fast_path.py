"""The fast path: requests of resolved routes, all of one turn of the event loop in one batch, without the layers.

`middleware.edge` decides each response. The fast path writes it with the headers that the layers would add. What cannot
be written in one piece (an error, a large body, a client that is slow) falls through to the layers with its response, and
so does every request that the layers treat in another way: one with an Origin, one that asks for its times, or while the service is draining.
"""

import asyncio
import logging
from collections.abc import Sequence

from starlette.responses import Response

from infrastructure.cache.batcher import Batcher, settled
from infrastructure.observability.log_lines import request_id, trace_id
from infrastructure.observability.tracing import current_span
from infrastructure.server.deferred_request import DeferredRequest
from infrastructure.server.header_lines import header_lines
from infrastructure.server.request_heads import Headers, memoize_on_headers
from middleware.compression import VARY
from middleware.conditional_response import LARGE_BYTES, ConditionalResponse
from middleware.edge import Edge, EdgeState, keep_state
from middleware.request_context import POLICY_LINES, TIMING, RequestContext, RequestInfo

log = logging.getLogger("shop.fast_path")

# A request, its state at the edge, and what the outermost layer knows of it.
_Pending = tuple[DeferredRequest, EdgeState, RequestInfo]


class FastPath:
    """Writes what `edge` decides, with the headers of the outermost layer `context`.

    `vary` are the request headers that the layers between these two add to Vary for a request without an Origin.
    """

    def __init__(self, edge: Edge, context: RequestContext, vary: Sequence[bytes] = ()) -> None:
        self._edge, self._context = edge, context
        # By whether the response itself varies by its coding.
        self._vary = {False: _vary_line(vary), True: _vary_line((VARY[1], *vary))}
        self._batches: Batcher[list[_Pending], None] = Batcher(list, self._respond_to_batch)
        self._tasks: set[asyncio.Task[None]] = set()

    def handle_early(self, request: DeferredRequest) -> bool:
        """Take the request, if its route is resolved and the layers would do nothing else with it."""
        scope = request.scope
        caller = self._edge.callers.begin(scope)
        if caller is None:
            return False
        route = self._edge.routes.find(scope, caller.principal.audience)
        # A root path is part of the paths of the scope, and would be taken for a target.
        if (
            route is None
            or scope["root_path"]
            or self._context.draining
            or memoize_on_headers(scope, _is_for_the_layers)
        ):
            return False
        info = self._context.begin(scope)
        self._batches.join()[0].append((request, self._edge.begin(scope, caller, route), info))
        return True

    async def _respond_to_batch(self, batch: list[_Pending]) -> None:
        # Requests of one batch share their futures, so these are few.
        await settled({future for _, state, _ in batch for future in state.futures()})
        for pending in batch:
            try:
                self._respond(pending)
            except Exception:
                # The other requests of the batch must be answered all the same.
                log.exception("A request could not be answered on the fast path")
                _fall_through(pending)

    def _respond(self, pending: _Pending) -> None:
        """Respond from this worker's copy; what has to be loaded gets a task."""
        request, state, info = pending
        request_id.set(info.identity)
        if trace_id.get() is not info.trace_id:
            trace_id.set(info.trace_id)
            current_span.set(info.span)
        response = self._edge.refusal(request.scope, state)
        assert state.caller is not None
        if response is None and not state.caller.stands():
            # The layers find out what has changed about the caller.
            _fall_through(pending)
            return
        response = response or self._edge.cached_response(request.scope, state)
        if response is not None:
            self._send(pending, response)
            return
        # The batch does not wait for the database.
        task = asyncio.get_running_loop().create_task(self._load_and_send(pending))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load_and_send(self, pending: _Pending) -> None:
        try:
            request, state, _ = pending
            self._send(pending, await self._edge.load_response(request.scope, state))
        except Exception:
            log.exception("A request could not be answered on the fast path")
            _fall_through(pending)

    def _send(self, pending: _Pending, response: Response) -> None:
        """Write the response in one piece, or let the layers send it."""
        if not (isinstance(response, ConditionalResponse) and self._write(pending, response)):
            _, state, _ = pending
            state.response = response
            _fall_through(pending)

    def _write(self, pending: _Pending, response: ConditionalResponse) -> bool:
        if len(response.body) > LARGE_BYTES:
            return False
        request, state, info = pending
        own, about_caches = response.blocks
        vary = self._vary[response.varies]
        lines = (
            self._context.with_links(own.lines, info),
            about_caches.lines,
            state.limit_lines,
            vary,
            POLICY_LINES,
            self._context.lines(info),
        )
        if not request.write(response.status_code, lines, response.body):
            return False
        actor = None if state.caller is None else state.caller.principal.actor
        self._context.finish(request.scope, info, response.status_code, hit=response.hit, actor=actor)
        return True


def _fall_through(pending: _Pending) -> None:
    request, state, _ = pending
    if not request.is_answered:
        keep_state(request.scope, state)
        request.fall_through()


def _vary_line(names: Sequence[bytes]) -> bytes:
    return header_lines([(VARY[0], b", ".join(names))]) if names else b""


def _is_for_the_layers(headers: Headers) -> bool:
    return any(name in (b"origin", TIMING) for name, _ in headers)
