"""Export to a CSV file that `services.csv.importer` reads.

The columns are the fields that a client may set, so that a file makes the same rows in another database: references
are names, and keys and times are left out. A cell is the stored text and nothing else, also where a spreadsheet would
take it for a formula.
"""

from sqlalchemy.orm import Session

from repositories.csv.export import Sink, copy_out, count
from services.csv.entities import CsvEntity


class CsvExport:
    """All rows of `entity`, in the order of their keys."""

    def __init__(self, session: Session, entity: CsvEntity) -> None:
        self.session, self.entity = session, entity

    def count(self) -> int:
        """How many rows there are."""
        return count(self.session, self.entity.table)

    def run(self, sink: Sink) -> None:
        """Write the header and the rows, one call each."""
        named = {
            field: other.repository_type.model.__table__.c[next(iter(other.unique))]
            for field, other in self.entity.service.references.items()
        }
        copy_out(self.session, self.entity.table, list(self.entity.create.model_fields), named, sink)
