"""Account tokens are derived, differ by what they are for, and are stored as their hash."""

import pytest

from security.account_token import account_token, token_hash
from security.secret_keys import KeyRing

pytestmark = pytest.mark.unit

KEYS = KeyRing(["only-for-tests-0123456789abcdef0123456789"])


def test_a_token_is_the_same_whenever_it_is_derived() -> None:
    token = account_token(KEYS, "verify_email", 7)
    assert token == account_token(KEYS, "verify_email", 7)
    assert len(token) == 43
    assert token_hash(token) == token_hash(account_token(KEYS, "verify_email", 7))


def test_tokens_differ_by_purpose_row_and_key() -> None:
    others = KeyRing(["another-key-0123456789abcdef0123456789abc"])
    tokens = {
        account_token(KEYS, "verify_email", 7),
        account_token(KEYS, "reset_password", 7),
        account_token(KEYS, "verify_email", 8),
        account_token(others, "verify_email", 7),
    }
    assert len(tokens) == 4
