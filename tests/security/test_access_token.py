"""Access tokens: what they say, until when, and by which of the shop's keys."""

import time
from typing import Any

import jwt
import pytest

from security.access_token import AccessTokens, BadToken, ExpiredToken
from security.scopes import Scope
from security.secret_keys import KeyRing, key_id

pytestmark = pytest.mark.unit

SECRET, OTHER = "a-secret-of-the-shop-0123456789abcdef", "another-secret-0123456789abcdef-0123456789"
KEY = KeyRing([SECRET]).signing("access token")
TOKENS = AccessTokens(KeyRing([SECRET]), 15)


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    usual = {"iss": "shop", "aud": "shop", "sub": "7", "sid": "9", "jti": "x", "iat": now, "exp": now + 60, "scope": ""}
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def signed(body: dict[str, Any]) -> str:
    return jwt.encode(body, KEY, "HS256", headers={"kid": key_id(KEY)})


def test_a_token_says_what_was_put_in() -> None:
    found = TOKENS.verify(TOKENS.issue(7, 9, [Scope.ORDERS_READ]))
    assert (found.user_id, found.session_id, found.scopes) == (7, 9, frozenset({Scope.ORDERS_READ}))
    assert TOKENS.verify(signed(claims())).user_id == 7


def test_clocks_may_differ_by_ten_seconds() -> None:
    now = int(time.time())
    assert TOKENS.verify(signed(claims(exp=now - 2))).user_id == 7
    with pytest.raises(ExpiredToken):
        TOKENS.verify(signed(claims(exp=now - 20)))


def test_the_first_secret_signs_and_all_verify() -> None:
    rotated = AccessTokens(KeyRing([OTHER, SECRET]), 15)
    assert rotated.verify(TOKENS.issue(7, 9, [])).user_id == 7
    with pytest.raises(BadToken):
        TOKENS.verify(rotated.issue(7, 9, []))
    with pytest.raises(BadToken):
        AccessTokens(KeyRing([OTHER]), 15).verify(TOKENS.issue(7, 9, []))


def test_a_token_has_one_writing() -> None:
    token = TOKENS.issue(7, 9, [])
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + letter for letter in letters if letter != token[-1]]
    for other in (*others, token + "=", token + "\n", f"{token[:-4]}!{token[-4:]}", f"{token[:-4]}.{token[-4:]}"):
        with pytest.raises(BadToken):
            TOKENS.verify(other)


@pytest.mark.parametrize("expires", [10**12, 10**18, float("inf")])
def test_a_token_ends_in_a_year_that_there_is(expires: float) -> None:
    with pytest.raises(BadToken):
        TOKENS.verify(signed(claims(exp=expires)))


@pytest.mark.parametrize("claim", ["iat", "exp", "nbf"])
@pytest.mark.parametrize("value", [float("inf"), float("nan"), [], {}, "x"])
def test_odd_times_are_no_fault(claim: str, value: object) -> None:
    with pytest.raises(BadToken):
        TOKENS.verify(signed(claims(**{claim: value})))
