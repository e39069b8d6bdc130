"""Bodies, answers and filters of products, and of the changes of their stock."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from schemas.base import Body, Create, ListQuery, Read, update_of
from schemas.fields import (
    Flag,
    Key,
    Money,
    Name200,
    Price,
    QueryFlag,
    QueryNumber,
    QueryReference,
    QueryText,
    Reference,
    Stock,
    StockDelta,
    Text64,
    Text5000,
    Url,
)


class ProductCreate(Create):
    """A new product."""

    name: Name200
    sku: Text64 | None = None
    description: Text5000 | None = None
    price: Price
    stock: Stock = 0
    category_id: Reference
    image: Url | None = None
    active: Flag = True


ProductUpdate = update_of(ProductCreate)


class ProductRead(Read):
    """A product."""

    name: str
    sku: str | None
    description: str | None
    price: Money
    stock: int
    category_id: Key
    image: str | None
    active: bool


class ProductQuery(ListQuery):
    """Filters of the list of products."""

    sku: QueryText | None = None
    category_id: QueryReference | None = None
    min_price: QueryNumber | None = Field(default=None, description="Only rows that cost at least this")
    max_price: QueryNumber | None = Field(default=None, description="Only rows that cost at most this")
    in_stock: QueryFlag | None = Field(default=None, description="Only rows of which there are some, or none")
    active: QueryFlag | None = None
    q: QueryText | None = Field(default=None, description="Words in the name; typing errors are forgiven")


class StockChange(Body):
    """A change of a product's stock by hand."""

    delta: StockDelta = Field(description="How many pieces come in, or go out")
    reason: Literal["receipt", "edit"] = "receipt"


class StockMovementRead(BaseModel):
    """One entry of a product's ledger."""

    id_key: Key
    product_id: Key
    delta: int
    reason: Literal["initial", "sale", "cancel", "return", "receipt", "edit"]
    order_detail_id: Key | None
    created_at: datetime


class StockMovementQuery(ListQuery):
    """The query of a product's ledger."""
