"""Pagination: the rows of a page as JSON, `X-Total-Count`, `Link`, and the entity tag of the page."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from controllers.responses import digest
from infrastructure.cache.rendered_response import RenderedResponse
from schemas.base import ListQuery, Page
from schemas.json_codec import json_body

_NO_ROWS = json_body([])

# The greatest length of the links. nginx takes 4 kB of headers by default: up to 1.3 kB are other headers, and a public
# prefix adds up to 64 bytes to each link.
_LONGEST_LINKS = 2500

Params = Sequence[tuple[str, str]]


def rendered_page(page: Page, fields: Sequence[str], query: ListQuery, path: str, params: Params) -> RenderedResponse:
    """A page of rows as a JSON array; `path` and `params`, the parameters of the request, make its links."""
    # By position: access by name costs three times as much. The last column is the count.
    return rendered_list([dict(zip(fields, row, strict=False)) for row in page.rows], page, query, path, params)


def rendered_list(
    content: list[dict[str, Any]], page: Page, query: ListQuery, path: str, params: Params
) -> RenderedResponse:
    """A JSON array with the count and the links of `page`."""
    rows = rendered_rows(content, query)
    return complete_page(rows, rendered_size(page.total, page.estimated), query, path, params)


def list_headers(page: Page, query: ListQuery, path: str, params: Params) -> Mapping[str, str]:
    """The count and the links of a page whose rows are sent in pieces."""
    last_key = page.rows[-1].id_key if len(page.rows) == query.limit else None
    rows = RenderedResponse(b"", "", complete_to=last_key)
    return complete_page(rows, rendered_size(page.total, page.estimated), query, path, params).headers


def rendered_rows(content: list[dict[str, Any]], query: ListQuery) -> RenderedResponse:
    """The rows of a page without count and links. A full page in the order of the keys is complete to its last row."""
    is_full = len(content) == query.limit
    body = json_body([query.shown(row) for row in content] if query.fields else content)
    return RenderedResponse(body, digest(body), complete_to=content[-1]["id_key"] if is_full else None)


def rendered_size(total: int, estimated: bool, snapshot: str | None = None) -> RenderedResponse:
    """The total count of a list, without rows. `snapshot` is that of an exact count of all rows, which may grow."""
    headers = {"X-Total-Count": str(total)}
    if estimated:
        headers["X-Total-Count-Estimated"] = "true"
    return RenderedResponse(b"", "", headers, snapshot=snapshot)


def complete_page(
    rows: RenderedResponse, size: RenderedResponse, query: ListQuery, path: str, params: Params
) -> RenderedResponse:
    """The page with `rows` and the count `size`; its links have `path` and `params`, the parameters of the request."""
    total, estimated = int(size.headers["X-Total-Count"]), "X-Total-Count-Estimated" in size.headers
    page = Page((), max(total, _seen_to(rows, query)) if estimated else total, estimated)
    links = _links(page, query, path, params, rows.complete_to)
    etag = digest(f"{rows.etag} {links}".encode())
    headers = {**size.headers, "Link": links} if links else size.headers
    return RenderedResponse(rows.body, f'"{etag}"', headers, coded=rows.coded)


def _seen_to(rows: RenderedResponse, query: ListQuery) -> int:
    """The least number of rows by this page: after a full page there may be others.

    Otherwise the links would end too early when the estimate is too low.
    """
    if rows.complete_to is not None:
        return query.skip + query.limit + 1
    return 0 if rows.body == _NO_ROWS else query.skip + 1


def _links(page: Page, query: ListQuery, path: str, params: Params, last_key: int | None) -> str:
    targets = _links_by_key(last_key) if query.after is not None else _links_by_offset(query, page)
    start = "skip" if query.after is None else "after"
    kept = [(name, value) for name, value in params if name not in ("skip", "after", "limit")]
    target = f"{path}?{urlencode(kept, safe=',')}&{start}=" if kept else f"{path}?{start}="
    links = {
        relation: f'<{target}{place}&limit={query.limit}>; rel="{relation}"' for relation, place in targets.items()
    }
    # Clients and proxies refuse responses with long headers; the least needed links are dropped first.
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
