"""Export to CSV files: what `services.csv.importer` reads, and what is only to be read elsewhere.

The columns of an entity that can be imported are the fields that a client may set, so that a file makes the same rows in
another database: references are names, and keys and times are left out. Other rows have the columns that the API shows,
keys and times included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.orm import Session

from models import Bill, Order, OrderDetail
from repositories.csv.export import Sink, copy_out, count
from schemas.base import Read
from schemas.bill import BillRead
from schemas.order import OrderRead
from schemas.order_detail import OrderDetailRead
from services.csv.entities import CSV_ENTITIES, CsvEntity


@dataclass(frozen=True, slots=True)
class Exported:
    """A table with the columns of its file; what a column of `named` points to stands in its place."""

    table: Table
    columns: Sequence[str]
    named: Mapping[str, Column[Any]] = field(default_factory=dict)


def _to_import(entity: CsvEntity) -> Exported:
    named = {
        name: other.repository_type.model.__table__.c[next(iter(other.unique))]
        for name, other in entity.service.references.items()
    }
    return Exported(entity.table, list(entity.create.model_fields), named)


def _as_shown(model: type[Any], schema: type[Read]) -> Exported:
    table: Table = model.__table__
    return Exported(table, [name for name in schema.model_fields if name in table.c])


EXPORTS = {
    **{name: _to_import(entity) for name, entity in CSV_ENTITIES.items()},
    "orders": _as_shown(Order, OrderRead),
    "order_details": _as_shown(OrderDetail, OrderDetailRead),
    "bills": _as_shown(Bill, BillRead),
}


class CsvExport:
    """All rows of a table, in the order of their keys.

    `for_spreadsheets` makes harmless the cells that a spreadsheet would run: see `repositories.csv.export`.
    """

    def __init__(self, session: Session, exported: Exported, *, for_spreadsheets: bool = False) -> None:
        self.session, self.exported, self._for_spreadsheets = session, exported, for_spreadsheets

    def count(self) -> int:
        """How many rows there are."""
        return count(self.session, self.exported.table)

    def run(self, sink: Sink) -> None:
        """Write the header and the rows, one call each."""
        kind = self.exported
        copy_out(self.session, kind.table, kind.columns, kind.named, sink, for_spreadsheets=self._for_spreadsheets)
