"""Field types of bodies and responses. Each takes JSON values of its own kind only: a number is not a text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from annotated_types import GroupedMetadata
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, StringConstraints, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError

from config.countries import COUNTRIES, COUNTRY_EXAMPLE, COUNTRY_TEXT, country_code
from config.settings import get_settings
from models.text_key import is_blank
from schemas.json_schema import MAX_KEY, decimal_schema, integer_schema, shown_decimal_schema, text_schema

T = TypeVar("T")

MAX_MONEY = Decimal("9999999999.99")
MAX_SUM = Decimal("999999999999999999.99")
MAX_RATING = Decimal(5)
MAX_QUANTITY = 1_000_000
# The largest integer that is exact for JSON readers with binary floats.
MAX_STOCK = 2**53 - 1
# Digits of an integer at most: 1e999999999 would fill the memory, and 1e3999 takes 3 ms.
_LONGEST_INTEGER = 400

_CENT = Decimal("0.01")
_THOUSANDTH = Decimal("0.001")
# A local part without special rules; the group is the domain.
_PLAIN_EMAIL = re.compile(r"(?=[^@]{1,64}@)[A-Za-z0-9]+(?:[._+-][A-Za-z0-9]+)*@([A-Za-z0-9.-]+)", re.ASCII)
_TELEPHONE = re.compile(r"\+?[1-9][0-9]{6,19}", re.ASCII)
_URL = TypeAdapter(AnyHttpUrl)

_NO_EMAIL = "must be an e-mail address such as ada@example.com"
_NO_TELEPHONE = "must be a telephone number: international, digits only, such as +442071234567"
_NO_URL = "must be an http or https URL such as https://example.com/lamp.jpg"

# Addresses below .test or .local are not reachable from everywhere, but they are well-formed, and in use.
SPECIAL_USE_DOMAIN_NAMES.clear()


def refusal(words: str) -> PydanticCustomError:
    """The error whose message says which values are accepted."""
    return PydanticCustomError("value_error", "{words}", {"words": words})


# -- Text ------------------------------------------------------------------------------------------


def without_nul(text: str) -> str:
    """The text itself; with NUL in it PostgreSQL cannot store it."""
    if "\x00" in text:
        raise refusal("must not contain NUL")
    return text


def _not_blank(text: str) -> str:
    if is_blank(text):
        raise refusal("must not be blank: nothing of it can be seen")
    return text


def _null_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and is_blank(value) else value


# An optional text. Forms send an empty text for an empty field: a blank text is null.
OrNull = Annotated[T | None, BeforeValidator(_null_if_blank)]


def _email(text: str) -> str:
    # Most addresses are plain, and have one of few domains.
    plain = _PLAIN_EMAIL.fullmatch(text)
    return text if plain is not None and _is_domain(plain[1]) else _checked_email(text)


@lru_cache(maxsize=1000)
def _is_domain(text: str) -> bool:
    try:
        _checked_email(f"a@{text}")
    except PydanticCustomError:
        return False
    return True


def _checked_email(text: str) -> str:
    try:
        checked = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise refusal(_NO_EMAIL) from None
    if "." not in (checked.ascii_domain or ""):
        raise refusal(_NO_EMAIL)
    return text


def _telephone(text: str) -> str:
    if not _TELEPHONE.fullmatch(text):
        raise refusal(_NO_TELEPHONE)
    return text


def as_country(text: str) -> str:
    """The code of a country, in upper case."""
    code = country_code(text)
    if code is None:
        raise refusal(f"must be {COUNTRY_TEXT}")
    return code


def _url(text: str) -> str:
    # Checked, and kept as it was sent: the parser would change it.
    try:
        _URL.validate_python(text)
    except ValueError:
        raise refusal(_NO_URL) from None
    return text


@dataclass(frozen=True)
class Trimmed(GroupedMetadata):
    """Trimmed text of `shortest` to `longest` characters, without NUL; if `shortest` is above 0, it must not be blank."""

    longest: int
    shortest: int = 0

    def __iter__(self) -> Iterator[object]:
        yield StringConstraints(strict=True, strip_whitespace=True, min_length=self.shortest, max_length=self.longest)
        yield AfterValidator(without_nul)
        if self.shortest:
            yield AfterValidator(_not_blank)
        yield text_schema(self.shortest, self.longest)


Text20 = Annotated[str, Trimmed(20)]
Text64 = Annotated[str, Trimmed(64)]
Text100 = Annotated[str, Trimmed(100)]
Text200 = Annotated[str, Trimmed(200)]
Text500 = Annotated[str, Trimmed(500)]
Text2000 = Annotated[str, Trimmed(2000)]
Text5000 = Annotated[str, Trimmed(5000)]
BillNumber = Annotated[
    str,
    Trimmed(50, shortest=1),
    Field(description="Left out, the server gives the next; BILL-2026-000001 and its like are the server's alone"),
]
Name100 = Annotated[str, Trimmed(100, shortest=1)]
Name200 = Annotated[str, Trimmed(200, shortest=1)]
Email = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=3, max_length=254),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "minLength": 3, "maxLength": 254}),
]
Telephone = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, max_length=21),
    AfterValidator(_telephone),
    # Empty as well, because it is optional everywhere: see `OrNull`.
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(\+?[1-9][0-9]{6,19})?$",
            "maxLength": 21,
            "description": "International, digits only, such as +442071234567",
        }
    ),
]
_COUNTRY = (StringConstraints(strict=True, strip_whitespace=True), AfterValidator(as_country))
_COUNTRY_SCHEMA = {"type": "string", "enum": sorted(COUNTRIES), "examples": [COUNTRY_EXAMPLE]}
_CODE_OF_COUNTRY = "Its code of ISO 3166-1, in upper or lower case"
Country = Annotated[
    str,
    *_COUNTRY,
    WithJsonSchema(
        _COUNTRY_SCHEMA | {"description": f"{_CODE_OF_COUNTRY}. Left out, it is that of the shop (SHOP_COUNTRY)"}
    ),
]
# One that stands for no other when it is left out.
NamedCountry = Annotated[str, *_COUNTRY, WithJsonSchema(_COUNTRY_SCHEMA | {"description": _CODE_OF_COUNTRY})]
Url = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, max_length=500),
    AfterValidator(without_nul),
    AfterValidator(_url),
    WithJsonSchema({"type": "string", "format": "uri", "maxLength": 500, "description": "An http or https URL"}),
]


# -- Numbers ---------------------------------------------------------------------------------------


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise refusal("must be a number such as 9.99")
    return Decimal(value)


def _cents(value: Decimal) -> Decimal:
    # The bounds were checked: it is finite, and not too large to be rounded.
    cents = value.quantize(_CENT)
    if cents != value:
        raise refusal("must have at most two decimals, such as 9.99")
    # The only negative value within the bounds is -0.00, which becomes 0.00.
    return abs(cents)


Price = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(gt=0, le=MAX_MONEY),
    AfterValidator(_cents),
    decimal_schema(MAX_MONEY, minimum=0.01),
]
Amount = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(ge=0, le=MAX_MONEY),
    AfterValidator(_cents),
    decimal_schema(MAX_MONEY, minimum=0),
]
Rating = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(ge=0, le=MAX_RATING),
    AfterValidator(_cents),
    decimal_schema(MAX_RATING, minimum=0),
]


def _thousandths(value: Decimal) -> Decimal:
    thousandths = value.quantize(_THOUSANDTH)
    if thousandths != value:
        raise refusal("must have at most three decimals, such as 5.125")
    return abs(thousandths)


Rate = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(ge=0, le=100),
    AfterValidator(_thousandths),
    WithJsonSchema({"type": "number", "format": "decimal", "minimum": 0, "maximum": 100}),
]


def as_integer(value: Any) -> Any:
    """A whole number as an integer: in JSON, as in JavaScript, 2.0 and 2 are the same."""
    if isinstance(value, Decimal) and value.adjusted() < _LONGEST_INTEGER and value == value.to_integral_value():
        return int(value)
    return value


# A number beyond all keys refers to no row, for which the services raise an error.
Reference = Annotated[
    int, Field(strict=True), BeforeValidator(as_integer), WithJsonSchema({"type": "integer", "format": "int64"})
]
Quantity = Annotated[
    int, Field(strict=True, ge=1, le=MAX_QUANTITY), BeforeValidator(as_integer), integer_schema(1, MAX_QUANTITY)
]
Stock = Annotated[
    int, Field(strict=True, ge=0, le=MAX_STOCK), BeforeValidator(as_integer), integer_schema(0, MAX_STOCK)
]
StockDelta = Annotated[
    int,
    Field(strict=True, ge=-MAX_STOCK, le=MAX_STOCK),
    BeforeValidator(as_integer),
    integer_schema(-MAX_STOCK, MAX_STOCK),
]
Flag = Annotated[bool, Field(strict=True)]


class _OfTheShop:
    """Documents the shop's currency, which a body may repeat and not change."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "enum": [get_settings().currency]}


