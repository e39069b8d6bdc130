"""What the routes say of themselves in OpenAPI: answers, errors with their shapes, examples, headers."""

from collections.abc import Sequence
from types import GenericAlias
from typing import Any

from schemas.problem import MalformedProblem, NotFoundProblem, Problem, RateLimitProblem, RuleProblem, UnexpectedProblem

STORED = {
    "id_key": 1,
    "created_at": "2026-11-16T10:00:00.123456Z",
    "updated_at": "2026-11-16T10:00:00.123456Z",
}

_ERRORS: dict[int, tuple[str, type[Problem]]] = {
    400: ("A rule of the shop refuses the request", RuleProblem),
    404: ("There is no such row, or a reference points nowhere", NotFoundProblem),
    405: ("The path has no such method", Problem),
    409: ("The state of a row, or a unique value, forbids it", Problem),
    412: ("The row is not at the version that If-Match names", Problem),
    413: ("The body is too large", Problem),
    415: ("The body is not JSON", Problem),
    422: ("The request is malformed", MalformedProblem),
    429: ("Too many requests", RateLimitProblem),
    500: ("A fault of the server", UnexpectedProblem),
    503: ("The database is away, or too busy", Problem),
}

_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "Entity tags that the row must still have, else 412",
    "schema": {"type": "string"},
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repeat of the request harmless: it gets the answer of the first",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def list_of(schema: Any) -> Any:
    """The type `list[schema]` for a schema that is known at run time only."""
    return GenericAlias(list, (schema,))


def responses(
    method: str, status: int, answer: Any, example: Any, *, row_in_path: bool, more_errors: Sequence[int] = ()
) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI answers of an operation: its success, and every error it can give."""
    success: dict[str, Any] = {"description": {201: "The stored row", 204: "Deleted"}.get(status, "Success")}
    if answer is not None:
        success |= {"model": answer, "content": {"application/json": {"example": example}}}
    documented: dict[int | str, dict[str, Any]] = {status: success}
    for error in sorted(_possible_errors(method, row_in_path) | set(more_errors)):
        description, model = _ERRORS[error]
        documented[error] = {
            "description": description,
            "content": {"application/problem+json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}},
        }
    if method == "GET":
        documented[304] = {"description": "The client has it already"}
    return documented


def _possible_errors(method: str, row_in_path: bool) -> set[int]:
    errors = {422, 429, 500, 503}
    if row_in_path:
        errors.add(404)
    if method in ("POST", "PUT", "PATCH"):
        errors |= {400, 404, 409, 413, 415}
    if method in ("PUT", "PATCH", "DELETE"):
        errors |= {409, 412}
    return errors


def request_extra(method: str, body: Any, example: Any) -> dict[str, Any]:
    """The OpenAPI parts of a request that FastAPI does not know of: headers and the example of the body."""
    extra: dict[str, Any] = {}
    if method == "POST":
        extra["parameters"] = [_IDEMPOTENCY_KEY]
    if method in ("PUT", "PATCH", "DELETE"):
        extra["parameters"] = [_IF_MATCH]
    if body is not None:
        extra["requestBody"] = {"content": {"application/json": {"example": example}}}
    return extra


def problem_schemas() -> dict[str, Any]:
    """The components that the error answers refer to."""
    schemas: dict[str, Any] = {}
    for model in {model for _, model in _ERRORS.values()}:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return schemas
