"""Reports as CSV: what each of them asks for, and its rows below the names of their columns."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from repositories.csv.export import GUARDED
from schemas.base import Parameters
from schemas.bill import BillTaxRead
from schemas.report import (
    BestSeller,
    CategoryStock,
    ClientSales,
    SalesQuery,
    SalesRow,
    StockQuery,
    TaxesQuery,
    TopQuery,
)
from services.sales_report import SalesReportService

_GUARDED = re.compile(GUARDED)


@dataclass(frozen=True, slots=True)
class Report:
    """A report of `SalesReportService`, the schema of what it is about, and that of its rows."""

    read: Callable[[SalesReportService, Any, Any], dict[str, Any]]
    query: type[Parameters]
    row: type[BaseModel]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its CSV."""
        return tuple(self.row.model_fields)


REPORTS: Mapping[str, Report] = {
    "sales": Report(SalesReportService.sales, SalesQuery, SalesRow),
    "best_sellers": Report(SalesReportService.best_sellers, TopQuery, BestSeller),
    "clients": Report(SalesReportService.clients, TopQuery, ClientSales),
    "taxes": Report(SalesReportService.taxes, TaxesQuery, BillTaxRead),
    "stock": Report(SalesReportService.stock, StockQuery, CategoryStock),
}


def csv_lines(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, for_spreadsheets: bool = False
) -> Iterator[bytes]:
    """The header, then each row. `for_spreadsheets` puts an apostrophe before text that one would run."""
    yield _line(columns)
    for row in rows:
        cells = [row[name] for name in columns]
        yield _line([_harmless(cell) for cell in cells] if for_spreadsheets else cells)


def _line(cells: Sequence[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and _GUARDED.match(cell) else cell
