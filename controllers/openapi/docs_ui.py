"""Docs UI: /docs, /redoc and /openapi.json, with all scripts and styles served by the shop: no network is needed.

Each is rendered at its first request, and then kept with its compressed forms: about four megabytes in all.
"""

import asyncio
import hashlib
import mimetypes
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from controllers.openapi.document import below, openapi_document
from infrastructure.cache.lru_cache import LruCache
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.single_flight import SingleFlight
from infrastructure.server.content_coding import is_text
from infrastructure.server.media_types import JSON
from middleware.cache_control import IMMUTABLE, PRIVATE, SHARED
from middleware.conditional_response import conditional_response
from middleware.public_prefix import prefix_of
from schemas.json_codec import json_body

ASSETS = "/docs-assets"
OPENAPI = "/openapi.json"

# The responses are kept for so many public prefixes, which only trusted proxies can name.
_MOST_PREFIXES = 4

# The pages have inline scripts, and images in data: URLs. These headers are part of the response, because 304 must have
# the same: browsers use its headers for the page that they have cached.
_PAGE = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; worker-src blob:; frame-ancestors 'none'",
}
# ReDoc loads its maker's logo from another server, which the policy of the pages forbids: every visit would log an error
# in the console. An empty data: URL shows nothing.
_LOGO_ELSEWHERE, _NO_IMAGE = b"https://cdn.redoc.ly/redoc/logo-mini.svg", b"data:,"


class LazyResponse:
    """A response that is rendered in a thread at its first request, and then kept.

    `render` gets the public prefix, with which the URLs in the response begin.
    """

    def __init__(self, render: Callable[[str], tuple[bytes, dict[str, str]]]) -> None:
        self._render = render
        self._rendering = SingleFlight()
        self._responses: LruCache[str, RenderedResponse] = LruCache(_MOST_PREFIXES)

    async def response(self, prefix: str = "") -> RenderedResponse:
        kept = self._responses.get(prefix)
        return await self._rendering.result(prefix, partial(self._make, prefix)) if kept is None else kept

    async def respond(self, request: Request) -> Response:
        """The endpoint of the response."""
        response = await self.response(prefix_of(request.scope))
        return await conditional_response(request.scope, response, cache_control=PRIVATE)

    async def _make(self, prefix: str) -> RenderedResponse:
        body, headers = await asyncio.to_thread(self._render, prefix)
        response = RenderedResponse(body, f'"{_digest(body)}"', headers)
        self._responses.put(prefix, response)
        return response


class Assets:
    """The files of a folder. Below a digest of its content, a file may be cached for ever."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: path for path in folder.iterdir() if path.is_file()}
        self._rendered = {name: LazyResponse(_reader(path)) for name, path in self._files.items()}

    def url(self, name: str) -> str:
        """The path of the file below the digest of its content, for which it reads the file."""
        return f"{ASSETS}/{_digest(_content(self._files[name]))}/{name}"

    async def respond(self, request: Request) -> Response:
        """The endpoint of all files, by the path parameters `name` and, optionally, `digest`."""
        name, digest = request.path_params["name"], request.path_params.get("digest")
        if name not in self._rendered:
            raise HTTPException(404)
        response = await self._rendered[name].response()
        if digest is None:
            return await conditional_response(request.scope, response, cache_control=SHARED)
        if response.etag != f'"{digest}"':
            raise HTTPException(404)
        return await conditional_response(request.scope, response, cache_control=IMMUTABLE)


def add_docs_ui(app: FastAPI, api_prefix: str) -> None:
    """Add the documentation pages to `app`, after all its routes. Those of the API begin with `api_prefix`."""
    assets = Assets(Path(fastapi_offline.__file__).parent / "static")

    def swagger_ui(prefix: str) -> tuple[bytes, dict[str, str]]:
        page = get_swagger_ui_html(
            openapi_url=prefix + OPENAPI,
            title=f"{app.title} - Swagger UI",
            swagger_js_url=prefix + assets.url("swagger-ui-bundle.js"),
            swagger_css_url=prefix + assets.url("swagger-ui.css"),
            swagger_favicon_url=f"{prefix}/favicon.ico",
            # Credentials stay in the browser until "Logout", so that a reload does not ask for them again.
            swagger_ui_parameters={"persistAuthorization": True},
        )
        return bytes(page.body), _PAGE

    def redoc(prefix: str) -> tuple[bytes, dict[str, str]]:
        page = get_redoc_html(
            openapi_url=prefix + OPENAPI,
            title=f"{app.title} - ReDoc",
            redoc_js_url=prefix + assets.url("redoc.standalone.js"),
            redoc_favicon_url=f"{prefix}/favicon.ico",
            with_google_fonts=False,
        )
        return bytes(page.body), _PAGE

    def openapi(prefix: str) -> tuple[bytes, dict[str, str]]:
        return json_body(below(app.openapi(), api_prefix, prefix)), {"Content-Type": JSON}

    for path, render in (("/docs", swagger_ui), ("/redoc", redoc), (OPENAPI, openapi)):
        app.add_route(path, LazyResponse(render).respond, include_in_schema=False)
    for path in (f"{ASSETS}/{{name}}", f"{ASSETS}/{{digest}}/{{name}}"):
        app.add_route(path, assets.respond, include_in_schema=False)

    # FastAPI's own way to replace the document.
    app.openapi = lru_cache(partial(openapi_document, app, api_prefix))  # type: ignore[method-assign]


def _reader(path: Path) -> Callable[[str], tuple[bytes, dict[str, str]]]:
    """What renders the file, which is the same below every prefix."""
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {"Content-Type": f"{media_type}; charset=utf-8" if is_text(media_type) else media_type}
    return lambda prefix: (_content(path), headers)


def _content(path: Path) -> bytes:
    return path.read_bytes().replace(_LOGO_ELSEWHERE, _NO_IMAGE)


def _digest(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()
