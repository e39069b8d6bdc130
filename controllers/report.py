"""Routes of reports: what was sold and to whom, and what is in stock. As JSON, or as CSV for a spreadsheet."""

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from controllers.base import executor_of
from controllers.openapi.headers import IF_NONE_MATCH
from controllers.openapi.operation import responses
from controllers.openapi.parameters import plain_parameters
from controllers.responses import digest
from controllers.routing import ShopRoute, parse_query
from infrastructure.cache.rendered_response import RenderedResponse
from infrastructure.server.media_types import CSV, JSON
from infrastructure.server.quality_values import prefers
from middleware.conditional_response import conditional_response
from schemas.json_codec import json_body
from schemas.report import BestSellersReport, ClientsReport, SalesReport, StockQuery, StockReport, TaxesReport
from security.policy import needs
from services.csv.reports import REPORTS, csv_lines
from services.errors import Unavailable
from services.sales_report import SalesReportService, are_pending, refresh, today

_POLICY = needs("reports:read")
_SALES = {
    "orders": 2,
    "units": 5,
    "returned_units": 1,
    "gross": 199.95,
    "discount": 10,
    "shipping": 4.9,
    "refunded": 39.99,
    "net": 154.86,
    "tax": 26.88,
}
_PERIOD = {"from": "2026-11-01", "to": "2026-11-30"}
_MONEY = {name: _SALES[name] for name in ("gross", "discount", "refunded", "net")}
_EXAMPLES: Mapping[str, dict[str, Any]] = {
    "sales": {
        **_PERIOD,
        "group": "country",
        "rows": [{"key": "ES", "name": None, **_SALES}],
        "totals": _SALES,
    },
    "best_sellers": {
        **_PERIOD,
        "rows": [
            {"product_id": 1, "name": "Desk lamp", "sku": "LAMP-01", "units": 5, "returned_units": 1, **_MONEY},
        ],
    },
    "clients": {
        **_PERIOD,
        "new": 1,
        "returning": 0,
        "rows": [
            {
                "client_id": 1,
                "name": "Ada",
                "lastname": "Lovelace",
                "is_new": True,
                "orders": 2,
                "units": 5,
                "shipping": 4.9,
                **_MONEY,
            }
        ],
    },
    "taxes": {
        **_PERIOD,
        "rows": [
            {"country": "ES", "rate": 21, "vat_category": "S", "net": 127.98, "tax": 26.88, "gross": 154.86},
        ],
        "totals": {"net": 127.98, "tax": 26.88, "gross": 154.86},
    },
    "stock": {
        "rows": [
            {"category_id": 1, "name": "Lighting", "products": 1, "units": 25, "value": 999.75, "low": 0, "out": 0}
        ],
        "totals": {"products": 1, "units": 25, "value": 999.75, "low": 0, "out": 0},
    },
}


class ReportController:
    """Reports over HTTP: for reading only."""

    def __init__(self, prefix: str = "") -> None:
        self._path = f"{prefix}/reports"

    def routes(self) -> list[APIRoute]:
        return [
            self._route("sales", SalesReport, "What was sold, by day or otherwise"),
            self._route("best_sellers", BestSellersReport, "What was sold most"),
            self._route("clients", ClientsReport, "Who bought, and who came back"),
            self._route("taxes", TaxesReport, "What is taxed, by country and rate"),
            self._route("stock", StockReport, "What is in stock, and its value"),
        ]

    def _route(self, name: str, schema: type[BaseModel], summary: str) -> APIRoute:
        """A route that answers with the report of this name."""
        report = REPORTS[name]
        query, columns = report.query, report.columns

        async def get_report(request: Request) -> Response:
            """By the dates of the bills. With `Accept: text/csv` the rows come as CSV, with names in the first line."""
            asked: Any = parse_query(request, query)
            days = None if query is StockQuery else asked.days(await executor_of(request).read(today))

            def work(session: Session) -> dict[str, Any]:
                return report.read(SalesReportService(session), asked, days)

            if days is not None:
                await _bring_up_to_date(request, days)
            content = await executor_of(request).read(work)
            is_csv = prefers(",".join(request.headers.getlist("accept")), CSV, JSON)
            body = _csv(content["rows"], columns) if is_csv else json_body(content)
            headers = {"Content-Type": f"{CSV}; charset=utf-8; header=present" if is_csv else JSON, "Vary": "Accept"}
            return await conditional_response(request.scope, RenderedResponse(body, f'"{digest(body)}"', headers))

        def openapi_options() -> dict[str, Any]:
            documented = responses("GET", 200, schema, _EXAMPLES[name], row_in_path=False)
            documented[200]["content"][CSV] = {"schema": {"type": "string"}, "example": _csv_example(name, columns)}
            return {
                "responses": documented,
                "openapi_extra": {"parameters": [*plain_parameters(query), IF_NONE_MATCH]},
            }

        return ShopRoute(
            f"{self._path}/{name}",
            get_report,
            methods=["GET"],
            operation_id=f"get_{name}_report",
            name=f"get_{name}_report",
            tags=["reports"],
            response_model=None,
            policy=_POLICY,
            openapi_options=openapi_options,
            query_fields=query.model_fields.keys(),
            summary=summary,
        )


async def _bring_up_to_date(request: Request, days: tuple[date, date]) -> None:
    """Compute the days whose bills have changed. Where that cannot be, the report shows them as they were computed last."""
    executor = executor_of(request)
    try:
        while await executor.read(partial(are_pending, days=days)):
            await executor.transact(partial(refresh, days=days))
    except Unavailable:
        return


def _csv(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> bytes:
    return b"".join(csv_lines(rows, columns))


def _csv_example(name: str, columns: tuple[str, ...]) -> str:
    return _csv(_EXAMPLES[name]["rows"], columns).decode()
