"""HTTP client for addresses that others have named: each request on a connection of its own, bounded in time and in what it reads.

It follows no redirects, knows no proxies, and sends no cookies.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpcore

from infrastructure.http_client.address_guard import AddressGuard, AddressRefused

# For the whole of a request: name, connection, sending, answer.
ANSWER_SECONDS = 15.0
# Of several addresses the next one has its turn after so long.
_CONNECT_SECONDS = 5.0
# Of the body of an answer no more is read.
MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What is of interest in an answer. Its body was read, and is not kept."""

    status: int
    retry_after: str | None


class RequestFailed(Exception):
    """There is no answer; the message says why, in words that may be shown, without addresses."""


class HttpClient:
    """Sends requests to addresses that `guard` lets through. The constructor opens nothing."""

    def __init__(self, guard: AddressGuard, seconds: float = ANSWER_SECONDS) -> None:
        self._guard, self._seconds = guard, seconds

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """The answer, whatever its status. Raises `RequestFailed` where there is none in time."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(url, headers, body)
        except TimeoutError:
            raise RequestFailed(f"no complete answer within {self._seconds:g} s") from None
        except AddressRefused:
            raise RequestFailed("the host leads to an address that is not allowed") from None
        except ssl.SSLError as error:
            raise RequestFailed(f"no secure connection: {error.reason or 'TLS failed'}") from None
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise RequestFailed(_of_connection(error)) from None
        except (httpcore.ProtocolError, httpcore.NetworkError, httpcore.TimeoutException):
            raise RequestFailed("the connection ended without a complete answer") from None
        except (OSError, httpcore.UnsupportedProtocol, ValueError, UnicodeError):
            raise RequestFailed("no connection: the host is not known") from None

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        # Nothing is kept for another request: the name is to be resolved for each.
        network = _GuardedNetwork(self._guard)
        pool = httpcore.AsyncConnectionPool(ssl_context=self._tls, max_keepalive_connections=0, network_backend=network)
        async with network, pool, pool.stream("POST", url, headers=list(headers.items()), content=body) as response:
            read = 0
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read >= MOST_BYTES:
                    break
            found = {name.lower(): value for name, value in response.headers}
            retry_after = found.get(b"retry-after")
            return HttpAnswer(response.status, None if retry_after is None else retry_after.decode("latin-1"))

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Certificates are read from the disk: once.
        return ssl.create_default_context()


class _GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connections to addresses that were checked, whatever the name leads to a moment later. TLS still asks for the name.

    They are closed at the end of its block: the library leaves one open whose TLS handshake is cancelled.
    """

    def __init__(self, guard: AddressGuard) -> None:
        self._guard, self._network = guard, httpcore.AnyIOBackend()
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def __aenter__(self) -> None:
        """Nothing is opened yet."""

    async def __aexit__(self, *_: object) -> None:
        for stream in self._opened:
            await stream.aclose()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the library's signature)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        *others, last = await self._guard.addresses(host, port)
        for address in others:
            try:
                return await self._connect(address, port)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._connect(last, port)

    async def _connect(self, address: str, port: int) -> httpcore.AsyncNetworkStream:
        stream = await self._network.connect_tcp(address, port, _CONNECT_SECONDS)
        self._opened.append(stream)
        return stream

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _of_connection(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"no secure connection: {cause.reason or 'TLS failed'}"
    return "no connection"
