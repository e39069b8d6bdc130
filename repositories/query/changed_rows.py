"""Many rows added, changed or removed by few statements, for requests about thousands of rows."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, ClassVar, TypeVar

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, bindparam, delete, exists, func, select, update
from sqlalchemy.orm import Session

from models.unique_fields import unique_texts
from repositories.author import author_of
from repositories.query.filters import form_of
from repositories.query.new_rows import NewRows, given_rows, in_places, rows_statement
from repositories.query.portions import ROWS_PER_STATEMENT, portions

T = TypeVar("T")


class ChangedRows(NewRows):
    """A table whose rows are added, changed and removed by the thousand.

    Rows must be locked before they are changed or removed.
    """

    session: Session
    # See `stored_forms`.
    forms: ClassVar[Mapping[str, Any]] = {}

    def add_all(
        self,
        values: Sequence[Mapping[str, Any]],
        fields: tuple[str, ...],
        shown: Callable[[list[Any]], T],
        *,
        told: bool = True,
    ) -> list[T]:
        """What `shown` makes of new rows, some at a time, in the order of `values`, which all have the same fields.

        It gets the columns `fields`, the key first. Without an event for each row if not `told`.
        """
        added: list[T] = []
        author = author_of(self.session)
        statement = rows_statement(type(self), tuple(values[0]), fields, author.is_audited, told)
        for rows in portions(in_places(values)):
            # Keys are assigned in the order of the places, but RETURNING promises no order.
            found = self.session.execute(statement, {**author.parameters(), "rows": rows}).all()
            added.append(shown(sorted(found, key=itemgetter(0))))
        return added

    def update_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows that all have the same fields, the key among them. Objects of the session follow."""
        if not rows:
            return
        given = given_rows(self.model.__table__, tuple(rows[0]))
        values = {name: given.c[name] for name in rows[0] if name != "id_key"}
        statement = update(self.model).where(self.model.id_key == given.c.id_key).values(values)
        # As objects, so that they have what the database computes, such as the version.
        refreshed = statement.returning(self.model).execution_options(synchronize_session=False, populate_existing=True)
        for some in portions(rows):
            self.session.scalars(refreshed, {"rows": some}).all()

    def delete_all(self, row_ids: Sequence[int]) -> None:
        """Remove the rows, and what depends on them."""
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


def stored_forms(model: type[Any]) -> dict[str, Any]:
    """The form of each unique text as the database has it, by the field."""
    return {
        unique.field: getattr(model, unique.kept_in) if unique.kept_in else form_of(getattr(model, unique.field))
        for unique in unique_texts(model)
    }
