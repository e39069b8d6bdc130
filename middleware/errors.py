"""The one place that turns an error into an answer: `application/problem+json` (RFC 9457).

Domain errors, malformed requests, unknown paths and the unexpected all end here, so that no
controller catches anything and every refusal has the same shape.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.server.media_types import ACCEPT_PATCH
from schemas.problem import listed_errors, problem_json
from services.errors import ShopError
from services.refusal_log import log_refusal

log = logging.getLogger("shop.errors")


def problem(
    scope: Scope,
    status: int,
    detail: Any,
    *,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    """The error answer of `status` for the request of `scope`.

    `detail` is a text, or the list of `{loc, msg, type}` of a malformed request; `extra` are more
    members of the body.
    """
    body = problem_json(
        status,
        detail,
        instance=scope.get("shop.path") or scope["path"],
        request_id=scope.get("shop.request_id"),
        code=code,
        extra=extra,
    )
    return Response(body, status, headers=dict(headers or {}), media_type="application/problem+json")


def refusal_of(error: ShopError, scope: Scope) -> Response:
    """The answer that says what the domain has against the request of `scope`; what a rule refuses is logged, too."""
    log_refusal(error)
    return problem(scope, error.status, error.detail, code=error.code, headers=error.headers, extra=error.members)


def malformed(scope: Scope, errors: Sequence[Mapping[str, Any]]) -> Response:
    """422 with FastAPI's list of errors, without the input, which may hold a secret; of many, the first."""
    detail, has_more = listed_errors(errors)
    return problem(scope, 422, detail, extra={"more_errors": True} if has_more else None)


def unexpected(error: Exception, scope: Scope) -> Response:
    """500 for an `error` that nobody foresaw, which is logged once under the `error_id` of the answer."""
    error_id = secrets.token_hex(4)
    log.error("Unexpected error %s on %s %r", error_id, scope["method"], scope["path"], exc_info=error)
    return problem(scope, 500, "Internal server error", extra={"error_id": error_id})


class UnexpectedErrors:
    """Answers 500 for whatever no layer below foresaw."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            response = unexpected(error, scope)
            if started:
                raise
            await response(scope, receive, send)


def install_error_handlers(app: FastAPI) -> None:
    """Route every kind of refusal of `app` to its answer."""

    async def on_shop_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ShopError)
        return refusal_of(error, request.scope)

    async def on_malformed(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return malformed(request.scope, error.errors())

    async def on_broken_off(request: Request, error: Exception) -> Response:
        # Nobody reads this answer; the log and the counters tell by it that it was not the shop that failed.
        return problem(request.scope, 400, "The request ended before its body did")

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            methods = _allowed_methods(request)
            allowed = {"Allow": ", ".join(methods)}
            if request.method == "OPTIONS":
                patch = {"Accept-Patch": ACCEPT_PATCH} if "PATCH" in methods else {}
                return Response(status_code=204, headers=allowed | patch)
            return problem(request.scope, 405, error.detail, headers=allowed)
        return problem(request.scope, error.status_code, error.detail, headers=error.headers)

    app.add_exception_handler(ShopError, on_shop_error)
    app.add_exception_handler(RequestValidationError, on_malformed)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(ClientDisconnect, on_broken_off)


def _allowed_methods(request: Request) -> list[str]:
    """Every method that some route has for the request's path; the router only knows the first such route."""
    path = request.scope["path"]
    allowed = {"OPTIONS"}
    for route in request.app.routes:
        if isinstance(route, Route) and route.path_regex.match(path):
            allowed |= route.methods or set()
    if "GET" in allowed:
        allowed.add("HEAD")
    return sorted(allowed)
