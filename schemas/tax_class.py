"""Bodies, responses and filters of tax classes."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, Field

from models.tax_class import VatCategory as _VatCategory
from schemas.base import Body, Create, ListQuery, Read, update_of
from schemas.enumerations import VatCategory
from schemas.error_limits import InChunks
from schemas.field_types import Country, CountryCode, Name100, Percent, Rate, refusal
from schemas.query_types import QueryText
from schemas.time_types import Date

MAX_RATES = 1000
_VALID_FROM = "The first day on which it holds, by the dates of orders; null for one that always did"
_VAT_CATEGORY = "Left out, it is S for a rate above 0, and Z for 0"
# Of these the rate is 0, and that of `S` is not. Both may be so for the others.
_NOTHING = {
    _VatCategory.ZERO_RATED,
    _VatCategory.EXEMPT,
    _VatCategory.REVERSE_CHARGE,
    _VatCategory.INTRA_COMMUNITY,
    _VatCategory.EXPORT,
    _VatCategory.NOT_SUBJECT,
}


class TaxRate(Body):
    """The rate of a country, from a day on."""

    country: Country = Field(description="Its code of ISO 3166-1, in upper or lower case")
    rate: Rate = Field(description="In percent, with at most three decimals; it is included in prices")
    valid_from: Date | None = Field(default=None, description=_VALID_FROM)
    vat_category: VatCategory | None = Field(default=None, description=_VAT_CATEGORY)

    def stored(self) -> dict[str, Any]:
        """The rate as it is stored and shown."""
        implied = _VatCategory.STANDARD_RATE if self.rate else _VatCategory.ZERO_RATED
        return {
            "country": self.country,
            "rate": self.rate,
            "valid_from": self.valid_from and self.valid_from.isoformat(),
            "vat_category": self.vat_category or implied.value,
        }


def _agreeing(rate: TaxRate) -> TaxRate:
    category = rate.vat_category
    if (category in _NOTHING and rate.rate) or (category == _VatCategory.STANDARD_RATE and not rate.rate):
        wanted = "above 0" if category == _VatCategory.STANDARD_RATE else "0"
        raise refusal(f"has the vat_category {category}, of which the rate must be {wanted}")
    return rate


def _one_at_a_time(rates: list[TaxRate]) -> list[TaxRate]:
    """The rates, by country and day. Refuses two of a country from the same day on."""
    days = [(rate.country, rate.valid_from or dt.date.min) for rate in rates]
    if len(set(days)) < len(days):
        country, day = next(one for place, one in enumerate(days) if one in days[:place])
        since = "" if day == dt.date.min else f" from {day} on"
        raise refusal(f"has two rates of {country}{since}")
    return [rate for _, rate in sorted(zip(days, rates, strict=True), key=lambda pair: pair[0])]


Rates = Annotated[
    list[Annotated[TaxRate, AfterValidator(_agreeing)]],
    Field(max_length=MAX_RATES),
    InChunks(MAX_RATES),
    AfterValidator(_one_at_a_time),
]


class TaxClassCreate(Create):
    """A new tax class."""

    name: Name100
    rates: Rates = Field(default=[], description="A country without a rate, or before its first, has the rate 0")


TaxClassUpdate = update_of(TaxClassCreate)


class TaxRateRead(BaseModel):
    """The rate of a country, from a day on."""

    country: CountryCode
    rate: Percent
    valid_from: dt.date | None = Field(description=_VALID_FROM)
    vat_category: VatCategory


class TaxClassRead(Read):
    """What is taxed alike. The class `standard` is that of products and categories that name none, and of shipping."""

    name: str = Field(max_length=100)
    rates: list[TaxRateRead]


class TaxClassQuery(ListQuery):
    """Filters of the list of tax classes."""

    row: ClassVar[type[BaseModel]] = TaxClassRead

    name: QueryText | None = None


def stored_rates(rates: Sequence[TaxRate]) -> list[dict[str, Any]]:
    """The rates as they are stored and shown."""
    return [rate.stored() for rate in rates]