def _shop_currency(value: Any) -> Any:
    currency = get_settings().currency
    if value != currency:
        raise refusal(f"must be {currency}, the currency of the shop, or left out")
    return value


ShopCurrency = Annotated[str, BeforeValidator(_shop_currency), _OfTheShop()]


# -- Types of responses: never validated, only documented ------------------------------------------

Key = Annotated[int, integer_schema(1, MAX_KEY)]
CountryCode = Annotated[
    str, WithJsonSchema({"type": "string", "minLength": 2, "maxLength": 2, "examples": [COUNTRY_EXAMPLE]})
]
Pieces = Annotated[int, integer_schema(0, MAX_STOCK)]
Count = Annotated[int, integer_schema(0, MAX_KEY)]
PiecesMoved = Annotated[int, integer_schema(-MAX_STOCK, MAX_STOCK)]
Currency = Annotated[str, text_schema(3, 3)]
Money = Annotated[Decimal, shown_decimal_schema(MAX_MONEY)]
Percent = Annotated[
    Decimal,
    WithJsonSchema({"type": "number", "format": "decimal", "minimum": 0, "maximum": 100, "description": "In percent"}),
]
# What many amounts add up to, which may be below zero.
Sum = Annotated[Decimal, shown_decimal_schema(MAX_SUM, -MAX_SUM)]
Stars = Annotated[Decimal, shown_decimal_schema(MAX_RATING)]
