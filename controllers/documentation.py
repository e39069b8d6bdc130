"""What the routes say of themselves in OpenAPI: answers, errors with their shapes, examples, headers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from types import GenericAlias
from typing import Any

from config.media_types import ACCEPT_PATCH, JSON
from schemas.problem import (
    CODES,
    MalformedProblem,
    NotFoundProblem,
    Problem,
    RateLimitProblem,
    RuleProblem,
    UnexpectedProblem,
)
from services.errors import ShopError

STORED = {
    "id_key": 1,
    "created_at": "2026-11-16T10:00:00.123456Z",
    "updated_at": "2026-11-16T10:00:00.123456Z",
}


def list_of(schema: Any) -> Any:
    """The type `list[schema]` for a schema that is known at run time only."""
    return GenericAlias(list, (schema,))


# -- Errors ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ErrorAnswer:
    """What there is to say about the errors of one status; `members` are those of the example."""

    description: str
    members: dict[str, Any]
    model: type[Problem] = Problem
    headers: Sequence[str] = field(default=())


_SHORT = "Insufficient stock for product 7. Requested: 5, Available: 2"
_MISSING = "Product with id 7 not found"
_LIMITED = "Rate limit exceeded. Maximum 100 requests per 60 seconds."
_NOT_JSON = "The body must be JSON: send Content-Type: application/json"

ERRORS: dict[int, ErrorAnswer] = {
    400: ErrorAnswer(
        "A rule of the shop refuses the request (or, whatever the method, its Host or Content-Length is malformed)",
        {
            "detail": _SHORT,
            "code": "insufficient_stock",
            "errors": [{"product_id": 7, "requested": 5, "available": 2}],
        },
        RuleProblem,
    ),
    403: ErrorAnswer(
        "A page of another origin sent it, which `CORS_ORIGINS` does not name",
        {"detail": "A page of another origin may not change anything here", "code": "cross_origin"},
    ),
    404: ErrorAnswer(
        "There is no such row, or a reference points nowhere",
        {"detail": _MISSING, "code": "not_found", "message": _MISSING},
        NotFoundProblem,
    ),
    409: ErrorAnswer(
        "The state of a row, or a unique value, forbids it",
        {"detail": "Product with sku 'LAMP-01' already exists", "code": "already_exists"},
    ),
    412: ErrorAnswer(
        "The row is not at the version that If-Match names, or at one that If-None-Match names",
        {"detail": "Product 7 is not at the version that If-Match names", "code": "precondition_failed"},
    ),
    413: ErrorAnswer("The body is too large", {"detail": "The body is larger than 1048576 bytes"}),
    415: ErrorAnswer(
        "The body is not JSON, or it is compressed", {"detail": _NOT_JSON}, headers=("Accept", "Accept-Encoding")
    ),
    422: ErrorAnswer(
        "The request is malformed",
        {"detail": [{"loc": ["body", "price"], "msg": "Field required", "type": "missing"}]},
        MalformedProblem,
    ),
    429: ErrorAnswer(
        "Too many requests",
        {"detail": _LIMITED, "retry_after": 42},
        RateLimitProblem,
        (
            "Retry-After",
            "X-RateLimit-Limit",
            "X-RateLimit-Remaining",
            "X-RateLimit-Reset",
            "RateLimit",
            "RateLimit-Policy",
        ),
    ),
    500: ErrorAnswer(
        "A fault of the server", {"detail": "Internal server error", "error_id": "1f2e3d4c"}, UnexpectedProblem
    ),
    503: ErrorAnswer(
        "The database is away, or too busy",
        {"detail": "The database is not available, try again later"},
        headers=("Retry-After",),
    ),
}


# Codes that only some methods can get.
_ONLY_POST = {"idempotency_key_reused", "request_in_progress"}


def error_answer(status: int, description: str | None = None, method: str = "GET") -> dict[str, Any]:
    """The OpenAPI answer for the errors of this status to requests with this method."""
    error = ERRORS[status]
    content = {
        "schema": {"$ref": f"#/components/schemas/{error.model.__name__}"},
        "examples": {error.members.get("code", CODES.get(status)): {"$ref": f"#/components/examples/{status}"}},
    }
    codes = ", ".join(f"`{code}`" for code in _possible_codes(method, status))
    return {
        "description": f"{description or error.description}. `code`: {codes}",
        "headers": _headers(error.headers),
        "content": {"application/problem+json": content},
    }


@cache
def _possible_codes(method: str, status: int) -> tuple[str, ...]:
    codes = {CODES[status]} if status in CODES else set()
    # Nothing that is only read can break a rule.
    if (method, status) != ("GET", 400):
        codes |= _codes_of(ShopError, status) - (set() if method == "POST" else _ONLY_POST)
    return tuple(sorted(codes))


def _codes_of(error: type[ShopError], status: int) -> set[str]:
    """The codes that this error and those below it in the tree have for the status."""
    codes = {error.code} if error.status == status and error is not ShopError else set()
    return codes.union(*(_codes_of(child, status) for child in error.__subclasses__()))


def problem_schemas() -> dict[str, Any]:
    """The components that the error answers refer to."""
    schemas: dict[str, Any] = {}
    for model in {error.model for error in ERRORS.values()}:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return schemas


def problem_examples() -> dict[str, Any]:
    """An example of the errors of each status, by status."""
    return {
        str(status): {
            "value": {
                "type": "about:blank",
                "title": HTTPStatus(status).phrase,
                "status": status,
                "instance": "/products/7",
                "code": CODES.get(status),
                "request_id": "5f0c3f0e-6b0f-4f0e-9d3a-2f6f1f1b7c11",
                **error.members,
            },
        }
        for status, error in ERRORS.items()
    }


# -- Headers ---------------------------------------------------------------------------------------


def _header(description: str, example: Any, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    schema = schema or {"type": "string", "minLength": 1}
    return {"description": description, "required": required, "schema": schema, "example": example}


# The headers of answers. Those of every answer (X-Request-ID, X-Response-Time, X-RateLimit-…) are told once, on top.
HEADERS = {
    "ETag": _header("The version of what is answered", '"1-643a1b2c3d4e5"', type="string", pattern='^"[^"]+"$'),
    "Location": _header("The path of the row that was made", "/products/1", type="string", pattern="^/"),
    "Link": _header("The pages `first`, `prev`, `next` and `last` (RFC 8288)", '</products?skip=0>; rel="first"'),
    "X-Total-Count": _header("How many rows match the filters", 42, type="integer", minimum=0),
    "X-Total-Count-Estimated": _header(
        "`true` when that is an estimate: with more than 10,000 rows", "true", required=False, const="true"
    ),
    "X-Cache-Hit": _header("Whether the cache had the answer", "true", type="string", enum=["true", "false"]),
    "Idempotent-Replayed": _header(
        "`true` on the kept answer to the first request with this Idempotency-Key",
        "true",
        required=False,
        const="true",
    ),
    "Accept": _header("The media type that bodies must have", JSON, required=False, const=JSON),
    "Accept-Patch": _header("The media types that bodies may have", ACCEPT_PATCH, required=False, const=ACCEPT_PATCH),
    "Accept-Encoding": _header("Bodies must not be compressed", "identity", required=False, const="identity"),
    "Retry-After": _header("Seconds to wait", 1, type="integer", minimum=1),
    "X-RateLimit-Limit": _header("Requests that a window allows", 100, type="integer", minimum=1),
    "X-RateLimit-Remaining": _header("Requests that are left of them", 0, type="integer", minimum=0),
    "X-RateLimit-Reset": _header("Seconds until the window ends", 42, type="integer", minimum=0),
    "RateLimit": _header("Requests left (`r`), and seconds until the window ends (`t`)", '"default";r=0;t=42'),
    "RateLimit-Policy": _header("Requests (`q`) that a window of `w` seconds allows", '"default";q=100;w=60'),
}

IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "Entity tags of what the client has already: the answer to them is 304",
    "schema": {"type": "string"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "Entity tags, one of which the row must still have, else 412",
    "schema": {"type": "string"},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repeat of the request harmless: it gets the answer of the first",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def _headers(names: Sequence[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


# -- Operations ------------------------------------------------------------------------------------


def responses(
    method: str,
    status: int,
    answer: Any,
    example: Any,
    *,
    row_in_path: bool,
    cached: bool = False,
) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI answers of an operation: its success, and every error it can give."""
    headers = _success_headers(method, status, isinstance(answer, GenericAlias), cached)
    success: dict[str, Any] = {
        "description": {201: "Stored", 204: "Deleted"}.get(status, "Success"),
        "headers": _headers(headers),
    }
    if answer is not None:
        success |= {"model": answer, "content": {"application/json": {"example": example}}}
    documented: dict[int | str, dict[str, Any]] = {status: success}
    if method == "GET":
        unchanged = [name for name in headers if name in ("ETag", "X-Cache-Hit")]
        documented[304] = {"description": "The client has it already", "headers": _headers(unchanged)}
    for error in sorted(_possible_errors(method, row_in_path)):
        documented[error] = error_answer(error, method=method)
        if (method, error) == ("PATCH", 415):
            documented[error]["headers"] = _headers(["Accept-Patch", "Accept-Encoding"])
        if method == "POST" and error in (400, 404, 409):
            documented[error]["headers"] |= _headers(["Idempotent-Replayed"])
    return documented


