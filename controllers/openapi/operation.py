"""What the routes say of themselves in OpenAPI: their answers, and what FastAPI does not know of their requests."""

from collections.abc import Iterable
from types import GenericAlias
from typing import Any

from controllers.openapi.errors import any_other_error, error_answer, possible_codes
from controllers.openapi.headers import (
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IF_NONE_MATCH,
    NONE_OF_THESE,
    OF_EVERY_ANSWER,
    OF_THE_LIMIT,
    PREFER,
    referred_to,
)
from infrastructure.server.media_types import JSON
from schemas.problem import CODES
from services.errors import ShopError

STORED = {
    "id_key": 1,
    "created_at": "2026-11-16T10:00:00.123456Z",
    "updated_at": "2026-11-16T10:00:00.123456Z",
}
LIMITED = (*OF_EVERY_ANSWER, *OF_THE_LIMIT)

Responses = dict[int | str, dict[str, Any]]


def list_of(schema: Any) -> Any:
    """The type `list[schema]` for a schema that is known at run time only."""
    return GenericAlias(list, (schema,))


def responses(
    method: str,
    status: int,
    answer: Any,
    example: Any,
    *,
    row_in_path: bool,
    refusals: Iterable[type[ShopError]] = (),
    cached: bool = False,
) -> Responses:
    """The OpenAPI answers of an operation: its success, and every error it can give."""
    headers = _success_headers(method, status, isinstance(answer, GenericAlias), cached)
    success: dict[str, Any] = {
        "description": {201: "Stored", 204: "Deleted"}.get(status, "Success"),
        "headers": referred_to([*headers, *LIMITED]),
    }
    if answer is not None:
        success |= {"model": answer, "content": {JSON: {"example": example}}}
    documented: Responses = {status: success}
    if method == "GET":
        unchanged = [name for name in headers if name in ("ETag", "X-Cache-Hit")]
        documented[304] = {"description": "The client has it already", "headers": referred_to([*unchanged, *LIMITED])}
    return documented | _errors(method, possible_codes(method, refusals, row_in_path=row_in_path))


def answers_of_service(
    answer: dict[str, Any], statuses: Iterable[int], headers: Iterable[str], others: Responses | None = None
) -> Responses:
    """The OpenAPI answers of an operation about the service itself: `answer` is its success.

    `statuses` are those of the errors of the layers around it, `headers` those of every answer.
    """
    errors: Responses = {status: error_answer(status, [CODES[status]], headers=headers) for status in statuses}
    success = {**answer, "headers": referred_to(headers)}
    return {200: success, **errors, **(others or {}), "default": any_other_error(headers)}


def _errors(method: str, codes: dict[int, set[str]]) -> Responses:
    documented: Responses = {}
    for status in sorted(codes):
        headers = list(LIMITED)
        if method == "POST" and status in (400, 404, 409):
            headers.append("Idempotent-Replayed")
        documented[status] = error_answer(status, codes[status], headers=headers)
    if method == "PATCH":
        documented[415]["headers"] = referred_to(["Accept", "Accept-Patch", "Accept-Encoding", *LIMITED])
    return documented | {"default": any_other_error(LIMITED)}


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


def request_extra(method: str, body: Any, example: Any, *, row_in_path: bool, answers: bool) -> dict[str, Any]:
    """The OpenAPI parts of a request that FastAPI does not know of: headers and the example of the body.

    `answers` tells whether there is a body in the answer, which the client may prefer to be left out.
    """
    if method == "GET":
        headers = [IF_NONE_MATCH]
    elif method == "POST":
        headers = [IDEMPOTENCY_KEY]
    else:
        # What is about many rows is at no version; the rows in its body say theirs.
        headers = [IF_MATCH, NONE_OF_THESE] if row_in_path else []
    if method != "GET" and answers:
        headers.append(PREFER)
    extra: dict[str, Any] = {"parameters": headers}
    if body is not None:
        extra["requestBody"] = {"content": {JSON: {"example": example}}}
    return extra
