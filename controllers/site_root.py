"""The root of the site, outside the prefix: `/`, favicon.ico, robots.txt and .well-known/security.txt."""

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from controllers.openapi.headers import header_references
from controllers.openapi.operation import LIMITED_HEADERS, service_responses
from controllers.responses import json_response
from infrastructure.server.health_paths import REPORT
from infrastructure.server.media_types import HTML, JSON
from infrastructure.server.quality_values import prefers
from middleware.public_prefix import prefix_of
from schemas.index import Index

_ICON = Path(__file__).parent / "assets" / "favicon.ico"
_A_DAY = {"Cache-Control": "public, max-age=86400"}
_DOCUMENTATION = {"docs": "/docs", "redoc": "/redoc", "openapi": "/openapi.json"}
# RFC 9116 recommends less than a year. The file is rendered for every request, so that it never expires.
_SECURITY_DAYS = 180


def add_site_root(
    app: FastAPI, resources: Mapping[str, str], security_contacts: Sequence[str], *, has_docs: bool
) -> None:
    """Add these routes to `app`. `resources` has the path of each resource by its name.

    The documentation is named only if the application has it.
    """
    pages = {**(_DOCUMENTATION if has_docs else {}), "health": REPORT}
    index = {
        "name": app.title,
        "version": app.version,
        **pages,
        "resources": dict(resources),
    }
    icon = Response(_ICON.read_bytes(), headers=_A_DAY, media_type="image/x-icon")
    robots = PlainTextResponse(_robots(has_docs), headers=_A_DAY)

    async def root(request: Request) -> Response:
        """For programs. A browser, which prefers HTML, is sent to the documentation."""
        varying = {"Vary": "Accept", "Cache-Control": "no-cache"}
        if has_docs and prefers(",".join(request.headers.getlist("accept")), HTML, JSON):
            return RedirectResponse("/docs", headers=varying)
        return json_response(_below(prefix_of(request.scope), index, pages), headers=varying)

    async def fixed(response: Response, request: Request) -> Response:
        return response

    async def security(request: Request) -> Response:
        if not security_contacts:
            raise HTTPException(404)
        return PlainTextResponse(_security_text(security_contacts, dt.datetime.now(dt.UTC)), headers=_A_DAY)

    success = {
        "description": "The index",
        "model": Index,
        "content": {JSON: {"example": index}},
    }
    to_pages = {
        "description": "A browser is sent to the documentation",
        "headers": header_references(["Location", "Vary", *LIMITED_HEADERS]),
    }
    app.add_api_route(
        "/",
        root,
        operation_id="index",
        tags=["service"],
        summary="Where things are",
        response_class=Response,
        responses=service_responses(success, (400, 413, 429, 500), LIMITED_HEADERS, {307: to_pages}),
    )
    app.add_route("/favicon.ico", partial(fixed, icon), include_in_schema=False)
    app.add_route("/robots.txt", partial(fixed, robots), include_in_schema=False)
    app.add_route("/.well-known/security.txt", security, include_in_schema=False)


def _robots(has_docs: bool) -> str:
    """Search engines may index the documentation, and no rows."""
    allowed = "".join(f"Allow: {path}\n" for path in _DOCUMENTATION.values()) if has_docs else ""
    return f"User-agent: *\n{allowed}Disallow: /\n"


def _below(prefix: str, index: Mapping[str, Any], pages: Mapping[str, str]) -> Mapping[str, Any]:
    """The index with the public prefix before every path."""
    if not prefix:
        return index
    resources = {name: prefix + path for name, path in index["resources"].items()}
    return {**index, **{name: prefix + path for name, path in pages.items()}, "resources": resources}


def _security_text(contacts: Sequence[str], now: dt.datetime) -> str:
    """The text of RFC 9116. It expires at midnight, so that it is the same all day."""
    expires = (now + dt.timedelta(days=_SECURITY_DAYS)).strftime("%Y-%m-%dT00:00:00Z")
    lines = [*(f"Contact: {contact}" for contact in contacts), f"Expires: {expires}", "Preferred-Languages: en"]
    return "".join(f"{line}\n" for line in lines)
