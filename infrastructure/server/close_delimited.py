"""Answers whose length is not known before, for clients of HTTP/1.0: they know no chunks, so the connection ends the body."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infrastructure.server.uvicorn_internals import Cycle, end_with_connection, expect_rest

_NO_BODY = frozenset((204, 304))


class CloseDelimited:
    """Calls `app` for the request of `cycle`. Without it, uvicorn sends chunks to whoever asks (RFC 9112, section 6.1)."""

    def __init__(self, app: ASGIApp, cycle: Cycle) -> None:
        self._app, self._cycle = app, cycle
        self._is_counted = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_plainly(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._is_counted = _is_counted(scope, message)
                if not self._is_counted:
                    end_with_connection(self._cycle)
            elif not (self._is_counted or message.get("more_body", False)):
                expect_rest(self._cycle, len(message.get("body", b"")))
            await send(message)

        await self._app(scope, receive, send_plainly)


def _is_counted(scope: Scope, start: Message) -> bool:
    """Whether the client knows where the body ends: by its length, or because there is none."""
    has_no_body = scope["method"] == "HEAD" or start["status"] in _NO_BODY
    return has_no_body or any(name.lower() == b"content-length" for name, _ in start.get("headers", ()))
