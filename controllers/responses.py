"""Answers made of rows: JSON bytes, entity tags, pages with their links."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.server.content_coding import plain_tag
from infrastructure.server.media_types import JSON
from models.base import version
from schemas.base import ListQuery, Page
from schemas.json_codec import json_body
from services.idempotency import Reply

_NO_ROWS = json_body([])

# All links of a page have so many characters: proxies take some 8 kB of headers.
_LONGEST_LINKS = 6000

Params = Sequence[tuple[str, str]]


def as_dict(row: Any, fields: Sequence[str]) -> dict[str, Any]:
    """The named fields of a row."""
    return {name: getattr(row, name) for name in fields}


def row_answer(row: Any, fields: Sequence[str]) -> RenderedResponse:
    """One row as JSON, tagged with its version."""
    return rendered_content(as_dict(row, fields))


def rendered_content(content: dict[str, Any], query: ListQuery | None = None) -> RenderedResponse:
    """One row as JSON, tagged with its version; of `query`, the fields that were asked for are shown.

    What is not the whole row, or is more than that, has a tag of its own: the row's version, a dot, and a digest.
    `If-Match` looks at the part before the dot, so that this tag too protects a change of the row.
    """
    shown = content if query is None else query.shown(content)
    body = json_body(shown)
    if query is None or query.shows_rows:
        return RenderedResponse(body, f'"{version(content["id_key"], content["updated_at"])}"')
    return long_answer(body, content["id_key"], content["updated_at"])


def long_answer(body: bytes, id_key: int, updated_at: datetime) -> RenderedResponse:
    """One row with others inside, which is rendered already: as `rendered_content` tags it."""
    return RenderedResponse(body, f'"{version(id_key, updated_at)}.{_digest(body)}"')


def rendered_page(page: Page, fields: Sequence[str], query: ListQuery, path: str, given: Params) -> RenderedResponse:
    """A page of rows as a JSON array; `path` and `given`, the parameters of the request, make its links."""
    # By position: access by name costs three times as much, and the last column is the count.
    return list_answer([dict(zip(fields, row, strict=False)) for row in page.rows], page, query, path, given)


def list_answer(
    content: list[dict[str, Any]], page: Page, query: ListQuery, path: str, given: Params
) -> RenderedResponse:
    """A JSON array with the count and the links of `page`."""
    rows = rendered_rows(content, query)
    return complete_page(rows, rendered_size(page.total, page.estimated), query, path, given)


def list_headers(page: Page, query: ListQuery, path: str, given: Params) -> Mapping[str, str]:
    """The count and the links of a page whose rows are sent in pieces."""
    last_key = page.rows[-1].id_key if len(page.rows) == query.limit else None
    rows = RenderedResponse(b"", "", complete_to=last_key)
    return complete_page(rows, rendered_size(page.total, page.estimated), query, path, given).headers


def rendered_rows(content: list[dict[str, Any]], query: ListQuery) -> RenderedResponse:
    """The rows of a page by themselves. A full page in the order of the keys is complete up to its last row."""
    is_full = len(content) == query.limit
    body = json_body([query.shown(row) for row in content] if query.fields else content)
    return RenderedResponse(body, _digest(body), complete_to=content[-1]["id_key"] if is_full else None)


def rendered_size(total: int, estimated: bool) -> RenderedResponse:
    """How many rows a list has in all, by itself."""
    headers = {"X-Total-Count": str(total)}
    if estimated:
        headers["X-Total-Count-Estimated"] = "true"
    return RenderedResponse(b"", "", headers)


def complete_page(
    rows: RenderedResponse, size: RenderedResponse, query: ListQuery, path: str, given: Params
) -> RenderedResponse:
    """The page that `rows` and `size` make together; `path` and `given`, the parameters of the request, make its links."""
    total, estimated = int(size.headers["X-Total-Count"]), "X-Total-Count-Estimated" in size.headers
    page = Page((), max(total, _seen_to(rows, query)) if estimated else total, estimated)
    links = _links(page, query, path, given, rows.complete_to)
    etag = _digest(f"{rows.etag} {links}".encode())
    headers = {**size.headers, "Link": links} if links else size.headers
    return RenderedResponse(rows.body, f'"{etag}"', headers, coded=rows.coded)


def _seen_to(rows: RenderedResponse, query: ListQuery) -> int:
    """How many rows there are at least, by this page of them: a full one may have others behind it.

    Without that, an estimate that is too low would end the way through the links before the rows do.
    """
    if rows.complete_to is not None:
        return query.skip + query.limit + 1
    return 0 if rows.body == _NO_ROWS else query.skip + 1


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def row_reply(status: int, row: Any, fields: Sequence[str], location: str | None = None) -> Reply:
    """The reply to a write that ends with one row."""
    return reply(status, row_answer(row, fields), location)


def reply(status: int, answer: RenderedResponse, location: str | None = None) -> Reply:
    """The reply with this answer; `location` is the path of what was made."""
    headers = {"Content-Type": JSON, "ETag": answer.etag}
    if location is not None:
        headers["Location"] = location
    return Reply(status, answer.body, headers)


def as_response(reply: Reply) -> Response:
    """The HTTP response of a reply."""
    return Response(reply.body, reply.status, reply.headers)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The HTTP response with this content."""
    return Response(json_body(content), status, headers, media_type=JSON)


def versions_in(if_match: Sequence[str]) -> frozenset[str] | None:
    """The versions that the lines of If-Match accept, which are one list; None when any will do.

    The tags of all forms of a row, plain or compressed, alone or with others inside, name the version of the row.
    """
    joined = ",".join(if_match)
    if not if_match or joined.strip() == "*":
        return None
    # The strong comparison of RFC 9110: a weak tag matches nothing.
    tags = (plain_tag(tag.strip()) for tag in joined.split(","))
    return frozenset(tag.strip('"').partition(".")[0] for tag in tags if not tag.startswith("W/"))


def _links(page: Page, query: ListQuery, path: str, given: Params, last_key: int | None) -> str:
    targets = _links_by_key(last_key) if query.after is not None else _links_by_offset(query, page)
    start = "skip" if query.after is None else "after"
    kept = [(name, value) for name, value in given if name not in ("skip", "after", "limit")]
    target = f"{path}?{urlencode(kept, safe=',')}&{start}=" if kept else f"{path}?{start}="
    links = {
        relation: f'<{target}{place}&limit={query.limit}>; rel="{relation}"' for relation, place in targets.items()
    }
    # Clients and proxies refuse answers with long headers; what is needed least goes first.
    for relation in ("last", "first", "prev", "next"):
        if sum(map(len, links.values())) > _LONGEST_LINKS:
            links.pop(relation, None)
    return ", ".join(links.values())


def _links_by_offset(query: ListQuery, page: Page) -> dict[str, int]:
    total = page.total
    links = {"first": 0}
    if query.skip > 0:
        links["prev"] = max(0, min(query.skip, total) - query.limit)
    if query.skip + query.limit < total:
        links["next"] = query.skip + query.limit
    if not page.estimated:
        links["last"] = max(0, (total - 1) // query.limit * query.limit)
    return links


def _links_by_key(last_key: int | None) -> dict[str, int]:
    links = {"first": 0}
    if last_key is not None:
        links["next"] = last_key
    return links
