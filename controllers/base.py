"""The routes that every entity has, built from the class attributes of its controller.

A subclass names its service and its schemas; it adds routes of its own by extending `routes`. Every endpoint gives the
executor a function of a session, and makes a response of its result.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.entity_routes import EntityRoutes, singular_of
from controllers.idempotency import keyed_request
from controllers.nested_list import NestedList
from controllers.pagination import Params, complete_page, rendered_page, rendered_rows, rendered_size
from controllers.policies import principal_of
from controllers.preconditions import preconditions_of
from controllers.preferences import preferred
from controllers.reads import AnyRead, CachedPage, CachedRead, FreshRead
from controllers.responses import as_response, rendered_fields, row_reply
from controllers.routing import ROW, RowId, parse_query
from infrastructure.cache.entries import Entry, page_entry
from infrastructure.cache.keys import build_key
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.cache.tags import row_tag, size_tag
from middleware.cache_control import PRIVATE
from middleware.conditional_response import conditional_response
from middleware.route_cache import register
from models.text_key import is_blank
from schemas.base import ListQuery, Page
from services.declared_errors import change, creation, deletion
from services.executor import Executor
from services.idempotency import KeyedRequest, Reply
from services.single_statement import SingleStatement

T = TypeVar("T")


class BaseController(EntityRoutes):
    """List, get, create, change and delete the rows of one entity over HTTP."""

    # The Cache-Control header of its rows and lists.
    cache_control: ClassVar[bytes] = PRIVATE
    # The row of another entity below which the rows are listed, too.
    nested: ClassVar[NestedList | None] = None

    def routes(self) -> list[APIRoute]:
        """The routes of the entity."""
        one = f"{self.path}/{ROW}"
        return [
            self.list_route(self.path, self.list_rows, f"list_{self.plural}", f"List {self.words(self.plural)}"),
            self.route(
                "POST",
                self.path,
                self.create_row,
                f"create_{self.singular}",
                body=self.create_schema,
                refusals=creation(self.service),
                owner=self.service.repository_type.owner,
            ),
            self.route(
                "GET",
                one,
                self.get_row,
                f"get_{self.singular}",
                response_schema=self.shown_schema,
                cached=self.is_cached,
                query=self.query_schema,
            ),
            self.route(
                "PUT",
                one,
                self.update_row,
                f"update_{self.singular}",
                body=self.update_schema,
                refusals=change(self.service),
            ),
            self.route(
                "PATCH",
                one,
                self.update_row,
                f"patch_{self.singular}",
                body=self.update_schema,
                refusals=change(self.service),
            ),
            self.route("DELETE", one, self.delete_row, f"delete_{self.singular}", refusals=deletion(self.service)),
            *([] if self.nested is None else [self._nested_route(self.nested)]),
        ]

    def _nested_route(self, nested: NestedList) -> APIRoute:
        parent, name = singular_of(nested.parent), nested.name or self.plural

        async def list_below(request: Request, id_key: RowId) -> Response:
            """As the list of all, within those of this one."""
            query, principal = parse_query(request, nested.query), principal_of(request)
            path = f"{self.prefix}/{nested.parent.resource}/{id_key}/{name}"
            params = self.link_params(request, query)

            def work(session: Session) -> RenderedResponse:
                nested.parent.row_query(id_key, ("id_key",), nested.parent.visible_to(principal))(session)
                fixed, visible = {nested.field: id_key}, self.service.visible_to(principal)
                page = self.service.page_query(query, self.fields, visible, **fixed)(session)
                return rendered_page(page, self.fields, query, path, params)

            return await self.respond(request, FreshRead(executor_of(request), work))

        return self.list_route(
            f"{self.prefix}/{nested.parent.resource}/{ROW}/{name}",
            list_below,
            f"list_{parent}_{name}",
            f"List the {self.words(name)} of a {self.words(parent)}",
            query=nested.query,
        )

    # -- endpoints ---------------------------------------------------------------------------------

    async def list_rows(self, request: Request) -> Response:
        """A page of the rows that all the filters fit, ordered by `id_key` unless `sort` says otherwise.

        `X-Total-Count` counts all of them, and `Link` leads to the other pages.
        """
        return await self.respond(request, self.list_read(request, parse_query(request, self.query_schema)))

    async def get_row(self, request: Request, id_key: RowId) -> Response:
        """The row as it is stored now, or those of its `fields` that were asked for."""
        query = parse_query(request, self.query_schema)

        def rendered(row: Sequence[Any]) -> RenderedResponse:
            return rendered_fields(dict(zip(self.fields, row, strict=True)), query)

        visible = self.service.visible_to(principal_of(request))
        row_query = self.service.row_query(id_key, self.fields, visible).map(rendered)
        resource, caching = self.service.resource, self.service.caching
        if caching is None:
            return await self.respond(request, FreshRead(executor_of(request), row_query, self.cache_control))
        # What differs by who asks is another entry. What everybody sees has the key that it has without identities.
        key = build_key(resource, "id", id_key, **_selected_fields(query), **visible)
        entry = Entry(key, (row_tag(resource, id_key),), caching.ttl)
        return await self.respond(request, CachedRead(executor_of(request), entry, row_query, self.cache_control))

    async def create_row(self, request: Request, body: Any) -> Response:
        """The response is the stored row, with its key and everything that the server has set."""

        def created(row: Any) -> Reply:
            return row_reply(201, row, self.fields, self.location(row.id_key))

        values = body.sent()
        await self.prepare(request, [values], [None])

        def work(session: Session) -> Reply:
            row = self.service(session, principal).create(dict(values))
            return self.written(session, 201, row, self.location(row.id_key))

        keyed, principal = await keyed_request(request), principal_of(request)
        # With an Idempotency-Key the transaction also keeps the reply, and of a customer more is checked than the database
        # can, so that it has several statements.
        is_one = keyed is None and not principal.is_customer
        single_statement = self.service.single_statement(dict(values)) if is_one else None
        return await self.write_single_statement(request, single_statement, created, work, keyed)

    async def update_row(self, request: Request, id_key: RowId, body: Any) -> Response:
        """Only the fields that are sent change; a fetched row can be changed and sent back whole."""
        conditions, changes = preconditions_of(request), body.sent()
        await self.prepare(request, [changes], [id_key])

        def work(session: Session) -> Reply:
            service = self.service(session, principal_of(request))
            return self.written(session, 200, service.update(id_key, dict(changes), conditions))

        return await self.write(request, work)

    async def delete_row(self, request: Request, id_key: RowId) -> Response:
        """For good, with what belongs to it alone. What others still need stays, and that is 409."""
        conditions = preconditions_of(request)

        def work(session: Session) -> Reply:
            self.service(session, principal_of(request)).delete(id_key, conditions)
            return Reply(204)

        return await self.write(request, work)

    # -- for subclasses ----------------------------------------------------------------------------

    async def prepare(
        self, request: Request, rows: Sequence[dict[str, Any]], row_ids: Sequence[int | None], *, in_bulk: bool = False
    ) -> None:
        """Change in the bodies of a write what must not take time of its transaction. New rows have no key yet."""

    def written(self, session: Session, status: int, row: Any, location: str | None = None) -> Reply:
        """The reply to the creation or change of a row, which a GET of the row would give as well."""
        return row_reply(status, row, self.fields, location)

    def list_read(self, request: Request, query: ListQuery) -> AnyRead:
        """The read of the page for `query`."""
        params = self.link_params(request, query)

        def rendered(page: Page) -> RenderedResponse:
            return rendered_page(page, self.fields, query, self.path, params)

        executor, caching = executor_of(request), self.service.caching
        visible = self.service.visible_to(principal_of(request))
        if caching is not None and query.is_plain and not visible:
            return self._cached_page(executor, query, params)
        page = self.service.page_query(query, self.fields, visible).map(rendered)
        if caching is None:
            return FreshRead(executor, page, self.cache_control)
        entry = page_entry(self.list_key(query, visible), self.service.resource, caching.ttl)
        return CachedRead(executor, entry, page, self.cache_control)

    def _cached_page(self, executor: Executor, query: ListQuery, params: Params) -> CachedPage:
        def rows(found: Sequence[Any]) -> RenderedResponse:
            return rendered_rows([dict(zip(self.fields, row, strict=True)) for row in found], query)

        def size(found: Any) -> RenderedResponse:
            return rendered_size(found.size.total, found.size.estimated, found.snapshot)

        resource, caching = self.service.resource, self.service.caching
        ttl = None if caching is None else caching.ttl
        return CachedPage(
            CachedRead(
                executor,
                page_entry(self.list_key(query), resource, ttl),
                self.service.rows_query(query, self.fields).map(rows),
                self.cache_control,
            ),
            CachedRead(
                executor,
                Entry(build_key(resource, "size"), (size_tag(resource),), ttl),
                self.service.size_query().map(size),
            ),
            partial(complete_page, query=query, path=self.path, params=params),
        )

    @staticmethod
    def link_params(request: Request, query: ListQuery) -> list[tuple[str, str]]:
        """The parameters of a list as the client sent them, for the links between its pages."""
        known, sent = type(query).model_fields, request.query_params.multi_items()
        return [(name, text.strip()) for name, text in sent if name in known and not is_blank(text)]

    def list_key(self, query: ListQuery, visible: Mapping[str, Any] = MappingProxyType({})) -> str:
        """The cache key of a list: `products:list:skip:0:limit:100`, then the other parameters and which rows are visible.

        With a prefix the path is part of it, because links contain it: shops with several prefixes may share one Redis.
        """
        paging = {"skip": query.skip, "limit": query.limit}
        if query.after is not None:
            paging = {"after": query.after, "limit": query.limit}
        order = {} if query.sort is None else {"sort": query.sort}
        asked = {**paging, **order, **_selected_fields(query), **query.filters()}
        below = {} if self.path == f"/{self.service.resource}" else {"path": self.path}
        return build_key(self.service.resource, "list", **asked, **below, **visible)

    @staticmethod
    async def respond(request: Request, read: AnyRead) -> Response:
        """The response of `read`, which is registered for later requests of the same target: they skip this controller."""
        response, hit = await read.get_or_load()
        register(request.scope, read)
        return await conditional_response(request.scope, response, hit, cache_control=read.cache_control)

    async def write(self, request: Request, work: Callable[[Session], Reply]) -> Response:
        """The reply of `work` after its commit; a POST with an Idempotency-Key does its work once."""
        return await self.write_keyed(request, work, await keyed_request(request))

    @staticmethod
    async def write_keyed(request: Request, work: Callable[[Session], Reply], keyed: KeyedRequest | None) -> Response:
        """As `write`, for a caller that has read the key already."""
        return as_response(preferred(await executor_of(request).write(work, keyed), request))

    @staticmethod
    async def write_single_statement(
        request: Request,
        single_statement: SingleStatement[T] | None,
        to_reply: Callable[[T], Reply],
        work: Callable[[Session], Reply],
        keyed: KeyedRequest | None,
    ) -> Response:
        """The reply to the result of `single_statement`; without a result, the reply of `work` after its commit."""
        executor, since = executor_of(request), time.monotonic()
        result = None if single_statement is None else await executor.single_statement(single_statement, since)
        reply = await executor.write(work, keyed, since) if result is None else to_reply(result)
        return as_response(preferred(reply, request))

    def location(self, row_id: int | str) -> str:
        """The path of a row."""
        return f"{self.path}/{row_id}"


def _selected_fields(query: ListQuery) -> dict[str, Sequence[str]]:
    """The fields as part of a cache key; nothing when all are shown."""
    return {"fields": query.fields} if query.fields else {}


def executor_of(request: Request) -> Executor:
    """The executor of this worker."""
    executor: Executor = request.app.state.executor
    return executor
