"""Responses made of one row: JSON bytes, entity tags, and the replies to writes."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.responses import Response

from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.server.media_types import JSON
from models.base import version
from schemas.base import ListQuery
from schemas.json_codec import json_body
from services.idempotency import Reply


def as_dict(row: Any, fields: Sequence[str]) -> dict[str, Any]:
    """The named fields of a row."""
    return {name: getattr(row, name) for name in fields}


def rendered_row(row: Any, fields: Sequence[str]) -> RenderedResponse:
    """One row as JSON, tagged with its version."""
    return rendered_fields(as_dict(row, fields))


def rendered_fields(content: dict[str, Any], query: ListQuery | None = None) -> RenderedResponse:
    """One row as JSON, tagged with its version; of `query`, the fields that were asked for are shown.

    What is not the whole row, or is more than that, has a tag of its own: the row's version, a dot, and a digest.
    `If-Match` looks at the part before the dot, so that this tag too protects a change of the row.
    """
    shown = content if query is None else query.shown(content)
    body = json_body(shown)
    if query is None or query.shows_rows:
        return RenderedResponse(body, f'"{version(content["id_key"], content["updated_at"])}"')
    return tagged_row(body, content["id_key"], content["updated_at"])


def tagged_row(body: bytes, id_key: int, updated_at: datetime) -> RenderedResponse:
    """One row with others inside, which is rendered already: as `rendered_fields` tags it."""
    return RenderedResponse(body, f'"{version(id_key, updated_at)}.{digest(body)}"')


def digest(body: bytes) -> str:
    """The digest of `body` that entity tags are made of."""
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def row_reply(status: int, row: Any, fields: Sequence[str], location: str | None = None) -> Reply:
    """The reply to a write that ends with one row."""
    return reply(status, rendered_row(row, fields), location)


def reply(status: int, rendered: RenderedResponse, location: str | None = None) -> Reply:
    """The reply with this answer; `location` is the path of what was made."""
    headers = {"Content-Type": JSON, "ETag": rendered.etag}
    if location is not None:
        headers["Location"] = location
    return Reply(status, rendered.body, headers)


def as_response(reply: Reply) -> Response:
    """The HTTP response of a reply."""
    return Response(reply.body, reply.status, reply.headers)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The HTTP response with this content."""
    return Response(json_body(content), status, headers, media_type=JSON)
