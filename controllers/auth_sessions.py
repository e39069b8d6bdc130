"""Routes of the own sessions: where the user is logged in, and how to end that."""

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from controllers.auth import context_of
from controllers.auth_examples import SESSION
from controllers.auth_routes import account_route
from controllers.base import BaseController
from controllers.openapi.operation import list_of
from controllers.openapi.parameters import list_parameters
from controllers.pagination import rendered_list
from controllers.policies import principal_of
from controllers.routing import ROW, RowId, parse_query
from middleware.conditional_response import conditional_response
from schemas.auth import SessionQuery, SessionRead
from security.policy import SIGNED_IN
from services.identity.profile import ProfileService

_COLUMNS = tuple(name for name in SessionRead.model_fields if name != "is_current")


class AuthSessionsController:
    """The calls below /auth/sessions."""

    def __init__(self, prefix: str = "") -> None:
        self._path = f"{prefix}/auth/sessions"

    def routes(self) -> list[APIRoute]:
        return [
            account_route(
                "GET",
                self._path,
                self.list_sessions,
                "list_sessions",
                "List the own sessions",
                policy=SIGNED_IN,
                response_schema=list_of(SessionRead),
                example=[SESSION],
                query=SessionQuery,
                parameters=list_parameters(SessionQuery, ProfileService.sortable_sessions(_COLUMNS), SESSION),
            ),
            account_route(
                "DELETE",
                f"{self._path}/{ROW}",
                self.end_session,
                "delete_session",
                "End one of the own sessions",
                policy=SIGNED_IN,
                status=204,
            ),
            account_route(
                "DELETE",
                self._path,
                self.end_sessions,
                "delete_sessions",
                "End all own sessions, this one too",
                policy=SIGNED_IN,
                status=204,
            ),
        ]

    async def list_sessions(self, request: Request) -> Response:
        """Those that have not ended, with the program and the address of their login."""
        query: SessionQuery = parse_query(request, SessionQuery)
        principal, params = principal_of(request), BaseController.link_params(request, query)
        context = context_of(request)
        page = await context.executor.read(ProfileService(context, principal).sessions(query, _COLUMNS))
        rows = [dict(zip(_COLUMNS, row, strict=False)) for row in page.rows]
        content = [row | {"is_current": row["id_key"] == principal.session_id} for row in rows]
        return await conditional_response(request.scope, rendered_list(content, page, query, self._path, params))

    async def end_session(self, request: Request, id_key: RowId) -> Response:
        """Its tokens are void at once, on every worker."""
        await ProfileService(context_of(request), principal_of(request)).end_session(id_key)
        return Response(status_code=204)

    async def end_sessions(self, request: Request) -> Response:
        """Everywhere: each program has to log in again."""
        await ProfileService(context_of(request), principal_of(request)).end_sessions()
        return Response(status_code=204)
