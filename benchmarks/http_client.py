"""A small HTTP/1.1 client for load: one keep-alive connection, one request at a time, little CPU per request.

A full client takes more CPU per request than the shop, and both share the machine.
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response; header names are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


class Connection:
    """A connection to `host:port` that opens at the first request, and again after it broke."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._host = f"{host}:{port}".encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Response:
        """The response. Raises `ConnectionError` when the connection breaks before it is complete."""
        try:
            reader, writer = await self._open()
            writer.write(self._encoded(method, path, body, headers or {}))
            return await self._response(reader, method)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ConnectionError(str(error)) from error

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, limit=2**22)
        return self._streams

    def _encoded(self, method: str, path: str, body: Any, headers: dict[str, str]) -> bytes:
        content = b"" if body is None else orjson.dumps(body)
        lines = [f"{method} {path} HTTP/1.1".encode(), b"host: " + self._host]
        lines += [f"{name}: {value}".encode() for name, value in headers.items()]
        if body is not None:
            lines += [b"content-type: application/json", b"content-length: %d" % len(content)]
        return b"\r\n".join(lines) + b"\r\n\r\n" + content

    async def _response(self, reader: asyncio.StreamReader, method: str) -> Response:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        length = 0 if method == "HEAD" else int(headers.get(b"content-length", b"0"))
        body = await reader.readexactly(length) if length else b""
        if headers.get(b"connection") == b"close":
            self.close()
        return Response(int(first[9:12]), headers, body)


def percentile(sorted_values: list[float], share: float) -> float:
    """The value below which `share` of the sorted values lie; 0 if there are none."""
    if not sorted_values:
        return 0.0
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]
