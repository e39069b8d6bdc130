"""Headers in OpenAPI: of requests and of responses."""

from collections.abc import Iterable
from typing import Any

from infrastructure.server.media_types import ACCEPT_PATCH, JSON


def _header(description: str, example: Any, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    schema = schema or {"type": "string", "minLength": 1}
    return {"description": description, "required": required, "schema": schema, "example": example}


def _flag(description: str) -> dict[str, Any]:
    return _header(description, "true", required=False, type="string", const="true")


def _one_text(description: str, text: str) -> dict[str, Any]:
    return _header(description, text, required=False, type="string", const=text)


# With the rate limit, on every response below the prefix of the API.
RATE_LIMIT_HEADERS = {
    "X-RateLimit-Limit": _header("Requests that a window allows", 100, required=False, type="integer", minimum=1),
    "X-RateLimit-Remaining": _header("Requests that are left", 99, required=False, type="integer", minimum=0),
    "X-RateLimit-Reset": _header("Seconds until the window ends", 42, required=False, type="integer", minimum=0),
    "RateLimit": _header(
        "Requests left (`r`), and seconds until the window ends (`t`)", '"default";r=99;t=42', required=False
    ),
    "RateLimit-Policy": _header(
        "Requests (`q`) that a window of `w` seconds allows", '"default";q=100;w=60', required=False
    ),
}
EVERY_RESPONSE_HEADERS = {
    "X-Request-ID": _header(
        "The id of the request: yours, if you sent one, and what the log has",
        "5f0c3f0e-6b0f-4f0e-9d3a-2f6f1f1b7c11",
        type="string",
        pattern="^[A-Za-z0-9._-]{1,128}$",
    ),
    "X-Response-Time": _header("Milliseconds that the response took", 1.52, type="number", minimum=0),
    "Cache-Control": _header("What caches may do with the response", "private, no-cache"),
}
HEADERS = {
    **EVERY_RESPONSE_HEADERS,
    **RATE_LIMIT_HEADERS,
    "ETag": _header("The version of the response", '"1-643a1b2c3d4e5"', type="string", pattern='^"[^"]+"$'),
    "Location": _header("The path of the row that was made", "/products/1", type="string", pattern="^/"),
    "Link": _header(
        "The pages `first`, `prev`, `next` and `last` (RFC 8288), except for those that a very long query makes too long",
        '</products?skip=0>; rel="first"',
        required=False,
    ),
    "X-Total-Count": _header("How many rows match the filters", 42, type="integer", minimum=0),
    "X-Next-After": _header("Where the next call goes on: its `after`", 42, type="integer", minimum=0),
    "X-Total-Count-Estimated": _flag("`true` when that is an estimate: with more than 10,000 rows"),
    "X-Cache-Hit": _header("Whether the cache had the response", "true", type="string", enum=["true", "false"]),
    "Idempotent-Replayed": _flag("`true` on the kept response to the first request with this Idempotency-Key"),
    "Preference-Applied": _header(
        "Which of the two values of `return` was followed, where `Prefer` asked for one",
        "return=minimal",
        required=False,
        type="string",
        enum=["return=minimal", "return=representation"],
    ),
    "Accept": _one_text("The media type that bodies must have", JSON),
    "Accept-Patch": _one_text("The media types that bodies may have", ACCEPT_PATCH),
    "Accept-Encoding": _one_text("Bodies must not be compressed", "identity"),
    "Retry-After": _header("Seconds to wait", 1, required=False, type="integer", minimum=1),
    "WWW-Authenticate": _header(
        "The scheme of the credentials, and what was wrong with those that came (RFC 6750)",
        'Bearer realm="shop", error="invalid_token", error_description="The token or key has expired"',
        required=False,
    ),
    "Set-Cookie": _header("The refresh token, where it is in a cookie", "…; HttpOnly; Secure", required=False),
    "Vary": _header("The headers of the request that the response depends on", "Accept", required=False),
}


def header_references(names: Iterable[str]) -> dict[str, Any]:
    """References to these response headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def left_out(example: Any) -> dict[str, Any]:
    """The example of a parameter that may be left out, as a part of its schema.

    Swagger UI puts the `example` of a parameter into its form, and a request with every filter and condition at once finds
    nothing, or is refused.
    """
    return {"examples": [example]}


def _parameter(name: str, description: str, example: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema, **left_out(example)},
    }


IF_NONE_MATCH = _parameter(
    "If-None-Match",
    "Entity tags of what the client has already: the response to them is 304",
    '"1-643a1b2c3d4e5"',
)
IF_NONE_MATCH_OF_CHANGE = _parameter(
    "If-None-Match", "Entity tags, none of which the row may have, else 412; `*` for any", '"1-643a1b2c3d4e5"'
)
LAST_EVENT_ID = _parameter(
    "Last-Event-ID", "The id of the last event that the client has seen: the stream goes on behind it", "42"
)
IF_MATCH = _parameter(
    "If-Match", "Entity tags, one of which the row must still have, else 412; `*` for any", '"1-643a1b2c3d4e5"'
)
IDEMPOTENCY_KEY = _parameter(
    "Idempotency-Key",
    "Makes a repeat of the request harmless: it gets the response to the first",
    "5f0c3f0e-6b0f-4f0e-9d3a-2f6f1f1b7c11",
    minLength=1,
    maxLength=255,
    pattern="^[!-~]+$",
)
USER_AGENT = _parameter("User-Agent", "What the list of sessions shows as the device", "Firefox/140.0")
PREFER = _parameter(
    "Prefer",
    "`return=minimal` leaves out the body of the response (RFC 7240): it is then 201, or 204 in the place of 200. "
    "Preferences that are not known are ignored",
    "return=minimal",
)
