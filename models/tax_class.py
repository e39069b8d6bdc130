"""Tax classes: what is taxed alike, with the rates of each country since when they hold."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from sqlalchemy import Numeric, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Row, list_index, unique_key

# The class of all products that name none, and whose category names none, and of shipping. The migrations make it.
STANDARD = "standard"


class VatCategory(StrEnum):
    """Why a rate is what it is, as electronic invoices say it (EN 16931, UNTDID 5305)."""

    STANDARD_RATE = "S"
    ZERO_RATED = "Z"
    EXEMPT = "E"
    REVERSE_CHARGE = "AE"
    INTRA_COMMUNITY = "K"
    EXPORT = "G"
    NOT_SUBJECT = "O"
    CANARY_ISLANDS = "L"
    CEUTA_AND_MELILLA = "M"
    SPLIT_PAYMENT = "B"


# Of what is taxed at no rate, because its class has none for the country.
NO_CATEGORY = VatCategory.ZERO_RATED.value
# Columns: a rate in percent, and its VAT category.
Rate = Annotated[Decimal, mapped_column(Numeric(6, 3), server_default="0")]
Category = Annotated[str, mapped_column(String(2), server_default=NO_CATEGORY)]


class TaxClass(Row):
    __tablename__ = "tax_classes"

    name: Mapped[str] = mapped_column(String(100), unique=True)
    # Objects with `country`, `rate` in percent, `vat_category`, and `valid_from`, a day or null. Of a country the last one
    # that is valid counts; without one the rate is 0.
    rates: Mapped[list[dict[str, Any]]] = mapped_column(JSONB(none_as_null=True), server_default=text("'[]'::jsonb"))

    __table_args__ = (
        list_index("tax_classes", "created_at"),
        unique_key("tax_classes", "name"),
    )
