"""The entities with CSV files, and the columns of these."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from config.settings import get_settings
from models import PriceChange, StockMovement
from schemas.base import Create
from schemas.category import CategoryCreate
from schemas.client import ClientCreate
from schemas.product import ProductCreate
from services.bulk import BulkService
from services.category import CategoryService
from services.client import ClientService
from services.csv.cells import NUMBERS, kind_of
from services.product import ProductService


@dataclass(frozen=True, slots=True)
class CsvEntity:
    """An entity that a CSV file may hold. Its columns are the fields of `create`, the body that makes a row."""

    service: type[BulkService[Any]]
    create: type[Create]
    # The ledger with the first stock of its rows.
    ledger: Table | None = None
    # What triggers write about new rows.
    history: Table | None = None

    @property
    def key_field(self) -> str:
        """The field with the natural key."""
        return next(iter(self.service.unique))

    @property
    def defaults(self) -> Mapping[str, Any]:
        """What new rows get in fields that are left out."""
        currency = {"currency": get_settings().currency} if "currency" in self.create.model_fields else {}
        return {**self.service.defaults, **currency}

    @property
    def table(self) -> Table:
        """The table of the rows."""
        table: Table = self.service.repository_type.model.__table__
        return table

    def number_fields(self) -> frozenset[str]:
        """The fields whose cells are numbers."""
        return frozenset(name for name in self.create.model_fields if kind_of(self.create, name) in NUMBERS)

    def named_references(self) -> dict[str, str]:
        """Columns that may stand for a reference, such as `category` for `category_id`, with what they stand for."""
        return {field.removesuffix("_id"): field for field in self.service.references}


_LEDGER: Any = StockMovement.__table__
_PRICES: Any = PriceChange.__table__

CSV_ENTITIES = {
    "products": CsvEntity(ProductService, ProductCreate, _LEDGER, _PRICES),
    "clients": CsvEntity(ClientService, ClientCreate),
    "categories": CsvEntity(CategoryService, CategoryCreate),
}
