"""Problem details (RFC 9457): the body of every error, and the members that some errors add."""

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from infrastructure.observability.secret_forms import redact_forms
from schemas.error_limits import MAX_ERRORS
from schemas.json_codec import json_body
from schemas.json_schema import MAX_KEY, integer_schema, without_default

# The codes of errors that have no class of their own, by status.
CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "validation_error",
    429: "rate_limit_exceeded",
    500: "internal_error",
    503: "service_unavailable",
}


# The lengths of a path, of the name of a field, and of a message in a response.
_LONGEST_PATH = 2000
_LONGEST_NAME = 100
_LONGEST_MESSAGE = 500
# Bytes of the list of errors at most; the whole response stays below 64 KiB.
_LARGEST_LIST = 48 * 1024

_CUT_ESCAPE = re.compile(r"%[0-9A-Fa-f]?$")


def problem_json(
    status: int,
    detail: Any,
    *,
    instance: str,
    request_id: str | None,
    code: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> bytes:
    """The JSON of an error. `instance` is the request's path, `extra` more members of the object."""
    more = extra or {}
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "message": detail if isinstance(detail, str) else _summary(detail, has_more="more_errors" in more),
        "instance": _instance(instance),
        "code": code or CODES.get(status, "error"),
        "request_id": request_id,
        **more,
    }
    try:
        return json_body(body)
    except (TypeError, ValueError):
        # A lone surrogate from the request is shown escaped.
        return json_body(_printable(body))


def _instance(path: str) -> str:
    # A token in a path is a mistake, and errors are shown to others, and kept.
    path = redact_forms(path)
    return _CUT_ESCAPE.sub("", path[:_LONGEST_PATH]) if len(path) > _LONGEST_PATH else path


def listed_errors(errors: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """The errors of a malformed request that the response lists, as `{loc, msg, type}`, and whether there are more."""
    listed: list[dict[str, Any]] = []
    size = 0
    for error in errors[:MAX_ERRORS]:
        loc = [_shortened(part, _LONGEST_NAME) if isinstance(part, str) else part for part in error["loc"]]
        entry = {"loc": loc, "msg": _shortened(error["msg"], _LONGEST_MESSAGE), "type": error["type"]}
        # An upper bound of the bytes: here all characters beyond ASCII are escaped.
        size += len(json.dumps(entry))
        if size > _LARGEST_LIST:
            break
        listed.append(entry)
    return listed, len(listed) < len(errors)


def _summary(errors: Sequence[Mapping[str, Any]], *, has_more: bool) -> str:
    """One sentence about the errors of a malformed request: their number, and the first one."""
    if has_more:
        text = f"The request is malformed; only the first {len(errors)} errors are listed, there are more"
    elif len(errors) > 1:
        text = f"The request is malformed in {len(errors)} places"
    else:
        text = "The request is malformed"
    return _shortened(f"{text}: {_place(errors[0]['loc'])}: {errors[0]['msg']}" if errors else text, _LONGEST_MESSAGE)


def _place(loc: Sequence[str | int]) -> str:
    """`body.lines[3].price`"""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}\N{HORIZONTAL ELLIPSIS}"


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_printable(str(key)): _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else _printable(str(value))


class Problem(BaseModel):
    """An error, after RFC 9457."""

    type: Literal["about:blank"]
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    message: str = Field(description="What is wrong, in one sentence for people")
    instance: str = Field(description="The path of the request")
    code: str = Field(description="The name of the error, for programs")
    request_id: str | None = Field(description="The X-Request-ID of the answer")
    loc: list[str | int] = Field(
        default=[], description="Which row and field of a bulk request it is about", json_schema_extra=without_default
    )


class ErrorLocation(BaseModel):
    """One thing that is wrong with a request, and where."""

    loc: list[str | int]
    msg: str
    type: str


class MalformedProblem(Problem):
    """A malformed request."""

    more_errors: bool = Field(
        default=False,
        description="True when there are more errors than are listed; `message` says so too",
        json_schema_extra=without_default,
    )
    detail: Annotated[list[ErrorLocation], Field(max_length=MAX_ERRORS)]  # type: ignore[assignment]  # the contract keeps FastAPI's list here


class RateLimitProblem(Problem):
    """Too many requests; `retry_after` is in seconds."""

    retry_after: int


class ShortProduct(BaseModel):
    """A product of which less is left than was asked for."""

    product_id: Annotated[int, integer_schema(1, MAX_KEY)]
    requested: int = Field(ge=1)
    available: int = Field(ge=0)


class RuleProblem(Problem):
    """A rule of the shop refused the request."""

    errors: list[ShortProduct] = Field(
        default=[], description="Every short product, when stock is short", json_schema_extra=without_default
    )


class ScopeProblem(Problem):
    """The caller may not do this."""

    scope: str = Field(
        default="", description="The scope that the caller lacks, if it is one", json_schema_extra=without_default
    )


class UnexpectedProblem(Problem):
    """A fault of the server; the log has more under `error_id`."""

    error_id: str
