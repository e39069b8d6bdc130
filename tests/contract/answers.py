"""What every answer must be like, and every error among them."""

import json
import re
from decimal import Decimal
from typing import Any

import httpx

from tests.infrastructure.processes import wait_for

# What no answer ever shows: SQL, a stack, a module, a path of the machine.
_LEAK = re.compile(
    r"\b(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b|psycopg|sqlalchemy|pydantic|Traceback|\.py\b|/home/|/usr/|/tmp/",
    re.IGNORECASE,
)


def assert_headers(response: httpx.Response) -> None:
    """The headers that every answer has."""
    headers = response.headers
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", headers["X-Request-ID"])
    assert float(headers["X-Response-Time"]) >= 0
    for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
        assert headers[name].isdigit()
    limit, remaining, reset = (headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset"))
    assert re.fullmatch(rf'"default";q={limit};w=\d+', headers["RateLimit-Policy"])
    assert headers["RateLimit"] == f'"default";r={remaining};t={reset}'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert len(headers.get_list("Cache-Control")) == 1
    assert len(headers.get_list("Vary")) <= 1
    if "json" in headers.get("Content-Type", "json"):
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def assert_problem(response: httpx.Response, status: int, detail: str | None = None) -> dict[str, Any]:
    """The body of an error of this status, after a look at all that errors have in common.

    `detail`, if given, is what the error must say to the letter.
    """
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert_headers(response)
    body: dict[str, Any] = response.json()
    assert body["type"] == "about:blank"
    assert isinstance(body["title"], str)
    assert body["title"]
    assert body["status"] == status
    assert body["instance"] == response.request.url.raw_path.partition(b"?")[0].decode()
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert re.fullmatch(r"[a-z_]+", body["code"])
    assert not _LEAK.search(response.text), response.text
    if status == 422:
        assert body["detail"]
        assert all(set(error) == {"loc", "msg", "type"} for error in body["detail"])
        assert body["message"].startswith("The request is malformed")
    else:
        assert isinstance(body["detail"], str)
        assert body["detail"]
        assert body["message"] == body["detail"]
    if detail is not None:
        assert body["detail"] == detail
    return body


def assert_malformed(response: httpx.Response, *loc: str | int) -> dict[str, Any]:
    """The body of a 422, one of whose errors is at `loc`."""
    body = assert_problem(response, 422)
    assert body["code"] == "validation_error"
    assert list(loc) in [error["loc"][: len(loc)] for error in body["detail"]], body["detail"]
    return body


def exact(response: httpx.Response) -> Any:
    """The JSON of the answer with every number as it was written."""
    return json.loads(response.text, parse_float=Decimal)


def cached(client: httpx.Client, path: str) -> httpx.Response:
    """The answer to a GET, from the cache of whichever worker gives it.

    Not every worker has it at once, and on a busy machine Redis may not take or give one in time.
    """
    answers: list[httpx.Response] = []

    def is_hit() -> bool:
        answers.append(client.get(path))
        return bool(answers[-1].headers.get("X-Cache-Hit") == "true")

    wait_for(is_hit, "a hit")
    return answers[-1]
