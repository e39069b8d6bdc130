"""Bodies, responses and filters of products, and of the changes of their stock."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from schemas.base import LEFT_OUT, READ_ONLY, Body, Create, ListQuery, Read, update_of
from schemas.enumerations import StockReason, StockReasonByHand
from schemas.field_types import (
    Currency,
    Flag,
    Key,
    Money,
    Name200,
    OrNull,
    Pieces,
    PiecesMoved,
    Price,
    Reference,
    ShopCurrency,
    Stars,
    Stock,
    StockDelta,
    Text64,
    Text5000,
    Url,
)
from schemas.query_types import QueryFlag, QueryNumber, QueryReferences, QueryStock, QueryStockReasons, QueryText

_SEARCH = (
    "Words of any script in name, SKU and description. Names with the words as they stand come first, then names that "
    "resemble them (typing errors are forgiven), then SKUs that are or begin with them, then products that have all of "
    "them anywhere; `sort` and `after` have their own order. Case and accents make no difference. Where 1,000 products "
    "have all the words, only these are found. Without a letter or digit nothing is."
)

_REORDER_LEVEL = "When stock falls to this level or below, the event `stock.low` says so; null for none"

_TAX_CLASS = "How it is taxed; null for the tax class of its category, or else `standard`"

# What its reviews say of a product: it changes its entity tag, and not its version.
OF_REVIEWS: Mapping[str, Any] = {"rating_average": Stars | None, "review_count": Pieces}


class ProductCreate(Create):
    """A new product."""

    read_only: ClassVar[Mapping[str, Any]] = {**READ_ONLY, **OF_REVIEWS}

    name: Name200
    sku: OrNull[Text64] = None
    description: OrNull[Text5000] = None
    price: Price
    stock: Stock = 0
    category_id: Reference
    tax_class_id: Reference | None = Field(default=None, description=_TAX_CLASS)
    image: OrNull[Url] = None
    active: Flag = True
    reorder_level: Stock | None = Field(default=None, description=_REORDER_LEVEL)
    currency: ShopCurrency = LEFT_OUT


ProductUpdate = update_of(ProductCreate)


class ProductRead(Read):
    """A product."""

    name: str = Field(max_length=200)
    sku: str | None = Field(max_length=64)
    description: str | None
    price: Money
    stock: Pieces
    category_id: Key
    tax_class_id: Key | None = Field(description=_TAX_CLASS)
    image: str | None = Field(max_length=500)
    active: bool
    reorder_level: Pieces | None = Field(description=_REORDER_LEVEL)
    currency: Currency
    rating_average: Stars | None = Field(
        description="The average of its reviews, rounded to 2 decimals; null without one"
    )
    review_count: Pieces = Field(description="How many reviews it has")


class CategoryProductsQuery(ListQuery):
    """Filters of the products of one category."""

    row: ClassVar[type[BaseModel]] = ProductRead

    sku: QueryText | None = None
    min_price: QueryNumber | None = Field(default=None, description="Only rows that cost at least this")
    max_price: QueryNumber | None = Field(default=None, description="Only rows that cost at most this")
    in_stock: QueryFlag | None = Field(default=None, description="Only rows of which there are some, or none")
    low_stock: QueryFlag | None = Field(
        default=None, description="Only rows whose stock is at its reorder_level or below, or all others"
    )
    stock_below: QueryStock | None = Field(
        default=None, description="Only rows of which there are fewer than this", examples=[5]
    )
    active: QueryFlag | None = Field(default=None, description="Only rows that are on sale, or are not")
    q: QueryText | None = Field(default=None, description=_SEARCH, examples=["desk lamp"])


class ProductQuery(CategoryProductsQuery):
    """Filters of the list of products."""

    category_id: QueryReferences = ()


class StockChange(Body):
    """A change of a product's stock by hand."""

    delta: StockDelta = Field(description="How many pieces come in, or go out")
    reason: StockReasonByHand = Field(default="receipt", description="`receipt` or `edit`; the others are the server's")


class StockMovementRead(BaseModel):
    """One entry of a product's ledger."""

    id_key: Key
    product_id: Key
    delta: PiecesMoved
    reason: StockReason
    order_detail_id: Key | None
    created_at: datetime


class StockMovementQuery(ListQuery):
    """Filters of a product's ledger."""

    row: ClassVar[type[BaseModel]] = StockMovementRead

    reason: QueryStockReasons = ()