def _success_headers(method: str, status: int, is_list: bool, cached: bool) -> list[str]:
    headers = ["Idempotent-Replayed"] if method == "POST" else []
    if method == "GET" and is_list:
        headers += ["X-Total-Count", "X-Total-Count-Estimated", "Link"]
    if status == 201 and not is_list:
        headers.append("Location")
    if method == "GET" or (status != 204 and not is_list):
        headers.append("ETag")
    return [*headers, "X-Cache-Hit"] if cached else headers


def _possible_errors(method: str, row_in_path: bool) -> set[int]:
    # What the layers around the routes may say to any request, and 422 to an unknown query parameter.
    errors = {400, 413, 422, 429, 500, 503}
    if row_in_path:
        errors.add(404)
    if method in ("POST", "PUT", "PATCH"):
        errors |= {404, 415}
    if method != "GET":
        errors |= {403, 409}
    if row_in_path and method in ("PUT", "PATCH", "DELETE"):
        errors.add(412)
    return errors


def request_extra(method: str, body: Any, example: Any, *, row_in_path: bool) -> dict[str, Any]:
    """The OpenAPI parts of a request that FastAPI does not know of: headers and the example of the body."""
    # What is about many rows is at no version; the rows in its body say theirs.
    at_version = [_IF_MATCH] if row_in_path else []
    extra: dict[str, Any] = {"parameters": {"GET": [IF_NONE_MATCH], "POST": [_IDEMPOTENCY_KEY]}.get(method, at_version)}
    if body is not None:
        extra["requestBody"] = {"content": {JSON: {"example": example}}}
    return extra
