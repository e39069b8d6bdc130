"""The one place that turns errors into responses: `application/problem+json` (RFC 9457).

Domain errors, malformed requests, unknown paths and unexpected errors all end here, so that no controller catches
anything and every error response has the same shape.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

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
    """The error response of `status` for the request of `scope`.

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
    """The response for an error of the domain; the refusals of rules are logged, too."""
    log_refusal(error)
    return problem(scope, error.status, error.detail, code=error.code, headers=error.headers, extra=error.members)


def malformed(scope: Scope, errors: Sequence[Mapping[str, Any]]) -> Response:
    """422 with FastAPI's errors, of many the first ones, and without the input, which may contain a secret."""
    detail, has_more = listed_errors(errors)
    return problem(scope, 422, detail, extra={"more_errors": True} if has_more else None)


def unexpected(error: Exception, scope: Scope) -> Response:
    """500 for an unexpected `error`, which is logged once, under the `error_id` of the response."""
    error_id = secrets.token_hex(4)
    log.error("Unexpected error %s on %s %r", error_id, scope["method"], scope["path"], exc_info=error)
    return problem(scope, 500, "Internal server error", extra={"error_id": error_id})


class ErrorResponses:
    """Answers every error that `app` raises."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if started:
                unexpected(error, scope)
                raise
            await response_to(error, scope)(scope, receive, send)


def response_to(error: Exception, scope: Scope) -> Response:
    """The response for any error."""
    match error:
        case ShopError():
            return refusal_of(error, scope)
        case RequestValidationError():
            return malformed(scope, error.errors())
        case HTTPException(status_code=405):
            return _not_allowed(error, scope)
        case HTTPException():
            return problem(scope, error.status_code, error.detail, headers=error.headers)
        case ClientDisconnect():
            # No client reads this response; its status in logs and metrics shows that the shop did not fail.
            return problem(scope, 400, "The request ended before its body did")
    return unexpected(error, scope)


def _not_allowed(error: HTTPException, scope: Scope) -> Response:
    methods = _allowed_methods(scope)
    allowed = {"Allow": ", ".join(methods)}
    if scope["method"] == "OPTIONS":
        patch = {"Accept-Patch": ACCEPT_PATCH} if "PATCH" in methods else {}
        return Response(status_code=204, headers=allowed | patch)
    return problem(scope, 405, error.detail, headers=allowed)


def _allowed_methods(scope: Scope) -> list[str]:
    """The methods of all routes with the request's path; the router only finds the first such route."""
    allowed = {"OPTIONS"}
    for route in scope["app"].routes:
        if isinstance(route, Route) and route.path_regex.match(scope["path"]):
            allowed |= route.methods or set()
    if "GET" in allowed:
        allowed.add("HEAD")
    return sorted(allowed)
