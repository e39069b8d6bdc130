"""Limits of errors: validation of a request stops at one more error than the response lists.

Otherwise the response to a request full of errors would be larger than the request, and cost more than a valid one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, PydanticKnownError, core_schema

# The number of errors in a response.
MAX_ERRORS = 100

# Lists are validated in chunks of this number of items.
_CHUNK = 20


def first_errors(errors: Iterable[Any]) -> list[Any]:
    """The errors that the response lists, and one more if there is one, which shows that there are more."""
    return list(islice(errors, MAX_ERRORS + 1))


def limit_unknown_fields(data: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `data` that are `known`, and as many unknown ones as a response lists."""
    listed = frozenset(first_errors(name for name in data if name not in known))
    return {name: value for name, value in data.items() if name in known or name in listed}


@dataclass(frozen=True)
class InChunks:
    """Validates a list of at most `longest` items in chunks, and stops when there are more errors than are listed."""

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
    """The errors of a chunk, with their positions in the whole list."""
    return [
        InitErrorDetails(
            type=PydanticCustomError(one["type"], one["msg"]),
            loc=(int(one["loc"][0]) + by, *one["loc"][1:]),
            input=None,
        )
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
