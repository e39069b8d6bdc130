"""Validates the cells of a CSV file by the rules of the API's bodies, a whole column at once.

There is one set of rules, the fields of the `Create` schemas. Thousands of cells of a column are validated as one list,
which takes a fraction of the time of a model per row: all texts, because names hardly ever repeat, and each number
once. An empty cell is a field that was left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from repositories.base import is_key
from repositories.csv.bulk_load import Rows, copy_cell, copy_cells
from schemas.base import Create
from schemas.json_codec import from_json
from services.base import BaseService
from services.csv.guards import without_guards
from services.csv.numbers import DecimalMark, misread, number_of
from services.errors import NotFound

# The types of JSON Schema whose values are numbers.
NUMBERS = ("number", "integer")

_LEFT_OUT = ""
_MISSING = "Field required"
# The words of JSON, and what spreadsheets write. Another cell stays a text, which the schema refuses.
_FLAGS = {
    **dict.fromkeys(("true", "wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar"), True),
    **dict.fromkeys(("false", "falsch", "faux", "falso", "onwaar"), False),
}
# The cells of so many different numbers of a column are cached, because numbers repeat.
_MOST_CACHED = 100_000

# What COPY gets for each of some texts, in their order, and what is wrong with a text. The cell of a wrong text does not
# matter.
Cells = tuple[Sequence[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be stored: the line on which it begins, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a file, each with the line on which it begins, and the lines that could not be read as a row."""

    lines: Sequence[int]
    rows: Sequence[Sequence[str]]
    unreadable: Sequence[BadRow] = ()


def _as_flag(text: str) -> Any:
    return _FLAGS.get(text.strip().lower(), text)


def _as_object(text: str) -> Any:
    """The value of JSON. Another cell stays a text, which the schema refuses."""
    try:
        return from_json(text.encode())
    except ValueError:
        return text


def _reader(kind: str, decimal: DecimalMark | None) -> Callable[[str], Any]:
    """What makes a JSON value of a text, for a type of the schema."""
    if kind in NUMBERS:
        return partial(number_of, mark=decimal)
    return {"boolean": _as_flag, "object": _as_object}.get(kind, str)


class Column(Protocol):
    """A column of the file. A cell goes to the columns `names` of the table; it has their values with tabs between them."""

    title: str
    names: tuple[str, ...]

    def cells(self, texts: Sequence[str]) -> Cells:
        """The cells of some rows."""


class FieldColumn:
    """A column that is a field of the schema. `left_out` is what the table holds where the cell is empty.

    Without a `decimal` mark only numbers are read that can be one number alone.
    """

    def __init__(
        self,
        schema: type[Create],
        field: str,
        *,
        left_out: Any = None,
        rule: Any = None,
        decimal: DecimalMark | None = ".",
    ) -> None:
        info = schema.model_fields[field]
        self.title = field
        self.names: tuple[str, ...] = (field,)
        kind = kind_of(schema, field)
        self._read, self._decimal = _reader(kind, decimal), decimal
        self._is_number = kind in NUMBERS
        self._is_needed = info.is_required()
        self._left_out = copy_cell(left_out)
        rules = (info.annotation, *info.metadata, rule or Field())
        self._many: TypeAdapter[list[Any]] = TypeAdapter(list[Annotated[rules]])  # type: ignore[valid-type]
        self._known: dict[str, str] = {}

    def cells(self, texts: Sequence[str]) -> Cells:
        """The cells of some rows."""
        if self._read is str and (_LEFT_OUT not in texts or not self._is_needed):
            try:
                return self._texts(texts), {}
            except ValidationError:
                pass  # Which of them are wrong is found out below.
        problems = self._learn(set(texts))
        return [self._known.get(text, "") for text in texts], problems

    def _texts(self, texts: Sequence[str]) -> Sequence[str]:
        """All cells at once. Raises `ValidationError` if one of them is wrong."""
        if _LEFT_OUT not in texts:
            return self._given(texts)
        given = iter(self._given([text for text in texts if text]))
        return [next(given) if text else self._left_out for text in texts]

    def _learn(self, texts: set[str]) -> Mapping[str, str]:
        """Cache the cells of the texts; what is wrong with those that have none."""
        if self._read is str or len(self._known) > _MOST_CACHED:
            self._known = {}
        problems: dict[str, str] = {}
        if _LEFT_OUT in texts:
            if self._is_needed:
                problems[_LEFT_OUT] = _MISSING
            else:
                self._known[_LEFT_OUT] = self._left_out
        # It goes through these texts only; `-` would go through all that are cached.
        unknown = list(texts.difference(self._known, {_LEFT_OUT}))
        try:
            cells = self._given(unknown)
        except ValidationError as error:
            for one in error.errors(include_url=False, include_input=False, include_context=False):
                text = unknown[int(one["loc"][0])]
                explained = misread(text, self._decimal) if self._is_number else None
                problems.setdefault(text, explained or one["msg"])
            unknown = [text for text in unknown if text not in problems]
            cells = self._given(unknown)
        self._known.update(zip(unknown, cells, strict=True))
        return problems

    def _given(self, texts: Sequence[str]) -> Sequence[str]:
        """The cells for texts that are not empty. Raises `ValidationError`."""
        values = texts if self._read is str else [self._read(text) for text in texts]
        return self._cells(self._many.validate_python(values))

    def _cells(self, values: Sequence[Any]) -> Sequence[str]:
        if self._read is not str:
            return [*map(copy_cell, values)]
        # A blank text is left out, where the field allows that.
        return copy_cells(values if self._is_needed else [value or "" for value in values])


