"""The routes of an entity and their documentation, made from the class attributes of its controller."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from controllers.openapi import operation
from controllers.openapi.headers import IF_NONE_MATCH
from controllers.openapi.parameters import list_parameters, row_parameters
from controllers.routing import ShopRoute
from infrastructure.server.http_methods import READS
from schemas.base import Create, ListQuery, Parameters, Read, Update
from security.policy import Policy
from services.base import BaseService
from services.declared_errors import Errors

Endpoint = Callable[..., Any]


class EntityRoutes:
    """Makes routes of one entity, whose service, schemas and example a subclass names."""

    # Who may read, and who may write; `policies` has those of methods that differ.
    reads: ClassVar[Policy]
    writes: ClassVar[Policy]
    policies: ClassVar[Mapping[str, Policy]] = {}
    service: ClassVar[type[BaseService[Any]]]
    create_schema: ClassVar[type[Create]]
    update_schema: ClassVar[type[Update]]
    read_schema: ClassVar[type[Read]]
    query_schema: ClassVar[type[ListQuery]]
    # The schema of GET, if that can be more than a row.
    shown_schema: ClassVar[type[Read] | None] = None
    # The example of requests and responses in the documentation.
    example: ClassVar[dict[str, Any]]

    def __init__(self, prefix: str = "") -> None:
        self._require_owner()
        self.prefix = prefix
        self.path = f"{prefix}/{self.service.resource}"
        self.fields = tuple(self.read_schema.model_fields)
        self.plural = self.service.resource
        self.is_cached = self.service.caching is not None
        self.singular = singular_of(self.service)

    def route(
        self,
        method: str,
        path: str,
        endpoint: Endpoint,
        operation_id: str,
        *,
        summary: str | None = None,
        body: Any = None,
        response_schema: Any = None,
        status: int | None = None,
        cached: bool = False,
        example: Any = None,
        body_example: Any = None,
        query: type[Parameters] | None = None,
        refusals: Errors = frozenset(),
        policy: Policy | None = None,
        owner: str | None = None,
    ) -> ShopRoute:
        """A documented route. Defaults follow from the method and the entity.

        Of `query` it takes the parameters that hold for a single row. `refusals` are the errors that the services
        declare (see `services.declared_errors`). `owner` is the field of the body that customers may leave out.
        """
        asked = policy or self._policy_of(method)
        status = status or {"POST": 201, "DELETE": 204}.get(method, 200)
        shown = None if status == 204 else response_schema or self.read_schema

        def openapi_options() -> dict[str, Any]:
            extra = self._request_extra(method, path, body, body_example, query, returns_body=shown is not None)
            return {
                "responses": operation.responses(
                    method,
                    status,
                    shown,
                    example or self.row_example(),
                    row_in_path="{" in path,
                    refusals=refusals,
                    cached=cached,
                ),
                "openapi_extra": extra,
            }

        return self._named_route(
            method,
            path,
            with_body(endpoint, body),
            operation_id,
            policy=asked,
            openapi_options=openapi_options,
            query_fields=frozenset() if query is None else query.single_row_parameters,
            owner=owner if asked.is_about_own else None,
            summary=summary or f"{operation_id.split('_')[0].capitalize()} one {self.words(self.singular)}",
            status_code=status,
        )

    def list_route(
        self,
        path: str,
        endpoint: Endpoint,
        operation_id: str,
        summary: str,
        query: type[ListQuery] | None = None,
        response_schema: Any = None,
        example: Any = None,
        sortable: Sequence[str] = (),
        policy: Policy | None = None,
    ) -> ShopRoute:
        """A documented route for a page of rows: of the entity, unless `response_schema` is that of another one."""
        asked = query or self.query_schema

        def openapi_options() -> dict[str, Any]:
            fields = (response_schema or self.read_schema).model_fields
            columns = [name for name in sortable or self.service.repository_type.sortable() if name in fields]
            return {
                "responses": operation.responses(
                    "GET",
                    200,
                    operation.list_of(response_schema or self.shown_schema or self.read_schema),
                    [example or self.row_example()],
                    row_in_path="{" in path,
                    cached=self.is_cached and path == self.path,
                ),
                "openapi_extra": {
                    "parameters": [
                        *list_parameters(asked, columns, example or self.row_example()),
                        IF_NONE_MATCH,
                    ]
                },
            }

        query_fields = asked.model_fields.keys()
        return self._named_route(
            "GET",
            path,
            endpoint,
            operation_id,
            policy=policy or self._policy_of("GET"),
            openapi_options=openapi_options,
            query_fields=query_fields,
            summary=summary,
        )

    def _policy_of(self, method: str) -> Policy:
        return self.policies.get(method) or (self.reads if method in READS else self.writes)

    def _named_route(self, method: str, path: str, endpoint: Endpoint, operation_id: str, **options: Any) -> ShopRoute:
        return ShopRoute(
            path,
            endpoint,
            methods=[method],
            operation_id=operation_id,
            name=operation_id,
            tags=[self.plural],
            response_model=None,
            **options,
        )

    def _request_extra(
        self,
        method: str,
        path: str,
        body: Any,
        body_example: Any,
        query: type[Parameters] | None,
        *,
        returns_body: bool,
    ) -> dict[str, Any]:
        example = body_example or self.body_example(method)
        extra = operation.request_extra(method, body, example, row_in_path="{" in path, returns_body=returns_body)
        if query is not None:
            extra["parameters"] = [*row_parameters(query), *extra["parameters"]]
        return extra

    def _require_owner(self) -> None:
        """Raise `RuntimeError` where customers are let in to what is theirs, and nothing says whose the rows are."""
        policies = (self.reads, self.writes, *self.policies.values())
        if any(policy.is_about_own for policy in policies) and not self.service.has_owners():
            raise RuntimeError(
                f"Customers may call {self.service.resource}: whose are the rows? Its repository says it"
            )

    def row_example(self) -> dict[str, Any]:
        """The example of a stored row."""
        return {**operation.STORED_FIELDS, **self.example}

    def body_example(self, method: str) -> dict[str, Any]:
        """The example of a body: a whole one to create a row, one field of it to change a row."""
        sent = {name: value for name, value in self.example.items() if name in self.create_schema.model_fields}
        if method in ("PUT", "PATCH"):
            name = next(iter(sent))
            return {name: sent[name]}
        return sent

    @staticmethod
    def words(name: str) -> str:
        return name.replace("_", " ")


def singular_of(service: type[BaseService[Any]]) -> str:
    """What one row of the service is called in operation ids, such as "order_detail"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", service.thing).lower()


def with_body(endpoint: Endpoint, body: Any) -> Endpoint:
    """The endpoint with `body` as the annotation of its body, from which FastAPI takes the schema."""
    if body is None:
        return endpoint

    async def with_body(*args: Any, **kwargs: Any) -> Any:
        return await endpoint(*args, **kwargs)

    signature = inspect.signature(endpoint)
    parameters = [
        parameter.replace(annotation=body) if parameter.name == "body" else parameter
        for parameter in signature.parameters.values()
    ]
    with_body.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_body.__name__, with_body.__doc__ = endpoint.__name__, endpoint.__doc__
    return with_body
