"""Routes of jobs: what the background process has to do, what failed for good, and two decisions about a job."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from controllers.base import BaseController, executor_of
from controllers.policies import principal_of
from controllers.reads import FreshRead
from controllers.responses import digest, reply
from controllers.routing import ROW, RowId, only_reads, parse_query
from infrastructure.cache.rendered_response import RenderedResponse
from schemas.base import Create, Update
from schemas.job import JobQuery, JobRead
from schemas.json_codec import json_body
from security.policy import needs
from services.declared_errors import refusals_of
from services.idempotency import Reply
from services.job import JobService


class JobController(BaseController):
    reads = writes = needs("jobs:admin")
    service = JobService
    # Requests make no jobs: events and schedules do.
    create_schema, update_schema = Create, Update
    read_schema, query_schema = JobRead, JobQuery  # type: ignore[assignment]
    example = {
        "id_key": 7,
        "task": "purge_sessions",
        "status": "failed",
        "args": {},
        "attempts": 8,
        "created_at": "2026-11-16T10:00:00.123456Z",
        "scheduled_at": "2026-11-16T10:21:15.5Z",
        "started_at": "2026-11-16T10:21:16.25Z",
        "error": "OperationalError: canceling statement due to statement timeout",
        "progress": {"done": 3000, "total": None},
    }

    def routes(self) -> list[APIRoute]:
        one = f"{self.path}/{ROW}"
        return [
            *only_reads(super().routes()),
            self.route(
                "POST",
                f"{one}/retry",
                self.retry,
                "retry_job",
                summary="Try a job again",
                status=200,
                refusals=refusals_of(JobService.retry),
            ),
            self.route(
                "POST",
                f"{one}/cancel",
                self.cancel,
                "cancel_job",
                summary="Cancel a job",
                status=200,
                example=self.example | {"status": "canceled"},
                refusals=refusals_of(JobService.cancel),
            ),
        ]

    def row_example(self) -> dict[str, Any]:
        return self.example

    async def get_row(self, request: Request, id_key: RowId) -> Response:
        """The job, until it is done: then it is 404."""
        query = parse_query(request, JobQuery)

        def rendered(row: Sequence[Any]) -> RenderedResponse:
            return _rendered(query.shown(dict(zip(self.fields, row, strict=True))))

        return await self.respond(
            request, FreshRead(executor_of(request), self.service.row_query(id_key, self.fields).map(rendered))
        )

    async def retry(self, request: Request, id_key: RowId) -> Response:
        """At once, and with all its tries before it; also one that waits or was canceled. One that is running is 409."""
        principal = principal_of(request)
        return await self.write(request, lambda session: self._reply(JobService(session, principal).retry(id_key)))

    async def cancel(self, request: Request, id_key: RowId) -> Response:
        """It is not started any more. One that is running ends with the step that is under way, and is `running` till then."""
        principal = principal_of(request)
        return await self.write(request, lambda session: self._reply(JobService(session, principal).cancel(id_key)))

    def _reply(self, row: Any) -> Reply:
        return reply(200, _rendered({name: getattr(row, name) for name in self.fields}))


def _rendered(content: dict[str, Any]) -> RenderedResponse:
    body = json_body(content)
    return RenderedResponse(body, f'"{digest(body)}"')
