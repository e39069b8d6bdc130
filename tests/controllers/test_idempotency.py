"""Whose an Idempotency-Key is."""

import itertools

import pytest

from controllers.idempotency import bound_key

pytestmark = pytest.mark.unit

# With what a client could try: keys that look like the kept text of others.
KEYS = ("k", "user:1", "user:1k", "1", "k" * 240, "k" * 247, "k" * 248, "k" * 249, "k" * 255, "f" * 64)
ACTORS = (None, "user:1", "user:11", "key:1", "user:9223372036854775807")


def test_no_two_callers_share_a_key() -> None:
    kept = [bound_key(key, actor) for key, actor in itertools.product(KEYS, ACTORS)]
    assert len(set(kept)) == len(kept)
    assert max(map(len, kept)) <= 255


def test_a_key_of_nobody_is_kept_as_it_is() -> None:
    assert [bound_key(key, None) for key in KEYS] == list(KEYS)
