"""The HTTP client of the scripts: exact money, retries after faults, and one line for a refusal.

A lost response (a broken connection, a timeout, a 502, 503 or 504) does not tell whether the request took effect. Reads
and changes to a given value are repeated; a POST is repeated with the same `Idempotency-Key`, so that it takes effect
once and has the same response.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from decimal import Decimal
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TextIO

import httpx

from models.text_key import email_key, text_key
from schemas.json_codec import to_json
from scripts.api_errors import (
    EXIT_INTERRUPTED,
    ApiUnreachable,
    Mismatch,
    RateLimited,
    Refused,
    ScriptError,
    shown_address,
)

Row = dict[str, Any]

PAGE_ROWS = 1000
"""The largest page the API gives."""

BULK_ROWS = 1000
"""Rows in one bulk request: large enough to be fast, small enough to be repeated at little cost."""

CREDENTIAL_HEADERS = {"authorization", "x-api-key"}

UNAVAILABLE = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)

RETRY_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 5.0
MOST_ATTEMPTS = 20


class _NoResponse(Exception):
    """It is not known whether the request took effect. `pause` is the API's Retry-After, in seconds."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class ApiClient:
    """An asynchronous client of one shop; use it as `async with ApiClient(url) as api`.

    `headers` go with every request: the credentials (see `scripts.credentials`). One request is repeated for
    `retry_seconds` while there is no response.
    """

    def __init__(
        self,
        base_url: str,
        connections: int = 8,
        retry_seconds: float = RETRY_SECONDS,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.base_url = base_url
        self._retry_seconds = retry_seconds
        # `base_url` is the shop's own address, so that no proxy of the environment is used. An idle connection is closed
        # before the server closes it (uvicorn: 5 s), so that no request is sent on a closing connection.
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=2.0)
        timeout = httpx.Timeout(30.0, connect=5.0)
        try:
            self._http = httpx.AsyncClient(
                base_url=base_url, limits=limits, timeout=timeout, headers=headers, trust_env=False
            )
        except httpx.InvalidURL as error:
            raise ApiUnreachable(f"{shown_address(base_url)!r} is not an address: {error}") from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def check(self) -> None:
        """Raise at once, without retries, if there is no response."""
        try:
            _parse(await self._send("GET", "/categories", params={"limit": 1}))
        except _NoResponse as error:
            raise ApiUnreachable(f"No shop answers at {shown_address(self.base_url)} ({error})") from None

    async def get(self, path: str, **params: str | int) -> Any:
        """The JSON at `path`: a row, or a list of rows."""
        return _parse(await self._repeat("GET", path, params=params))

    async def pages(self, path: str, page_rows: int = PAGE_ROWS, **filters: str | int) -> AsyncIterator[Row]:
        """Every row of a collection that matches, in the order of the keys, read page by page with `after`."""
        position: dict[str, str | int] = {}
        while True:
            rows: list[Row] = await self.get(path, limit=page_rows, **filters, **position)
            for row in rows:
                yield row
            if len(rows) < page_rows:
                return
            position = {"after": rows[-1]["id_key"]}

    async def put(self, path: str, body: Mapping[str, Any]) -> Row:
        """Change the fields in `body`, and return the stored row."""
        row: Row = _parse(await self._repeat("PUT", path, body=body))
        return row

    async def post(self, path: str, body: object) -> Any:
        """Create the rows of `body` once, also if responses are lost, and return the stored ones."""
        return _parse(await self._repeat("POST", path, body=body, key=str(uuid.uuid4())))

    async def create_once(self, path: str, body: Mapping[str, Any], key: str, rows_at: str | None = None) -> Row:
        """Create a row that only `key` makes unique, even if an earlier run was killed while it did the same.

        `key` must be the same for this row in every run. `rows_at` is the collection of the row, if it is not `path`:
        `/checkout` makes a row of `/orders`. The reason of a replayed refusal may be gone, and a replayed row may have
        been deleted: then the next attempt has another number in its key.
        """
        for attempt in range(1, MOST_ATTEMPTS + 1):
            try:
                response = await self._repeat("POST", path, body=body, key=f"{key}-{attempt}")
            except Refused as refusal:
                if refusal.replayed:
                    continue
                raise
            row: Row = _parse(response)
            if not _is_replayed(response) or await self._exists(f"{rows_at or path}/{row['id_key']}"):
                return row
        raise Mismatch(f"POST {path} did not create a row in {MOST_ATTEMPTS} attempts")

    async def ensure_rows(self, path: str, rows: Mapping[str, Row], natural_key: str) -> dict[str, Row]:
        """The stored rows whose field `natural_key` is a key of `rows`; missing rows are created.

        Existing rows stay as they are, also if the shop has another spelling of the key.
        """
        key_of = email_key if natural_key == "email" else text_key
        key_by_form = {key_of(key): key for key in rows}
        for _ in range(MOST_ATTEMPTS):
            stored: dict[str, Row] = {}
            async for row in self.pages(path):
                key = key_by_form.get(key_of(row[natural_key] or ""))
                if key is not None:
                    stored[key] = row
            missing = [row for key, row in rows.items() if key not in stored]
            if not missing:
                return stored
            await self._create_all(path, missing)
        raise Mismatch(f"{path} still lacks {len(missing)} rows after {MOST_ATTEMPTS} attempts to create them")

    async def _create_all(self, path: str, rows: list[Row]) -> None:
        for start in range(0, len(rows), BULK_ROWS):
            try:
                await self.post(f"{path}/bulk", rows[start : start + BULK_ROWS])
            except Refused as refusal:
                # Another client has created one of them meanwhile: the caller reads again which are missing.
                if refusal.code != "already_exists":
                    raise
                return

    async def _exists(self, path: str) -> bool:
        try:
            await self.get(path)
        except Refused as refusal:
            if refusal.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    async def _repeat(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        key: str | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> httpx.Response:
        """Send until there is a response; only for requests that may be repeated without harm."""
        deadline = time.monotonic() + self._retry_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._send(method, path, body=body, key=key, params=params)
            except _NoResponse as error:
                pause = max(pause, error.pause)
                if time.monotonic() + pause > deadline:
                    raise ApiUnreachable(
                        f"The API at {shown_address(self.base_url)} gave no answer to {method} {path} "
                        f"for {self._retry_seconds:.0f} s ({error}); run this again to go on"
                    ) from None
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        key: str | None = None,
        params: Mapping[str, str | int] | None = None,
    ) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = to_json(body) if body is not None else None
        try:
            response = await self._http.request(method, path, content=content, headers=headers, params=params or None)
        except httpx.RequestError as error:
            raise _NoResponse(str(error) or type(error).__name__) from error
        if response.is_success:
            return response
        raise _failure(method, path, response)


