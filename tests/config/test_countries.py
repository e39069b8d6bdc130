"""The codes of countries, held against a package that is kept up to date."""

import pycountry
import pytest

from config.countries import COUNTRIES, country_code

pytestmark = pytest.mark.unit


def test_the_codes_are_those_of_iso_3166() -> None:
    assert {country.alpha_2 for country in pycountry.countries} == COUNTRIES


@pytest.mark.parametrize(("text", "code"), [("es", "ES"), ("GB", "GB"), ("UK", None), ("XK", None), ("\u0131t", None)])
def test_a_code_in_either_case(text: str, code: str | None) -> None:
    assert country_code(text) == code
