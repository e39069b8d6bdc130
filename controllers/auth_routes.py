"""The routes of accounts and their documentation: nothing of their responses is kept, by caches or otherwise."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from controllers.entity_routes import with_body
from controllers.form_body import FormOrJsonRequest
from controllers.openapi import operation
from controllers.openapi.headers import IF_MATCH, IF_NONE_MATCH, IF_NONE_MATCH_OF_CHANGE
from controllers.routing import ShopRoute
from infrastructure.server.media_types import FORM, JSON
from middleware.request_context import forbid_storing, hide_timing
from schemas.base import Body, ListQuery
from security.policy import Policy
from services.errors import ShopError

TAG = "auth"


class AccountRoute(ShopRoute):
    """A route whose responses, errors included, are stored nowhere."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        inside = self.app

        async def not_stored(scope: Scope, receive: Receive, send: Send) -> None:
            forbid_storing(scope)
            hide_timing(scope)
            await inside(scope, receive, send)

        self.app = not_stored


class FormRoute(AccountRoute):
    """The same, whose body may be a form."""

    request_type = FormOrJsonRequest


def account_route(
    method: str,
    path: str,
    endpoint: Callable[..., Any],
    operation_id: str,
    summary: str,
    *,
    policy: Policy,
    status: int = 200,
    body: type[Body] | None = None,
    body_example: Any = None,
    response_schema: Any = None,
    example: Any = None,
    refusals: Iterable[type[ShopError]] = (),
    headers: Iterable[str] = (),
    others: Mapping[int | str, Any] | None = None,
    takes_form: bool = False,
    query: type[ListQuery] | None = None,
    parameters: Iterable[Mapping[str, Any]] = (),
) -> ShopRoute:
    """A documented route. `headers` are those that only its success has; `others` are more
    successes; `query` and `parameters` are those of a list.
    """

    def openapi_options() -> dict[str, Any]:
        about: Any = {"row_in_path": "{" in path, "refusals": refusals}
        if method == "GET":
            responses = operation.responses("GET", status, response_schema, example, **about)
        else:
            responses = operation.account_responses(method, status, response_schema, example, **about, headers=headers)
        conditions = {"GET": [IF_NONE_MATCH], "PATCH": [IF_MATCH, IF_NONE_MATCH_OF_CHANGE]}
        extra: dict[str, Any] = {"parameters": [*parameters, *conditions.get(method, ())]}
        if body is not None:
            extra["requestBody"] = {"content": _contents(body, body_example, takes_form=takes_form)}
        return {"responses": {**responses, **(others or {})}, "openapi_extra": extra}

    return (FormRoute if takes_form else AccountRoute)(
        path,
        with_body(endpoint, body),
        methods=[method],
        operation_id=operation_id,
        name=operation_id,
        tags=[TAG],
        response_model=None,
        policy=policy,
        openapi_options=openapi_options,
        query_fields=frozenset() if query is None else query.model_fields.keys(),
        summary=summary,
        status_code=status,
    )


def _contents(body: type[Body], example: Any, *, takes_form: bool) -> dict[str, Any]:
    """What a request may hold, by its media type."""
    contents: dict[str, Any] = {JSON: {"example": example}}
    if takes_form:
        # A schema of its own: generators of clients choose the media type by the type of the body.
        schema = {**body.model_json_schema(), "title": f"{body.__name__}Form"}
        contents[FORM] = {"schema": schema, "example": example}
    return contents
