"""How much of what is wrong with a request is looked for: as much as its answer tells, and one more.

The answer to a request that has little else than errors would be larger than the request, and cost more than to obey it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, PydanticKnownError, core_schema

# An answer tells so many errors.
MAX_ERRORS = 100

# Lists are validated in pieces of so many items.
_CHUNK = 20


def first_errors(errors: Iterable[Any]) -> list[Any]:
    """The errors that are told, and one more if there is one: by that it is known that there are more."""
    return list(islice(errors, MAX_ERRORS + 1))


def limit_unknown_fields(data: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `data` that are `known`, and as many of the others as are told."""
    listed = frozenset(first_errors(name for name in data if name not in known))
    return {name: value for name, value in data.items() if name in known or name in listed}


@dataclass(frozen=True)
class InChunks:
    """Validates a list of at most `longest` items piece by piece, and ends when there are enough errors to be told."""

    longest: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validated, handler(source))

    def _validated(self, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        if not isinstance(value, list) or len(value) <= _CHUNK:
            return handler(value)
        if len(value) > self.longest:
            bound = {"field_type": "List", "max_length": self.longest, "actual_length": len(value)}
            raise PydanticKnownError("too_long", bound)
        items: list[Any] = []
        errors: list[InitErrorDetails] = []
        for start in range(0, len(value), _CHUNK):
            try:
                items += handler(value[start : start + _CHUNK])
            except ValidationError as error:
                errors += _shifted(error, start)
                if len(errors) > MAX_ERRORS:
                    break
        if errors:
            raise ValidationError.from_exception_data("list", errors)
        return items


def _shifted(error: ValidationError, by: int) -> list[InitErrorDetails]:
    """The errors of a piece of a list, where they are in the whole of it."""
    return [
        InitErrorDetails(
            type=PydanticCustomError(one["type"], one["msg"]),
            loc=(int(one["loc"][0]) + by, *one["loc"][1:]),
            input=None,
        )
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
