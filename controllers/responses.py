"""Responses for one row: JSON bytes, entity tags, and the replies to writes."""

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
from schemas.product import OF_REVIEWS
from services.idempotency import Reply
from services.identity.errors import SecretShownOnce


def as_dict(row: Any, fields: Sequence[str]) -> dict[str, Any]:
    """The named fields of a row."""
    return {name: getattr(row, name) for name in fields}


def rendered_row(row: Any, fields: Sequence[str]) -> RenderedResponse:
    """One row as JSON, tagged with its version."""
    return rendered_fields(as_dict(row, fields))


def rendered_fields(content: dict[str, Any], query: ListQuery | None = None) -> RenderedResponse:
    """One row as JSON, tagged with its version, with the fields that `query` asks for.

    A part of a row, an expanded row, or one with figures of other rows has a tag of its own: the row's version, a dot, and a digest. `If-Match` compares
    the part before the dot, so that this tag protects a change of the row too.
    """
    shown = content if query is None else query.shown(content)
    body = json_body(shown)
    # Figures that follow from other rows are beside the version.
    is_versioned = OF_REVIEWS.keys().isdisjoint(shown)
    if is_versioned and (query is None or query.shows_whole_rows):
        return RenderedResponse(body, f'"{version(content["id_key"], content["updated_at"])}"')
    return tagged_row(body, content["id_key"], content["updated_at"])


def tagged_row(body: bytes, id_key: int, updated_at: datetime) -> RenderedResponse:
    """A row that is rendered already, tagged with its version and a digest, as by `rendered_fields`."""
    return RenderedResponse(body, f'"{version(id_key, updated_at)}.{digest(body)}"')


def digest(body: bytes) -> str:
    """The digest of `body` that entity tags are made of."""
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def row_reply(status: int, row: Any, fields: Sequence[str], location: str | None = None) -> Reply:
    """The reply to a write that ends with one row."""
    return reply(status, rendered_row(row, fields), location)


def reply(status: int, rendered: RenderedResponse, location: str | None = None) -> Reply:
    """The reply with this rendered row; `location` is the path of a new row."""
    headers = {"Content-Type": JSON, "ETag": rendered.etag}
    if location is not None:
        headers["Location"] = location
    return Reply(status, rendered.body, headers)


def secret_reply(status: int, row: Any, fields: Sequence[str], secret: str, location: str | None = None) -> Reply:
    """The reply with a row and its secret, which nothing keeps: a repeat by an `Idempotency-Key` is 409."""
    content = {**as_dict(row, fields), "secret": secret}
    shown = reply(status, RenderedResponse(json_body(content), f'"{version(row.id_key, row.updated_at)}"'), location)
    return Reply(status, shown.body, {**shown.headers, "Cache-Control": "no-store"}, kept=SecretShownOnce())


def as_response(reply: Reply) -> Response:
    """The HTTP response of a reply."""
    return Response(reply.body, reply.status, reply.headers)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The HTTP response with this content."""
    return Response(json_body(content), status, headers, media_type=JSON)
