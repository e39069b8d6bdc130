"""What all tables share: key, timestamps, naming convention of constraints, column types, and indexes."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Numeric,
    String,
    Table,
    TextClause,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from infrastructure.database.datetimes import FarDatetime
from models.text_key import text_key
from models.unique_fields import UNIQUE_TEXT, UniqueText

# What a constraint knows: the only values of a column.
_VALUES = "values"

Money = Annotated[Decimal, mapped_column(Numeric(12, 2))]
# That of the shop, which the function returns (see `infrastructure.database.shop_currency`).
Currency = Annotated[str, mapped_column(String(3), server_default=text("shop_currency()"))]


def next_version(updated_at: str) -> str:
    """The SQL expression for the next version of the column `updated_at`.

    It changes with every change of the row, even for two changes in one microsecond. From a time far in the future, after
    which there may be no other, it goes back to the present.
    """
    later = f"GREATEST(clock_timestamp(), {updated_at} + interval '1 microsecond')"
    return f"CASE WHEN {updated_at} < '9999-01-01' THEN {later} ELSE clock_timestamp() END"


class Base(DeclarativeBase):
    """The declarative root. Constraint names follow one convention, which `services/integrity.py` reads."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class Row(Base):
    """A table whose rows have a generated key, and the times of their creation and last change.

    Every such table has the trigger `move_version`, for SQL changes by other programs that do not set `updated_at`.
    """

    __abstract__ = True
    __mapper_args__ = {"eager_defaults": True}

    id_key: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True, sort_order=-1)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now(), sort_order=100)
    updated_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), onupdate=text(next_version("updated_at")), sort_order=101
    )

    @property
    def version(self) -> str:
        """A text that differs between any two states of the row; its ETag without the quotes."""
        return version(self.id_key, self.updated_at)


def version(id_key: int, updated_at: datetime | FarDatetime) -> str:
    """The version of a row with this key, last changed at this time."""
    if isinstance(updated_at, FarDatetime):
        return f"{id_key:x}-{hashlib.blake2b(updated_at.encode(), digest_size=8).hexdigest()}"
    return f"{id_key:x}-{int(updated_at.timestamp()) * 1_000_000 + updated_at.microsecond:x}"


def not_nan(column: str) -> CheckConstraint:
    """The constraint that an amount is not NaN, which PostgreSQL sorts above all numbers."""
    return CheckConstraint(f"{column} <> 'NaN'", name=f"{column}_is_a_number")


def known(column: str, kind: type[Enum]) -> CheckConstraint:
    """That the column holds a value of the enumeration; its numbers have no gap."""
    values = tuple(member.value for member in kind)
    known_values = f"BETWEEN {values[0]} AND {values[-1]}" if issubclass(kind, int) else f"IN {values}"
    return CheckConstraint(f"{column} {known_values}", name=f"{column}_known", info={_VALUES: {column: values}})


def reference(column: str, ondelete: str = "RESTRICT") -> ForeignKey:
    """A foreign key to `table.column`; RESTRICT unless the row is deleted with the one it refers to."""
    return ForeignKey(column, ondelete=ondelete)


def list_index(table: str, *columns: str, name: str = "") -> Index:
    """An index for lists filtered or sorted by the first column; with the key behind it, pages need no sort.

    Further columns have few values, which filters ask for together with the first (see `repositories.query.merged_lists`).
    """
    return Index(name or f"ix_{table}_{columns[0]}", *columns, "id_key")


def tax_class_index(table: str) -> Index:
    """For whoever deletes a tax class, of the few rows that name one."""
    return Index(f"ix_{table}_tax_class_id", "tax_class_id", postgresql_where=text("tax_class_id IS NOT NULL"))


def list_indexes(table: Table) -> list[tuple[str, ...]]:
    """The columns before the key of each index for lists."""
    found = (tuple(index.columns.keys()) for index in table.indexes if len(index.columns) == len(index.expressions))
    return [columns[:-1] for columns in found if len(columns) > 1 and columns[-1] == "id_key"]


def few_values(table: Table) -> dict[str, tuple[Any, ...]]:
    """The columns that can have few values only, with these values."""
    few = {column.name: (False, True) for column in table.c if isinstance(column.type, Boolean)}
    for constraint in table.constraints:
        few |= constraint.info.get(_VALUES, {})
    return few


def text_index(table: str, column: str) -> Index:
    """An index for lists filtered by the text key of `column` (see `models.text_key`)."""
    return Index(f"ix_{table}_{column}_key", text(f"text_key({column})"), "id_key")


def unique_key(
    table: str, column: str, name: str = "", form: Callable[[str], str] = text_key, kept_in: str | None = None
) -> Index:
    """A unique index on the text key of `column` (see `models.unique_fields`)."""
    key, unique = text(f"text_key({column})"), UniqueText(column, form, kept_in)
    return Index(name or f"uq_{table}_{column}_key", key, unique=True, info={UNIQUE_TEXT: unique})


def range_index(table: str, name: str, value: str | TextClause) -> Index:
    """An index for lists filtered by a range of `value` in the order of the keys (see `repositories.query.lists`).

    It needs the extension btree_gist. Every node holds the range of its values, which costs little for numbers and dates
    of fixed size, and much for `numeric`. The key is indexed as a sum, because PostgreSQL would otherwise use the index
    instead of the primary key for a single row.
    """
    return Index(f"ix_{table}_key_{name}", text("(id_key + 0)"), value, postgresql_using="gist")
