"""Password rules: which passwords are refused because they are the first that somebody would try."""

import gzip
import unicodedata
from collections.abc import Iterable
from pathlib import Path

SHORTEST, LONGEST = 8, 256

_COMMON = Path(__file__).with_name("data") / "common_passwords.txt.gz"
_SHOP = "shop"

_common: frozenset[str] = frozenset()


def weakness(password: str, names: Iterable[str | None]) -> str | None:
    """Why the password is refused, for people; None if it is not.

    `names` are what the user is called: user name, full name, e-mail address. Neither case nor Unicode form helps.
    """
    form = _form(password)
    if not SHORTEST <= len(password) <= LONGEST:
        return f"must have {SHORTEST} to {LONGEST} characters"
    if form in _common_passwords():
        return "is one of the most common passwords"
    if form in {_form(name) for name in _forbidden(names)}:
        return "must not be the name, the e-mail address or the shop's name"
    return None


def _forbidden(names: Iterable[str | None]) -> Iterable[str]:
    yield _SHOP
    for name in filter(None, names):
        yield name
        if "@" in name:
            yield name.rpartition("@")[0]


def _form(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _common_passwords() -> frozenset[str]:
    """The list, read when the first password is set: most workers never need its megabyte."""
    global _common
    if not _common:
        _common = frozenset(gzip.decompress(_COMMON.read_bytes()).decode().split())
    return _common
