"""Rows of a bulk request: parsed, added to the fingerprint and validated, one after the other.

Between two rows the event loop serves other requests, and when there are more errors than a response lists the rest is
not read. So a body of 16 MiB blocks nobody, and takes little more memory than its valid rows.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from controllers.idempotency import key_of, under_key
from controllers.request_body import not_json, with_cut_off
from schemas.base import Body
from schemas.error_limits import MAX_ERRORS
from schemas.json_codec import MalformedJson, TooManyValues
from schemas.json_rows import JsonRows, NotAnArray
from services.fingerprint import RowsFingerprint
from services.idempotency import KeyedRequest

MAX_BULK = 10_000
# Seconds of work before the event loop serves other requests.
_SLICE_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class BulkRows:
    """The fields sent of each row, and the keyed request, if it has an Idempotency-Key."""

    sent: list[dict[str, Any]]
    keyed: KeyedRequest | None


async def read_rows(request: Request, body: deque[bytes], schema: type[Body]) -> BulkRows:
    """The rows of the request, validated by `schema`. Raises 422 with their errors."""
    key = key_of(request)
    fingerprint = None if key is None else RowsFingerprint(request.method, request.scope["path"])
    reader = _RowReader(schema, fingerprint)
    await reader.read(body)
    if reader.errors:
        raise RequestValidationError(reader.errors)
    if key is None or fingerprint is None:
        return BulkRows(reader.sent, None)
    return BulkRows(reader.sent, under_key(request, key, fingerprint.digest()))


class _RowReader:
    """Reads the rows of one request, and collects the valid ones and the errors."""

    def __init__(self, schema: type[Body], fingerprint: RowsFingerprint | None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self._schema, self._fingerprint = schema, fingerprint
        self._count = 0

    async def read(self, body: deque[bytes]) -> None:
        """Read to the end, or to the first error beyond the limit."""
        try:
            await self._read(body)
        except NotAnArray:
            self._add_error("list_type", "Input should be a valid list")
        except TooManyValues as error:
            self.errors += with_cut_off(self._problems(error.first), error)
        except MalformedJson as error:
            self.errors.append(not_json(error))
        else:
            if not self._count:
                self._add_error("too_short", "List should have at least 1 item after validation, not 0")

    async def _read(self, body: deque[bytes]) -> None:
        slice_ends = time.perf_counter() + _SLICE_SECONDS
        for rows in JsonRows(body):
            if self._fingerprint is not None:
                self._fingerprint.add(rows)
            for row in rows:
                if self._count == MAX_BULK:
                    self._add_error("too_long", f"List should have at most {MAX_BULK} items after validation")
                    return
                self._add(row)
                if len(self.errors) > MAX_ERRORS:
                    return
                if time.perf_counter() > slice_ends:
                    await asyncio.sleep(0)
                    slice_ends = time.perf_counter() + _SLICE_SECONDS

    def _add(self, row: Any) -> None:
        try:
            self.sent.append(self._schema.model_validate(row).sent())
        except ValidationError as error:
            self.errors += self._located(error)
        self._count += 1

    def _problems(self, row: Any) -> list[dict[str, Any]]:
        try:
            self._schema.model_validate(row)
        except ValidationError as error:
            return self._located(error)
        return []

    def _located(self, error: ValidationError) -> list[dict[str, Any]]:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        return [{**one, "loc": ("body", self._count, *one["loc"])} for one in problems]

    def _add_error(self, kind: str, message: str) -> None:
        self.errors.append({"type": kind, "loc": ("body",), "msg": message})
