"""Many rows changed or removed by few statements, for requests about thousands of them at once."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, bindparam, delete, exists, func, select, update
from sqlalchemy.orm import Session

from repositories.new_rows import given_rows
from schemas.json_codec import to_json

# So few that no statement comes near its timeout.
ROWS_PER_STATEMENT = 2000


class ChangedRows:
    """A table whose rows are changed and removed by the thousand. All of them must have been locked before."""

    model: ClassVar[type[Any]]
    session: Session
    # Unique field -> the form of it by which rows are told apart.
    forms: ClassVar[Mapping[str, Any]] = {}

    def update_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows that all have the same fields, the key among them. Objects of the session follow."""
        for start in range(0, len(rows), ROWS_PER_STATEMENT):
            some = rows[start : start + ROWS_PER_STATEMENT]
            given = given_rows(self.model.__table__, tuple(some[0]))
            values = {name: given.c[name] for name in some[0] if name != "id_key"}
            statement = update(self.model).where(self.model.id_key == given.c.id_key).values(values)
            # As objects: what the database computes, the version among it, is then known of every row.
            refreshed = statement.returning(self.model).execution_options(
                synchronize_session=False, populate_existing=True
            )
            self.session.scalars(refreshed, {"rows": to_json(some).decode()}).all()

    def delete_all(self, row_ids: Sequence[int]) -> None:
        """Remove the rows at once, and what depends on them."""
        for start in range(0, len(row_ids), ROWS_PER_STATEMENT):
            keys = list(row_ids[start : start + ROWS_PER_STATEMENT])
            removal = delete(self.model).where(self.model.id_key == func.any(bindparam("keys")))
            self.session.execute(removal.execution_options(synchronize_session=False), {"keys": keys})

    def holders(self, field: str, forms: Sequence[str]) -> dict[str, int]:
        """The keys of the rows that have one of `forms` of the unique `field`, by these forms."""
        stored = self.forms[field]
        found = select(stored, self.model.id_key).where(stored == any_(bindparam("forms")))
        return {row[0]: row[1] for row in self.session.execute(found, {"forms": list(forms)})}

    def referred_to(self, column: ColumnElement[Any], row_ids: Sequence[int]) -> set[int]:
        """Those of the keys that some row of another table has in `column`."""
        # Key by key: there may be a million rows that point to one of them.
        key = func.unnest(bindparam("keys", type_=ARRAY(BigInteger))).column_valued("key")
        found = select(key).where(exists().where(column == key))
        return set(self.session.scalars(found, {"keys": list(row_ids)}))
