"""Routes of products, of their stock and of its ledger."""

from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import executor_of
from controllers.bulk import BulkController
from controllers.nested_list import NestedList
from controllers.pagination import rendered_page
from controllers.policies import principal_of
from controllers.reads import FreshRead
from controllers.responses import as_dict, digest, row_reply
from controllers.routing import ROW, RowId, parse_query
from infrastructure.cache.rendered_response import RenderedResponse
from middleware.cache_control import SHARED
from models.stock_movement import StockReason
from schemas.json_codec import json_body
from schemas.price import PriceChangeRead, PriceHistoryQuery, PriceStatsQuery, PriceStatsRead
from schemas.product import (
    CategoryProductsQuery,
    ProductCreate,
    ProductQuery,
    ProductRead,
    ProductUpdate,
    StockChange,
    StockMovementQuery,
    StockMovementRead,
)
from security.policy import PUBLIC, needs
from services.category import CategoryService
from services.declared_errors import refusals_of
from services.idempotency import Reply
from services.product import ProductService

_LEDGER_FIELDS = tuple(StockMovementRead.model_fields)
_LEDGER_EXAMPLE = {
    "id_key": 1,
    "product_id": 1,
    "delta": -2,
    "reason": "sale",
    "order_detail_id": 1,
    "created_at": "2026-11-16T10:00:00.123456Z",
}
_HISTORY_FIELDS = tuple(PriceChangeRead.model_fields)
_HISTORY_EXAMPLE = {
    "id_key": 1,
    "product_id": 1,
    "price": 39.99,
    "valid_from": "2026-11-16T10:00:00.123456Z",
    "valid_until": None,
}
_STATS_FIELDS = tuple(name for name in PriceStatsRead.model_fields if name != "days")
_STATS_EXAMPLE = {
    "product_id": 1,
    "days": 30,
    "current": 39.99,
    "min": 34.99,
    "max": 44.99,
    "average": 41.13,
    "changes": 3,
    "lowest_before_reduction": 34.99,
    "reduced_at": "2026-11-16T10:00:00.123456Z",
}


class ProductController(BulkController):
    reads, writes = PUBLIC, needs("catalog:write")
    service = ProductService
    create_schema, update_schema = ProductCreate, ProductUpdate
    cache_control = SHARED
    read_schema, query_schema = ProductRead, ProductQuery
    nested = NestedList(CategoryService, "category_id", CategoryProductsQuery)
    example = {
        "name": "Desk lamp",
        "sku": "LAMP-01",
        "description": "Warm white, 8 W",
        "price": 39.99,
        "stock": 25,
        "category_id": 1,
        "tax_class_id": None,
        "image": "https://example.com/lamp.jpg",
        "active": True,
        "reorder_level": 5,
        "currency": "EUR",
        "rating_average": 4.5,
        "review_count": 2,
    }

    def routes(self) -> list[APIRoute]:
        one = f"{self.path}/{ROW}"
        return [
            *super().routes(),
            self.route(
                "POST",
                f"{one}/stock",
                self.change_stock,
                "change_product_stock",
                summary="Change the stock of a product",
                body=StockChange,
                body_example={"delta": 5, "reason": "receipt"},
                status=200,
                refusals=refusals_of(ProductService.change_stock),
                policy=needs("stock:write"),
            ),
            self.list_route(
                f"{one}/stock_movements",
                self.list_movements,
                "list_product_stock_movements",
                "List the stock movements of a product",
                query=StockMovementQuery,
                response_schema=StockMovementRead,
                example=_LEDGER_EXAMPLE,
                sortable=ProductService.ledger_type.sortable(),
                policy=needs("stock:read"),
            ),
            self.list_route(
                f"{one}/price_history",
                self.list_prices,
                "list_product_prices",
                "List the prices that a product has had",
                query=PriceHistoryQuery,
                response_schema=PriceChangeRead,
                example=_HISTORY_EXAMPLE,
                sortable=ProductService.history_type.sortable(),
            ),
            self.route(
                "GET",
                f"{one}/price_stats",
                self.price_stats,
                "get_product_price_stats",
                summary="Lowest, highest and average price of a product",
                query=PriceStatsQuery,
                response_schema=PriceStatsRead,
                example=_STATS_EXAMPLE,
            ),
        ]

    async def change_stock(self, request: Request, id_key: RowId, body: Any) -> Response:
        """For goods that come in, and for corrections. Orders move the stock by themselves."""

        def work(session: Session) -> Reply:
            product = ProductService(session).change_stock(id_key, body.delta, StockReason(body.reason))
            return row_reply(200, product, self.fields)

        return await self.write(request, work)

    async def list_movements(self, request: Request, id_key: RowId) -> Response:
        """Every change of the stock; together they add up to it."""
        query = parse_query(request, StockMovementQuery)
        path, params = f"{self.location(id_key)}/stock_movements", self.link_params(request, query)

        def work(session: Session) -> RenderedResponse:
            page = ProductService(session).ledger(id_key, query, _LEDGER_FIELDS)
            return rendered_page(page, _LEDGER_FIELDS, query, path, params)

        return await self.respond(request, FreshRead(executor_of(request), work))

    async def list_prices(self, request: Request, id_key: RowId) -> Response:
        """Every price with the time from which it held. The newest one holds now."""
        query, visible = parse_query(request, PriceHistoryQuery), self.service.visible_to(principal_of(request))
        path, params = f"{self.location(id_key)}/price_history", self.link_params(request, query)

        def work(session: Session) -> RenderedResponse:
            page = ProductService(session).price_history(id_key, query, _HISTORY_FIELDS, visible)
            return rendered_page(page, _HISTORY_FIELDS, query, path, params)

        return await self.respond(request, FreshRead(executor_of(request), work))

    async def price_stats(self, request: Request, id_key: RowId) -> Response:
        """What the product cost during the last `days`, and before its price was last reduced."""
        query, visible = parse_query(request, PriceStatsQuery), self.service.visible_to(principal_of(request))

        def work(session: Session) -> RenderedResponse:
            stats = ProductService(session).price_stats(id_key, query.days, visible)
            body = json_body({**as_dict(stats, _STATS_FIELDS), "days": query.days})
            return RenderedResponse(body, f'"{digest(body)}"')

        return await self.respond(request, FreshRead(executor_of(request), work))
