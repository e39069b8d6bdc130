"""The countries of the world, by their codes of ISO 3166-1 alpha-2."""

from typing import Final

import pycountry

COUNTRIES: Final = frozenset(country.alpha_2 for country in pycountry.countries)
COUNTRY_EXAMPLE: Final = "ES"
# What a field or setting must hold.
COUNTRY_TEXT: Final = (
    "the code of a country with two letters (ISO 3166-1), such as ES; that of the United Kingdom is GB"
)


def country_code(text: str) -> str | None:
    """The code in upper case, of a text in either case; None if no country has it.

    Only of ASCII: other letters may become these in upper case.
    """
    code = text.upper()
    return code if text.isascii() and code in COUNTRIES else None
