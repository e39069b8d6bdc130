"""JSON Schema for the documentation: the parts that field types share."""

from decimal import Decimal
from typing import Any

from pydantic import WithJsonSchema

MAX_KEY = 2**63 - 1


def without_default(schema: dict[str, Any]) -> None:
    """Remove the default from the documentation: the field is left out, not empty or null."""
    schema.pop("default", None)


def text_schema(shortest: int, longest: int, **more: str) -> WithJsonSchema:
    """The schema of a text with `shortest` to `longest` characters."""
    # Lengths count after trimming, which JSON Schema cannot express; it can express "not blank" (U+0085 is a space in
    # Unicode, but not in its patterns).
    not_blank = {"minLength": shortest, "pattern": r"[^\s\u0085]"} if shortest else {}
    return WithJsonSchema({"type": "string", **not_blank, "maxLength": longest, **more})


def integer_schema(minimum: int, maximum: int) -> WithJsonSchema:
    """The schema of an integer between two bounds."""
    kind = "int32" if maximum < 2**31 else "int64"
    return WithJsonSchema({"type": "integer", "format": kind, "minimum": minimum, "maximum": maximum})


def decimal_schema(maximum: Decimal, **bounds: float) -> WithJsonSchema:
    """The schema of an amount in bodies."""
    # No `multipleOf`: validators with binary floats refuse 0.07 and 19.99.
    decimals = "At most two decimals; a third is refused, never rounded"
    return WithJsonSchema(
        {"type": "number", "format": "decimal", "maximum": float(maximum), "description": decimals, **bounds}
    )


def shown_decimal_schema(maximum: Decimal, minimum: Decimal = Decimal(0)) -> WithJsonSchema:
    """The schema of an amount in responses."""
    schema = {"type": "number", "format": "decimal", "minimum": float(minimum), "maximum": float(maximum)}
    return WithJsonSchema({**schema, "description": "With two decimals"})
