"""What the schemas of all entities share: bodies, responses, list queries and pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar, Self, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from models.text_key import is_blank
from schemas.error_limits import MAX_ERRORS, limit_unknown_fields
from schemas.field_types import Key, Reference, refusal
from schemas.json_schema import MAX_KEY, without_default
from schemas.query_types import QueryCount, QueryKey, QueryKeys, subset_of
from schemas.time_types import OR_FAR, Timestamp

# More rows are counted by an estimate: an exact count would have to visit them all.
EXACT_COUNT_LIMIT = 10_000
MAX_PAGE = 1000
# The suffix of the name of a filter with several values.
IN_SUFFIX = "_in"

# The fields of every row that clients cannot write, with their types.
READ_ONLY: Mapping[str, Any] = {"id_key": Key, "created_at": datetime, "updated_at": datetime}


# The default of a field that may be left out and must not be null. The value of such a field is never used (see
# `Body.sent`).
LEFT_OUT: Any = Field(default=None, json_schema_extra=without_default)
# The default of an amount that may be left out: zero, which is a number in JSON.
NO_MONEY: Any = Field(default=Decimal("0.00"), json_schema_extra={"default": 0})


# The `updated_at` of the row that the client has read.
ReadVersion = Annotated[Timestamp, OR_FAR, Field(description="The version that was read; any other is 409")]


def _show_read_only(schema: dict[str, Any], body: "type[Body]") -> None:
    for name, kind in sorted(body.read_only.items()):
        documented = TypeAdapter(kind).json_schema(mode="serialization")
        schema["properties"][name] = {**documented, "readOnly": True, "description": "Ignored"}


class Body(BaseModel):
    """A request body. Unknown fields are refused; those that are `read_only` are ignored."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_show_read_only)

    # Each field with its type, for the documentation only.
    read_only: ClassVar[Mapping[str, Any]] = {}

    @model_validator(mode="before")
    @classmethod
    def _ignore_read_only(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        writable = {name: value for name, value in data.items() if name not in cls.read_only}
        if len(writable) > MAX_ERRORS:
            return limit_unknown_fields(writable, cls.model_fields)
        return writable

    def sent(self) -> dict[str, Any]:
        """The fields that the client sent, by name, and no others."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Create(Body):
    """A body that creates a row. The fields that a GET shows and clients cannot write are read-only."""

    read_only: ClassVar[Mapping[str, Any]] = READ_ONLY


def without_version(read_only: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields that a change of a row ignores; `updated_at`, the version that was read, is not one of them."""
    return {name: kind for name, kind in read_only.items() if name != "updated_at"}


class Update(Body):
    """A body that changes the fields it names. `updated_at` says which version of the row its sender had read."""

    read_only: ClassVar[Mapping[str, Any]] = without_version(READ_ONLY)

    updated_at: ReadVersion = LEFT_OUT


def update_of(create: type[Create], **other: Any) -> type[Update]:
    """The `Update` schema that goes with `create`: the same fields, each of them optional.

    A field that was not sent stays as it is; `null` is accepted only where `create` accepts it. `other` are types of fields
    that a change reads in another way.
    """
    fields: dict[str, Any] = {
        name: (
            Annotated[(info.annotation, *info.metadata, *_extra_validators(info), Field(description=info.description))],
            LEFT_OUT,
        )
        for name, info in create.model_fields.items()
    }
    fields |= {name: (kind, LEFT_OUT) for name, kind in other.items()}
    thing = create.__name__.removesuffix("Create")
    schema = create_model(f"{thing}Update", __base__=Update, __module__=create.__module__, **fields)
    schema.read_only = without_version(create.read_only)
    schema.__doc__ = f"The fields of one {thing} that are to change; the others stay as they are."
    return schema


def _extra_validators(info: FieldInfo) -> list[Any]:
    return [OR_FAR] if info.annotation in (date, datetime) else []


def bulk_update_of(update: type[Update]) -> type[Update]:
    """The schema of one row of a bulk change: `update`, and which row it is about."""
    key: Any = (Reference, Field(description="The row to change"))
    name = f"{update.__name__.removesuffix('Update')}BulkUpdate"
    schema = create_model(name, __base__=update, __module__=update.__module__, id_key=key)
    schema.read_only = {name: kind for name, kind in update.read_only.items() if name != "id_key"}
    schema.__doc__ = f"{update.__doc__} `id_key` says which."
    return schema


class BulkDelete(Body):
    """A row to delete."""

    id_key: Reference = Field(description="The row to delete")
    updated_at: ReadVersion = LEFT_OUT


class Read(BaseModel):
    """An answer: every field is always there. Its fields are the columns that a query selects."""

    # Rows are rendered and never validated: only the documentation needs the validators that pydantic would build.
    model_config = ConfigDict(defer_build=True)

    id_key: Key
    created_at: datetime
    updated_at: datetime


def _bounded_offset(skip: int) -> int:
    # OFFSET of PostgreSQL has 64 bits; there are no rows behind it.
    return min(skip, MAX_KEY)


class Parameters(BaseModel):
    """The parameters of a query, whose values are lists of texts.

    One whose type is a tuple takes several values, and may be repeated. One without text is as if left out, except for the
    numbers of a page, which have no meaning without one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Those that requests about a single row have.
    single_row_parameters: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters, each with a list of its values that are not blank."""
        asked = {}
        for name, value in given.items():
            asked[name] = [value] if isinstance(value, str) else value
            if name not in ("skip", "limit") and isinstance(asked[name], list):
                asked[name] = [text for text in asked[name] if not is_blank(text)]
        return {name: value for name, value in asked.items() if value != []}

    @field_validator("*", mode="before")
    @classmethod
    def _one_or_several(cls, texts: Any, info: ValidationInfo) -> Any:
        if not isinstance(texts, list) or info.field_name in _array_parameters(cls):
            return texts
        if len(texts) > 1:
            raise refusal("must be given once")
        return texts[0]


class ListQuery(Parameters):
    """The query of a list. A subclass names what its rows are, and adds the filters of its entity."""

    row: ClassVar[type[BaseModel]] = Read
    # Parameters that shape the response and filter no rows; and those of them that a single row has too.
    shaping: ClassVar[frozenset[str]] = frozenset({"skip", "limit", "after", "sort", "fields"})
    single_row_parameters: ClassVar[frozenset[str]] = frozenset({"fields"})

    skip: Annotated[QueryCount, AfterValidator(_bounded_offset)] = Field(
        default=0, ge=0, description="How many rows to pass over", examples=[0]
    )
    limit: QueryCount = Field(default=100, ge=1, le=MAX_PAGE, description="How many rows to show", examples=[20])
    after: QueryKey | None = Field(
        default=None,
        description="Only rows with a larger id_key; not together with skip above 0 or sort",
        examples=[100],
    )
    sort: str | None = Field(
        default=None, max_length=200, description="Columns to order by, such as price or -price,name"
    )
    fields: tuple[str, ...] = Field(default=(), description="Fields to show of each row beside id_key")
    id_key: QueryKeys = ()

    @field_validator("fields", mode="before")
    @classmethod
    def _known_fields(cls, texts: Any) -> tuple[str, ...]:
        """The selected fields and the key, in the order of the row; empty if all are selected."""
        known = tuple(cls.row.model_fields)
        chosen = {"id_key", *subset_of(known)(texts)}
        return tuple(name for name in known if name in chosen) if len(chosen) < len(known) else ()

    @model_validator(mode="after")
    def _one_way_of_paging(self) -> Self:
        if self.after is not None and (self.skip or self.sort is not None):
            raise refusal("after cannot be combined with skip or sort")
        return self

    @property
    def shows_whole_rows(self) -> bool:
        """Whether rows are shown complete, and without expanded objects."""
        return not self.fields

    @property
    def is_plain(self) -> bool:
        """Whether the list is all rows, in the order of their keys."""
        return self.sort is None and not self.filters()

    def shown(self, row: dict[str, Any]) -> dict[str, Any]:
        """The selected fields of the row, and the expanded objects in it."""
        if not self.fields:
            return row
        chosen = {*self.fields, *row.keys() - self.row.model_fields}
        return {name: value for name, value in row.items() if name in chosen}

    def filters(self) -> dict[str, Any]:
        """The filters by name. A filter with several values has `IN_SUFFIX` behind its name."""
        asked: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name in self.shaping or value is None or value == ():
                continue
            if not isinstance(value, tuple):
                asked[name] = value
            elif len(value) == 1:
                asked[name] = value[0]
            else:
                asked[f"{name}{IN_SUFFIX}"] = value
        return asked

    def sort_keys(self) -> tuple[tuple[str, bool], ...]:
        """The columns to sort by, each with whether it descends."""
        if self.sort is None:
            return ()
        return tuple((key.removeprefix("-"), key.startswith("-")) for key in self.sort.split(","))


@cache
def _array_parameters(query: type[Parameters]) -> frozenset[str]:
    """The parameters that take several values."""
    return frozenset(name for name, info in query.model_fields.items() if get_origin(info.annotation) is tuple)


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, and the total count."""

    rows: Sequence[Any]
    total: int
    estimated: bool = False
