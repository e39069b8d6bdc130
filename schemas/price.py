"""Responses and queries of the price history of products, and of its statistics."""

from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, Field

from schemas.base import ListQuery, Parameters
from schemas.field_types import Count, Key, Money
from schemas.query_types import QueryCount

MAX_DAYS = 3650


class PriceChangeRead(BaseModel):
    """One price of a product, and when it held."""

    id_key: Key
    product_id: Key
    price: Money
    valid_from: datetime
    valid_until: datetime | None = Field(description="When the next price began; null for the one that holds now")


class PriceHistoryQuery(ListQuery):
    """The page of a price history."""

    row: ClassVar[type[BaseModel]] = PriceChangeRead


class PriceStatsQuery(Parameters):
    """The days that statistics are about."""

    single_row_parameters: ClassVar[frozenset[str]] = frozenset({"days"})

    days: QueryCount = Field(
        default=30, ge=1, le=MAX_DAYS, description="How many days back from now, of 24 hours each", examples=[90]
    )


class PriceStatsRead(BaseModel):
    """What a product cost during the last days, or since there is the product. A price counts while it was in force."""

    product_id: Key
    days: int = Field(ge=1, le=MAX_DAYS)
    current: Money
    min: Money
    max: Money
    average: Money = Field(description="Weighted by the time that each price held, rounded to cents, half up")
    changes: Count = Field(description="How often the price changed; the first price of a product is no change")
    lowest_before_reduction: Money | None = Field(
        description=(
            "The lowest price of the 30 days before the latest reduction, however long ago that was, the price in force "
            "when they began included (Directive 98/6/EC, article 6a); null if the price was never reduced"
        )
    )
    reduced_at: datetime | None = Field(description="When the latest reduction was; null if there was none")
