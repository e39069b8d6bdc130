"""Lists in the order of a column that has no index, because it changes with every sale.

Another column rises with it in steps, and is in an index: steps of twice the width of the one before change so seldom that
a sale touches no index. The rows of the steps up to the end of a page are read and sorted. What this costs grows with the
number of rows in the step at the end; the first two steps have one value each, and are read in the order of the keys.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, literal_column, select, union_all

from repositories.query.list_shape import ListedTable, ListShape
from repositories.query.pages import REACH, cut_out

# The last step of one value.
_SINGLE: ColumnElement[int] = literal_column("1")


def by_steps(
    listed: type[ListedTable],
    shape: ListShape,
    conditions: Sequence[ColumnElement[bool]],
    size: Sequence[ColumnElement[Any]],
) -> Select[Any]:
    """The page of the rows that fulfil the conditions, with the columns `size` behind each row."""
    ((name, descends),) = shape.sort
    column, step = getattr(listed.model, name), listed.steps[name]
    keys = select(listed.model.id_key, column.label("value")).where(*conditions)
    order = column.desc() if descends else column.asc()
    first = select(step.label("step")).where(*conditions).order_by(step.desc() if descends else step.asc()).limit(REACH)
    reached = first.subquery()
    at_end = reached.c.step.asc() if descends else reached.c.step.desc()
    ends = select(reached.c.step).order_by(at_end).limit(1).cte("ends")
    last = select(ends.c.step).scalar_subquery()
    parts = (
        keys.where(step > last if descends else step < last).order_by(order),
        keys.where(step == last, last <= _SINGLE).order_by(listed.model.id_key),
        keys.where(step == last, last > _SINGLE).order_by(order, listed.model.id_key),
    )
    found = union_all(*(part.limit(REACH) for part in parts)).subquery()
    return cut_out(listed, shape, found, size, ascending=not descends)
