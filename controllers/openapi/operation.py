"""The OpenAPI description of one operation: its responses, and the parts of its request that FastAPI does not know."""

from collections.abc import Iterable
from types import GenericAlias
from typing import Any

from controllers.openapi.errors import error_response, other_errors, possible_codes
from controllers.openapi.headers import (
    EVERY_RESPONSE_HEADERS,
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    IF_NONE_MATCH_OF_CHANGE,
    PREFER,
    RATE_LIMIT_HEADERS,
    header_references,
)
from infrastructure.server.media_types import JSON
from schemas.problem import CODES
from services.errors import ShopError

STORED_FIELDS = {
    "id_key": 1,
    "created_at": "2026-11-16T10:00:00.123456Z",
    "updated_at": "2026-11-16T10:00:00.123456Z",
}
LIMITED_HEADERS = (*EVERY_RESPONSE_HEADERS, *RATE_LIMIT_HEADERS)

Responses = dict[int | str, dict[str, Any]]


def list_of(schema: Any) -> Any:
    """The type `list[schema]` for a schema that is known at run time only."""
    return GenericAlias(list, (schema,))


def responses(
    method: str,
    status: int,
    schema: Any,
    example: Any,
    *,
    row_in_path: bool,
    refusals: Iterable[type[ShopError]] = (),
    cached: bool = False,
) -> Responses:
    """The OpenAPI responses of an operation: its success, and every possible error."""
    headers = _success_headers(method, status, isinstance(schema, GenericAlias), cached)
    success: dict[str, Any] = {
        "description": {201: "Stored", 204: "Deleted"}.get(status, "Success"),
        "headers": header_references([*headers, *LIMITED_HEADERS]),
    }
    if schema is not None:
        success |= {"model": schema, "content": {JSON: {"example": example}}}
    documented: Responses = {status: success}
    if method == "GET":
        unchanged = [name for name in headers if name in ("ETag", "X-Cache-Hit")]
        documented[304] = {
            "description": "The client has it already",
            "headers": header_references([*unchanged, *LIMITED_HEADERS]),
        }
    return documented | _errors(method, possible_codes(method, refusals, row_in_path=row_in_path))


def account_responses(
    method: str,
    status: int,
    schema: Any,
    example: Any,
    *,
    row_in_path: bool = False,
    refusals: Iterable[type[ShopError]] = (),
    headers: Iterable[str] = (),
) -> Responses:
    """The OpenAPI responses of an operation about accounts, which nobody keeps: no cache, and no Idempotency-Key.

    `headers` are those that only its success has.
    """
    success: dict[str, Any] = {
        "description": {201: "Stored", 202: "Accepted", 204: "Done"}.get(status, "Success"),
        "headers": header_references([*headers, *LIMITED_HEADERS]),
    }
    if schema is not None:
        success |= {"model": schema, "content": {JSON: {"example": example}}}
    codes = possible_codes(method, refusals, row_in_path=row_in_path, is_kept=False)
    return {status: success} | _errors(method, codes, is_kept=False)


def accepted(schema: Any, example: Any) -> dict[str, Any]:
    """The OpenAPI response 202, where that is not the only success."""
    return {
        "description": "Accepted",
        "model": schema,
        "headers": header_references(LIMITED_HEADERS),
        "content": {JSON: {"example": example}},
    }


def service_responses(
    response: dict[str, Any], statuses: Iterable[int], headers: Iterable[str], others: Responses | None = None
) -> Responses:
    """The OpenAPI responses of an operation about the service itself: `response` is its success.

    `statuses` are those of the errors of the middleware, `headers` those of every response.
    """
    errors: Responses = {status: error_response(status, [CODES[status]], headers=headers) for status in statuses}
    success = {**response, "headers": header_references(headers)}
    return {200: success, **errors, **(others or {}), "default": other_errors(headers)}


def _errors(method: str, codes: dict[int, set[str]], *, is_kept: bool = True) -> Responses:
    documented: Responses = {}
    for status in sorted(codes):
        headers = list(LIMITED_HEADERS)
        if method == "POST" and is_kept and status in (400, 404, 409):
            headers.append("Idempotent-Replayed")
        documented[status] = error_response(status, codes[status], headers=headers)
    if method == "PATCH":
        documented[415]["headers"] = header_references(["Accept", "Accept-Patch", "Accept-Encoding", *LIMITED_HEADERS])
    return documented | {"default": other_errors(LIMITED_HEADERS)}


def _success_headers(method: str, status: int, is_list: bool, cached: bool) -> list[str]:
    headers = ["Idempotent-Replayed"] if method == "POST" else []
    if method == "GET" and is_list:
        headers += ["X-Total-Count", "X-Total-Count-Estimated", "Link"]
    if status == 201 and not is_list:
        headers.append("Location")
    if method == "GET" or (status != 204 and not is_list):
        headers.append("ETag")
    if method != "GET" and status != 204:
        headers.append("Preference-Applied")
    return [*headers, "X-Cache-Hit"] if cached else headers


def request_extra(method: str, body: Any, example: Any, *, row_in_path: bool, returns_body: bool) -> dict[str, Any]:
    """The OpenAPI parts of a request that FastAPI does not know: headers and the example of the body.

    If `returns_body`, the client may prefer a response without it.
    """
    if method == "GET":
        headers = [IF_NONE_MATCH]
    elif method == "POST":
        headers = [IDEMPOTENCY_KEY]
    else:
        # A bulk request has no single version; the rows in its body have theirs.
        headers = [IF_MATCH, IF_NONE_MATCH_OF_CHANGE] if row_in_path else []
    if method != "GET" and returns_body:
        headers.append(PREFER)
    extra: dict[str, Any] = {"parameters": headers}
    if body is not None:
        extra["requestBody"] = {"content": {JSON: {"example": example}}}
    return extra
