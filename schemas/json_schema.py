"""How the kinds of values are documented: the pieces of JSON Schema that fields share."""

from decimal import Decimal
from typing import Any

from pydantic import WithJsonSchema

MAX_KEY = 2**63 - 1


def without_default(schema: dict[str, Any]) -> None:
    """Keep the documentation from telling a default: what has nothing to say is left out, not empty or null."""
    schema.pop("default", None)


def text_schema(shortest: int, longest: int, **more: str) -> WithJsonSchema:
    """How a text of so many characters is documented."""
    # Lengths count after trimming, which JSON Schema cannot say; "not blank" it can (U+0085 is a space in Unicode,
    # but not in its patterns).
    not_blank = {"minLength": shortest, "pattern": r"[^\s\u0085]"} if shortest else {}
    return WithJsonSchema({"type": "string", **not_blank, "maxLength": longest, **more})


def integer_schema(minimum: int, maximum: int) -> WithJsonSchema:
    """How a whole number between two bounds is documented."""
    kind = "int32" if maximum < 2**31 else "int64"
    return WithJsonSchema({"type": "integer", "format": kind, "minimum": minimum, "maximum": maximum})


def decimal_schema(maximum: Decimal, **bounds: float) -> WithJsonSchema:
    """How an amount is documented that bodies hold."""
    # No `multipleOf`: whoever checks it with binary floats refuses 0.07 and 19.99.
    decimals = "At most two decimals; a third is refused, never rounded"
    return WithJsonSchema(
        {"type": "number", "format": "decimal", "maximum": float(maximum), "description": decimals, **bounds}
    )


def shown_decimal_schema(maximum: Decimal) -> WithJsonSchema:
    """How an amount is documented that answers hold."""
    schema = {"type": "number", "format": "decimal", "minimum": 0, "maximum": float(maximum)}
    return WithJsonSchema({**schema, "description": "With two decimals"})
