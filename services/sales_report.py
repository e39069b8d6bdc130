"""Reports of sales, clients and stock, from days that are up to date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from models.daily_sales import SalesGroup
from repositories.daily_sales import EVERY_DAY, DailySalesRepository, Days
from repositories.sales_report import SalesReportRepository
from schemas.base import Parameters
from schemas.bill import BillTaxRead
from schemas.report import (
    BestSeller,
    CategoryStock,
    ClientSales,
    SalesFigures,
    SalesQuery,
    SalesRow,
    StockFigures,
    TaxesQuery,
    TaxFigures,
    TopQuery,
)

ZERO = Decimal("0.00")
# So many days are computed by a transaction.
DAYS_AT_ONCE = 31

# The groups whose keys are those of rows.
_OF_ROWS = (SalesGroup.PRODUCT, SalesGroup.CLIENT)


def _shown(row: Any, schema: type[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in schema.model_fields}


def _all_shown(rows: Sequence[Any], schema: type[Any]) -> list[dict[str, Any]]:
    return [_shown(row, schema) for row in rows]


@dataclass(frozen=True, slots=True)
class SalesReportService:
    """Reports, as contents of JSON."""

    session: Session

    @property
    def _reports(self) -> SalesReportRepository:
        return SalesReportRepository(self.session)

    def sales(self, query: SalesQuery, days: tuple[date, date]) -> dict[str, Any]:
        """By the names of `schemas.report.SalesReport`."""
        rows = _all_shown(self._reports.sales(SalesGroup(query.group), *days, query.limit), SalesRow)
        if query.group in _OF_ROWS:
            rows = [row | {"key": row["key"] and int(row["key"])} for row in rows]
        totals = _shown(self._reports.totals(*days), SalesFigures)
        return {**_period(days), "group": query.group, "rows": rows, "totals": totals}

    def best_sellers(self, query: TopQuery, days: tuple[date, date]) -> dict[str, Any]:
        """By the names of `schemas.report.BestSellersReport`."""
        return {**_period(days), "rows": _all_shown(self._reports.best_sellers(*days, query.limit), BestSeller)}

    def clients(self, query: TopQuery, days: tuple[date, date]) -> dict[str, Any]:
        """By the names of `schemas.report.ClientsReport`."""
        found = self._reports.clients(*days, query.limit)
        new, returning = (found[0].new, found[0].returning) if found else (0, 0)
        return {**_period(days), "new": new, "returning": returning, "rows": _all_shown(found, ClientSales)}

    def taxes(self, query: TaxesQuery, days: tuple[date, date]) -> dict[str, Any]:
        """By the names of `schemas.report.TaxesReport`."""
        found = self._reports.taxes(*days, query.limit)
        sums = {name: getattr(found[0], f"all_{name}") if found else ZERO for name in TaxFigures.model_fields}
        return {**_period(days), "rows": _all_shown(found, BillTaxRead), "totals": sums}

    def stock(self, query: Parameters, days: None) -> dict[str, Any]:
        """By the names of `schemas.report.StockReport`."""
        rows = _all_shown(self._reports.stock(), CategoryStock)
        totals = {name: sum(row[name] for row in rows) for name in StockFigures.model_fields}
        return {"rows": rows, "totals": totals}


def _period(days: tuple[date, date]) -> dict[str, date]:
    return {"from": days[0], "to": days[1]}


def today(session: Session) -> date:
    """The day that it is where the shop is."""
    return SalesReportRepository(session).today()


def are_pending(session: Session, days: tuple[date, date]) -> bool:
    """Whether bills of these days have changed since the days were computed."""
    return DailySalesRepository(session).are_pending(days)


def refresh(session: Session, days: Days = EVERY_DAY) -> bool:
    """Compute some of these days whose bills have changed; whether there may be more."""
    return DailySalesRepository(session).refresh(DAYS_AT_ONCE, days) == DAYS_AT_ONCE
