"""Queries and responses of the reports."""

import datetime as dt
from typing import Any

from pydantic import BaseModel, Field, create_model

from schemas.base import Parameters
from schemas.bill import BillTaxRead
from schemas.enumerations import SalesGroup
from schemas.field_types import Count, Key, Sum
from schemas.query_types import QueryCount
from schemas.time_types import Date

MAX_ROWS = 10_000


def _day(which: str, default: str) -> tuple[Any, Any]:
    description = f"The {which} day, by the dates of bills, which is included; {default} if it is left out"
    return Date | None, Field(default=None, description=description, examples=["2026-11-16"])


class _Days(Parameters):
    """The days that a report is about."""

    def days(self, today: dt.date) -> tuple[dt.date, dt.date]:
        """The first and the last day; without them, the last thirty days."""
        given: dt.date | None = getattr(self, "from", None)
        last: dt.date = getattr(self, "to", None) or max(today, given or today)
        if given is not None:
            return given, last
        return dt.date.fromordinal(max(1, last.toordinal() - 29)), last


def _limit(default: int) -> Any:
    return Field(default=default, ge=1, le=MAX_ROWS, description="How many rows to show", examples=[20])


# `from` is a word of the language, so that no class body can have a field of that name.
_DaysQuery = create_model(
    "_DaysQuery",
    __base__=_Days,
    **{"from": _day("first", "thirty days before the last"), "to": _day("last", "today")},  # type: ignore[call-overload]
)


class SalesQuery(_DaysQuery):
    """What a report of sales is about."""

    group: SalesGroup = Field(default="day", description="By what sales are summed up", examples=["country"])
    limit: QueryCount = _limit(1000)


class TopQuery(_DaysQuery):
    """What a report of the best is about."""

    limit: QueryCount = _limit(10)


class TaxesQuery(_DaysQuery):
    """What a report of taxes is about."""

    limit: QueryCount = _limit(1000)


class StockQuery(Parameters):
    """A report of the stock as it is now has no parameters."""


class SalesFigures(BaseModel):
    """What the bills of some days add up to. `net` is `gross` less `discount`, with `shipping`, less `refunded`."""

    orders: Count = Field(description="Orders that were placed, also those that were canceled later")
    units: Count = Field(description="Pieces that were sold")
    returned_units: Count = Field(
        description="Pieces that came back, by return or cancellation, on the day of the credit bill"
    )
    gross: Sum
    discount: Sum
    shipping: Sum
    refunded: Sum
    net: Sum
    tax: Sum = Field(description="The tax that is included in net")


class SalesRow(SalesFigures):
    """The sales of one group."""

    key: str | int | None = Field(
        description=(
            "The day, the Monday of the week (2026-11-16), the month (2026-11), the key of the product, category or client, "
            "the country, or the payment type; null for what has none"
        )
    )
    name: str | None = Field(description="What the product, category or client is called now; null for other groups")


def _report(name: str, doc: str, **fields: Any) -> type[BaseModel]:
    """The schema of a report over days."""
    given: dict[str, Any] = {"from": (dt.date, ...), "to": (dt.date, ...), **fields}
    model: type[BaseModel] = create_model(name, **given)
    model.__doc__ = doc
    return model


class BestSeller(BaseModel):
    """A product, and what was sold of it."""

    product_id: Key
    name: str | None
    sku: str | None
    units: Count
    returned_units: Count
    gross: Sum
    discount: Sum
    refunded: Sum
    net: Sum


class ClientSales(BaseModel):
    """A client, and what they bought."""

    client_id: Key
    name: str | None
    lastname: str | None
    is_new: bool = Field(description="Whether they never bought before")
    orders: Count
    units: Count
    gross: Sum
    discount: Sum
    shipping: Sum
    refunded: Sum
    net: Sum


class StockFigures(BaseModel):
    """Products, their stock, and what it is worth at its prices."""

    products: Count
    units: Count
    value: Sum
    low: Count = Field(description="Products whose stock is at most their reorder_level")
    out: Count = Field(description="Products without stock")


class CategoryStock(StockFigures):
    """The stock of one category."""

    category_id: Key | None
    name: str | None


SalesReport = _report(
    "SalesReport",
    "Sales by group. `totals` are of all groups, also of those that `limit` leaves out.",
    group=(SalesGroup, ...),
    rows=(list[SalesRow], ...),
    totals=(SalesFigures, ...),
)
BestSellersReport = _report(
    "BestSellersReport", "The products of which most pieces were sold and kept.", rows=(list[BestSeller], ...)
)
ClientsReport = _report(
    "ClientsReport",
    "Who bought, those with most value first; how many of all bought for the first time, and how many had before.",
    new=(Count, ...),
    returning=(Count, ...),
    rows=(list[ClientSales], ...),
)


class TaxFigures(BaseModel):
    """What was sold and not given back: `gross` is `net` and the `tax` on it."""

    net: Sum
    tax: Sum
    gross: Sum


TaxesReport = _report(
    "TaxesReport",
    "Bills less credit bills, by country and rate of tax. `totals` are of all of them, also of those that `limit` leaves out.",
    rows=(list[BillTaxRead], ...),
    totals=(TaxFigures, ...),
)


class StockReport(BaseModel):
    """The stock of each category now, and of all."""

    rows: list[CategoryStock]
    totals: StockFigures
