"""The refresh token in a cookie: no script of a page can read it, and it goes to the calls below /auth only.

Requests from pages of other origins do not get as far as this: see `middleware.same_origin`.
"""

import math
from datetime import UTC, datetime

from fastapi import Request
from starlette.responses import Response

from middleware.public_prefix import prefix_of

COOKIE = "shop_refresh_token"


class RefreshCookie:
    """The cookie of a shop whose calls are below `prefix`."""

    def __init__(self, prefix: str) -> None:
        self._path = f"{prefix}/auth"

    def of(self, request: Request) -> str | None:
        """The token in the cookie of the request."""
        return request.cookies.get(COOKIE)

    def set(self, request: Request, response: Response, token: str, expires_at: datetime) -> None:
        """Have the browser keep the token until its session ends."""
        seconds = max(1, math.ceil((expires_at - datetime.now(UTC)).total_seconds()))
        self._write(request, response, token, seconds)

    def clear(self, request: Request, response: Response) -> None:
        """Have the browser forget the token."""
        self._write(request, response, "", 0)

    def _write(self, request: Request, response: Response, value: str, seconds: int) -> None:
        path = f"{prefix_of(request.scope)}{self._path}"
        response.headers.append(
            "Set-Cookie", f"{COOKIE}={value}; Max-Age={seconds}; Path={path}; HttpOnly; Secure; SameSite=Strict"
        )
