"""Refresh tokens: what they say, and that nothing else is one."""

from datetime import UTC, datetime

import pytest

from security.refresh_token import RefreshToken, RefreshTokens
from security.secret_keys import KeyRing

pytestmark = pytest.mark.unit

BEGAN = datetime(2026, 11, 16, 10, tzinfo=UTC)
TOKENS = RefreshTokens(KeyRing(["a-secret-of-the-shop-0123456789abcdef"]))


def is_good(text: str) -> bool:
    token = RefreshToken.read(text)
    return token is not None and TOKENS.is_genuine(token, BEGAN)


def test_a_token_has_one_writing() -> None:
    for session_id in range(1, 20):
        text = TOKENS.issue(session_id, 3, BEGAN)
        assert is_good(text)
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        assert [letter for letter in letters if is_good(text[:-1] + letter)] == [text[-1]]
        assert not any(map(is_good, (text + "=", text + "\n", " " + text, text.upper())))
