"""Passwords: what is stored of them, and which are refused."""

import unicodedata

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given, settings
from hypothesis import strategies as st

from security.password_rules import LONGEST, SHORTEST, weakness
from security.passwords import Passwords

pytestmark = pytest.mark.unit

PASSWORDS = Passwords()
ANY_TEXT = st.text(min_size=SHORTEST, max_size=LONGEST)


@given(ANY_TEXT)
@settings(max_examples=15, deadline=None)
def test_every_text_is_a_password_in_each_of_its_unicode_forms(text: str) -> None:
    stored = PASSWORDS.hashed(text)
    assert PASSWORDS.is_right(unicodedata.normalize("NFKD", text), stored)
    assert not PASSWORDS.is_right(text + "x", stored)


def test_a_hash_is_argon2id_of_19_mebibytes_with_a_salt_of_its_own() -> None:
    one, other = PASSWORDS.hashed("correct horse"), PASSWORDS.hashed("correct horse")
    assert one != other
    parameters = extract_parameters(one)
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19 * 1024, 2, 1)
    assert one.startswith("$argon2id$")


def test_nobody_has_no_right_password() -> None:
    assert not PASSWORDS.is_right("correct horse", None)
    assert not PASSWORDS.is_right("correct horse", None)
    assert not PASSWORDS.is_right("correct horse", "no hash")


def test_a_lone_surrogate_is_no_error() -> None:
    assert PASSWORDS.is_right("\ud800 is no text", PASSWORDS.hashed("\ud800 is no text"))


def test_a_hash_of_other_parameters_is_outdated() -> None:
    assert PASSWORDS.is_outdated(PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash("correct horse"))
    assert not PASSWORDS.is_outdated(PASSWORDS.hashed("correct horse"))


@pytest.mark.parametrize(
    "password",
    [
        "short77",
        "x" * 257,
        "password1",
        "PassWord1",
        "1q2w3e4r5t",
        "ｐａｓｓｗｏｒｄ",
        "ada.lovelace",
        "Ada.Lovelace",
        "ada.lovelace@example.com",
        "countess of lovelace",
        "countess",
    ],
)
def test_what_somebody_would_try_first_is_refused(password: str) -> None:
    names = ("ada.lovelace", "Countess of Lovelace", "ada.lovelace@example.com", "countess@example.com", None, "")
    assert weakness(password, names)


@pytest.mark.parametrize("password", ["correct horse", "        ", "x9!" * 3, "ünïcödé pass", "a" * 255 + "b"])
def test_any_other_text_is_accepted(password: str) -> None:
    assert weakness(password, ("ada",)) is None
