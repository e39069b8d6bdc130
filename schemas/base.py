"""What the schemas of all entities share: bodies, answers, list queries and pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic.fields import FieldInfo

from schemas.fields import OR_FAR, Key, QueryCount, QueryReference, Reference, Timestamp
from schemas.validation import MAX_ERRORS, without_most_unknown

# More rows than this are counted by estimate: an exact count would have to visit them all.
EXACT_COUNT_LIMIT = 10_000
MAX_PAGE = 1000
# OFFSET is a 64-bit number for PostgreSQL; nothing lies behind it.
_MAX_SKIP = 2**63 - 1

READ_ONLY = frozenset({"id_key", "created_at", "updated_at"})


def without_default(schema: dict[str, Any]) -> None:
    """Keep the documentation from telling a default: what has nothing to say is left out, not empty or null."""
    schema.pop("default", None)


# The default of a field that may be left out and must not be null: what was left out is never read
# (see `Body.sent`), so it has no value of its own.
LEFT_OUT: Any = Field(default=None, json_schema_extra=without_default)
# Money that may be left out and then is nothing; for JSON the default is a number.
NO_MONEY: Any = Field(default=Decimal("0.00"), json_schema_extra={"default": 0})


def _show_read_only(schema: dict[str, Any], body: "type[Body]") -> None:
    for name in sorted(body.read_only):
        schema["properties"][name] = {"readOnly": True, "description": "Ignored"}


class Body(BaseModel):
    """A request body. Unknown fields are refused; those that are `read_only` are ignored."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_show_read_only)

    read_only: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _ignore_read_only(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        writable = {name: value for name, value in data.items() if name not in cls.read_only}
        if len(writable) > MAX_ERRORS:
            return without_most_unknown(writable, cls.model_fields)
        return writable

    def sent(self) -> dict[str, Any]:
        """The fields that the client sent, by name, and no others."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Create(Body):
    """A body that makes a row. What a GET of the row shows and nobody may write is read-only."""

    read_only: ClassVar[frozenset[str]] = READ_ONLY


class Update(Body):
    """A body that changes the fields it names. `updated_at` says which version of the row its sender had read."""

    read_only: ClassVar[frozenset[str]] = READ_ONLY - {"updated_at"}

    updated_at: Annotated[Timestamp, OR_FAR, Field(description="The version that was read; any other is 409")] = (
        LEFT_OUT
    )


def update_of(create: type[Create]) -> type[Update]:
    """The `Update` schema that goes with `create`: the same fields, each of them optional.

    A field that was not sent stays as it is; `null` is accepted only where `create` accepts it.
    """
    fields: dict[str, Any] = {
        name: (
            Annotated[(info.annotation, *info.metadata, *_also(info), Field(description=info.description))],
            LEFT_OUT,
        )
        for name, info in create.model_fields.items()
    }
    thing = create.__name__.removesuffix("Create")
    schema = create_model(f"{thing}Update", __base__=Update, __module__=create.__module__, **fields)
    schema.read_only = create.read_only - {"updated_at"}
    schema.__doc__ = f"The fields of one {thing} that are to change; the others stay as they are."
    return schema


def _also(info: FieldInfo) -> list[Any]:
    return [OR_FAR] if info.annotation in (date, datetime) else []


def bulk_update_of(update: type[Update]) -> type[Update]:
    """The schema of one row of a bulk change: `update`, and which row it is about."""
    key: Any = (Reference, Field(description="The row to change"))
    name = f"{update.__name__.removesuffix('Update')}BulkUpdate"
    schema = create_model(name, __base__=update, __module__=update.__module__, id_key=key)
    schema.read_only = update.read_only - {"id_key"}
    schema.__doc__ = f"{update.__doc__} `id_key` says which."
    return schema


class BulkDelete(Body):
    """A row to delete."""

    id_key: Reference = Field(description="The row to delete")
    updated_at: Annotated[Timestamp, OR_FAR, Field(description="The version that was read; any other is 409")] = (
        LEFT_OUT
    )


class Read(BaseModel):
    """An answer: every field is always there. Its fields are the columns that a query selects."""

    # Rows are rendered and never validated: only the documentation ever asks for what pydantic would build here.
    model_config = ConfigDict(defer_build=True)

    id_key: Key
    created_at: datetime
    updated_at: datetime


def _reachable(skip: int) -> int:
    return min(skip, _MAX_SKIP)


class ListQuery(BaseModel):
    """The query of a list. A subclass adds the filters of its entity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # What shapes the answer without choosing rows.
    shaping: ClassVar[frozenset[str]] = frozenset({"skip", "limit", "after", "sort"})

    skip: Annotated[QueryCount, AfterValidator(_reachable)] = Field(
        default=0, ge=0, description="How many rows to pass over"
    )
    limit: QueryCount = Field(default=100, ge=1, le=MAX_PAGE, description="How many rows to show")
    after: QueryReference | None = Field(
        default=None, description="Only rows with a larger id_key; not together with skip or sort"
    )
    sort: str | None = Field(
        default=None, max_length=200, description="Columns to order by, such as price or -price,name"
    )

    @model_validator(mode="after")
    def _one_way_of_paging(self) -> Self:
        if self.after is not None and {"skip", "sort"} & self.model_fields_set:
            raise ValueError("after cannot be combined with skip or sort")
        return self

    def filters(self) -> dict[str, Any]:
        """The filters that were asked for, by name."""
        return {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name not in self.shaping and getattr(self, name) is not None
        }

    def sort_keys(self) -> tuple[tuple[str, bool], ...]:
        """The columns to order by, each with whether it descends."""
        if self.sort is None:
            return ()
        return tuple((key.removeprefix("-"), key.startswith("-")) for key in self.sort.split(","))


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, and how many there are in all."""

    rows: Sequence[Any]
    total: int
    estimated: bool = False
