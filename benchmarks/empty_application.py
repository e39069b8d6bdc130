"""The second reference of the benchmarks: an ASGI application that does nothing but send bytes it has ready.

What uvicorn takes for a request by itself.
"""

from starlette.types import Receive, Scope, Send

from benchmarks.reference_server import BODY, serve

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))],
}
_CONTENT = {"type": "http.response.body", "body": BODY}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise RuntimeError("only requests are answered")
    await send(_START)
    await send(_CONTENT)


if __name__ == "__main__":
    serve(app)
