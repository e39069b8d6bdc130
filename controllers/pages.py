"""/docs, /redoc and /openapi.json, with every script and style served from here: no network is needed."""

from functools import lru_cache, partial
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from controllers.openapi import openapi_document

ASSETS = "/docs-assets"
OPENAPI = "/openapi.json"


def add_pages(app: FastAPI) -> None:
    """Add the documentation pages to `app`, whose routes must all be there."""

    async def swagger_ui(request: Request) -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=OPENAPI,
            title=f"{app.title} - Swagger UI",
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon.png",
        )

    async def redoc(request: Request) -> HTMLResponse:
        return get_redoc_html(
            openapi_url=OPENAPI,
            title=f"{app.title} - ReDoc",
            redoc_js_url=f"{ASSETS}/redoc.standalone.js",
            redoc_favicon_url=f"{ASSETS}/favicon.png",
            with_google_fonts=False,
        )

    async def openapi(request: Request) -> Response:
        return JSONResponse(app.openapi())

    app.add_route("/docs", swagger_ui, include_in_schema=False)
    app.add_route("/redoc", redoc, include_in_schema=False)
    app.add_route(OPENAPI, openapi, include_in_schema=False)
    app.mount(ASSETS, StaticFiles(directory=Path(fastapi_offline.__file__).parent / "static"))

    # FastAPI's own way to replace the document: whoever asks the application for it gets this one too.
    app.openapi = lru_cache(partial(openapi_document, app))  # type: ignore[method-assign]