def _parse(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content, parse_float=Decimal)
    except ValueError:
        raise ScriptError(f"{response.url} did not answer with JSON: is this the address of the shop's API?") from None


def _is_replayed(response: httpx.Response) -> bool:
    return bool(response.headers.get("Idempotent-Replayed") == "true")


def _failure(method: str, path: str, response: httpx.Response) -> Exception:
    """The error for a response other than 2xx."""
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimited(has_credentials=bool(CREDENTIAL_HEADERS & set(response.request.headers)))
    problem = _problem(response)
    code = str(problem.get("code", ""))
    # 409 `request_in_progress`: an earlier attempt of the same request is still running.
    if response.status_code in UNAVAILABLE or code == "request_in_progress":
        retry_after = response.headers.get("Retry-After", "")
        return _NoResponse(
            f"{response.status_code} {problem.get('detail', '')}", float(retry_after) if retry_after.isdigit() else 0.0
        )
    return Refused(method, path, response.status_code, code, problem.get("detail", ""), _is_replayed(response))


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    """The members of an error's body; plain text of a proxy or of uvicorn becomes the detail."""
    try:
        problem = json.loads(response.content, parse_float=Decimal)
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"detail": response.text[:200] or response.reason_phrase}


def run_script(work: Callable[[], Coroutine[Any, Any, int]], errors: TextIO) -> int:
    """Run `work`, and return its exit code; an expected failure is one line on `errors`, without a traceback."""
    try:
        return asyncio.run(work())
    except KeyboardInterrupt:
        print("Interrupted; run this again to go on where it stopped.", file=errors)
        return EXIT_INTERRUPTED
    except ScriptError as error:
        print(f"Stopped: {error}", file=errors)
        return error.exit_code


def name_shop(base_url: str) -> None:
    """Print which shop this is, without a password: the first line of each script that calls one."""
    print(f"Shop: {shown_address(base_url)}", flush=True)


async def run_all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run `work` concurrently; the first failure cancels the rest, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in work:
                group.create_task(part)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