class KeyColumn(FieldColumn):
    """A column of texts that `service` compares in a form of their own, as it does e-mail addresses.

    A service completes nothing but the natural key of a new row; a test checks that for every entity with files.
    """

    def __init__(self, schema: type[Create], field: str, service: BaseService[Any]) -> None:
        super().__init__(schema, field)
        self._service = service
        self.names = (field, f"{field}_key")

    def _cells(self, values: Sequence[Any]) -> Sequence[str]:
        return ["\t".join(self._completed(value)) for value in values]

    def _completed(self, value: Any) -> Iterable[str]:
        values = {self.title: value}
        self._service.complete(values)
        return [copy_cell(values[name]) for name in self.names]


class NameColumn:
    """A column that refers to rows by their names, in any writing. `keys` are the keys of these rows by their name.

    The forms of both sides are computed here: PostgreSQL may know another version of Unicode.
    """

    def __init__(
        self, title: str, field: str, keys: Mapping[str, int], form_of: Callable[[str], str], *, is_needed: bool = True
    ) -> None:
        self.title = title
        self.names: tuple[str, ...] = (field,)
        self._keys = {form_of(name): row_id for name, row_id in keys.items()}
        self._form_of, self._is_needed = form_of, is_needed

    def cells(self, texts: Sequence[str]) -> Cells:
        """The keys of the rows that the texts name."""
        found, problems = {}, {}
        for text in set(texts):
            row_id = self._keys.get(self._form_of(text))
            if row_id is not None:
                found[text] = copy_cell(row_id)
            elif text == _LEFT_OUT and not self._is_needed:
                found[text] = copy_cell(None)
            else:
                problems[text] = _MISSING if text == _LEFT_OUT else f"There is no {self.title} {text.strip()[:100]!r}"
        return [found.get(text, "") for text in texts], problems


def kind_of(schema: type[Create], field: str) -> str:
    """The JSON type of the field."""
    options = schema.model_json_schema()["properties"][field]
    # What refers to another schema is an object.
    kinds: set[str] = {option.get("type", "object") for option in options.get("anyOf", [options])} - {"null"}
    return kinds.pop()


def key_of(thing: str) -> AfterValidator:
    """The rule that a number can be the key of a `thing`, whether or not there is such a row."""

    def possible(row_id: int) -> int:
        if not is_key(row_id):
            raise PydanticCustomError("not_found", "{text}", {"text": str(NotFound(thing, row_id))})
        return row_id

    return AfterValidator(possible)


class RowChecker:
    """Turns rows of cells into rows for the table. `columns` are those of the file, None for each that is ignored."""

    def __init__(self, columns: Sequence[Column | None]) -> None:
        self._columns = columns

    def check(self, batch: Batch) -> tuple[Rows, list[BadRow]]:
        """The valid rows, and the others."""
        even, bad = self._even(batch)
        reasons: dict[int, list[str]] = {}
        columns: dict[str, Sequence[str]] = {}
        # Without rows, zip gives no columns.
        for column, given in zip(self._columns, zip(*even.rows, strict=True), strict=False):
            if column is None:
                continue
            texts = without_guards(given)
            cells, problems = column.cells(texts)
            if problems:
                _note(column.title, texts, problems, reasons)
            columns |= _columns(column.names, cells)
        bad += [BadRow(even.lines[place], "; ".join(texts)) for place, texts in reasons.items()]
        return Rows(even.lines, columns).without(reasons.keys()), bad

    def _even(self, batch: Batch) -> tuple[Batch, list[BadRow]]:
        """The rows that have as many cells as the header, and the others."""
        width, bad = len(self._columns), list(batch.unreadable)
        if {*map(len, batch.rows)} <= {width}:
            return batch, bad
        lines, rows = [], []
        for line, row in zip(batch.lines, batch.rows, strict=True):
            if len(row) == width:
                lines.append(line)
                rows.append(row)
            else:
                bad.append(BadRow(line, f"{len(row)} cells, where the header has {width}"))
        return Batch(lines, rows), bad


def _columns(names: Sequence[str], cells: Sequence[str]) -> dict[str, Sequence[str]]:
    """The columns of the table that one column of the file stands for; a cell has their values with tabs between them."""
    if len(names) == 1:
        return {names[0]: cells}
    nothing = "\t" * (len(names) - 1)
    return dict(zip(names, zip(*((cell or nothing).split("\t") for cell in cells), strict=True), strict=True))


def _note(title: str, texts: Sequence[str], problems: Mapping[str, str], reasons: dict[int, list[str]]) -> None:
    """Add what is wrong with the cells of a column to the reasons of their rows, by the place of the row."""
    for place, text in enumerate(texts):
        if text in problems:
            reasons.setdefault(place, []).append(f"{title}: {problems[text]}")
