"""When two texts are the same: what is one thing, what is two, and that PostgreSQL and Python say the same."""

import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text_key import email_key, is_blank, text_key
from tests.race.databases import connected

SAME = {
    "case": ["DUP-1", "dup-1", "Dup-1"],
    "full width": ["SKU-9", "\uff33\uff2b\uff35\uff0d\uff19"],
    "the Kelvin sign": ["5 K", "5 \u212a", "5 k"],
    "accents by themselves": ["Caf\u00e9", "Cafe\u0301", "CAFE\u0301"],
    "marks in another order": ["a\u0323\u0302", "a\u0302\u0323", "\u1ead"],
    "sharp s": ["Stra\u00dfe", "STRASSE", "STRA\u1e9eE"],
    "the sigma at the end": ["\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2", "\u03bf\u03b4\u03bf\u03c3"],
    "iota below": ["\u1fb3", "\u0391\u0399", "\u03b1\u03b9"],
    "Cyrillic": ["\u0427\u0410\u0419", "\u0447\u0430\u0439"],
    "Cherokee": ["\u13a0\u13a1", "\uab70\uab71"],
    "a ligature": ["\ufb01x", "FIX"],
    "signs that nobody sees": [
        "Tea",
        "T\u200bea",
        "\ufeffTea",
        "Te\u00ada",
        "Tea\u2060",
        "\u200eTea\u200f",
        "T\u034fea",
    ],
    "joiners where there is nothing to join": ["Tea", "T\u200dea", "Tea\u200c", "\u200dTea"],
    "tags without a flag": ["Tea", "Tea\U000e0065\U000e006e\U000e007f"],
    "variants of a sign": ["\u2764", "\u2764\ufe0f", "\u2764\ufe0e"],
    "white space": ["Green tea", " Green  tea\t", "Green\u00a0tea", "Green\u2003\u2028tea", "green\n tea"],
}
DIFFERENT = {
    "accents": ("Resume", "R\u00e9sum\u00e9"),
    "the Turkish i without a dot": ("I", "\u0131"),
    "the Turkish i with one": ("i", "\u0130"),
    "emoji of several": ("\U0001f469\u200d\U0001f52c", "\U0001f469\U0001f52c"),
    "Persian words": ("\u0645\u06cc\u200c\u0631\u0648\u0645", "\u0645\u06cc\u0631\u0648\u0645"),
    "flags": ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\U0001f3f4"),
    "words": ("Green tea", "Greentea"),
    "scripts": ("A", "\u0410"),
}
BLANK = [
    "",
    " ",
    "\u200b",
    "\u00ad\ufeff",
    "\u2800",
    "\u3164",
    "\u200d\u200c",
    "\ufe0f",
    "\t\u2028\u00a0",
    "\U000e0067",
    "\x01",
]
SEEN = ["a", ".", "0", "\u0301", "\u200ba", "\U0001f3f4", "\ufffd"]
SAME_ADDRESSES = [
    ["Ada@b\u00fccher.example", "ada@xn--bcher-kva.example", "ADA@XN--BCHER-KVA.EXAMPLE", "ada@bu\u0308cher.example"],
    ["a@x.example", "a@X.EXAMPLE.", "a@x\u3002example", "a@x\uff0eexample", "a@x\uff61example"],
    ["\u212a@x.example", "k@x.example"],
]
OTHER_ADDRESSES = [
    ("a.b@x.example", "ab@x.example"),
    ("a@xn--\u00fc.example", "a@\u00fc.example"),
    ("a@xn--9.example", "a@9.example"),
]

# Every script, and above all what the rule is about.
SPECIAL = "aAzZ 09.-\u00df\u1e9e\u0130\u0131\u03a3\u03c2\u0345\u0301\u0327\u0323\u034f\u200b\u200c\u200d\ufe0f\u00ad\u00a0\u2028\u2800\u212a\uff21\ufb03\ufdfa\u0427\u0447\u0628\uac00\u1100\u1161\u11a8\U0001f469\U0001f3f4\U000e0067\U000e007f"
TEXTS = st.text(
    st.sampled_from(SPECIAL) | st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\x00"), max_size=12
)


@pytest.mark.unit
@pytest.mark.parametrize("texts", SAME.values(), ids=SAME)
def test_writings_of_one_thing(texts: list[str]) -> None:
    assert len({text_key(text) for text in texts}) == 1


@pytest.mark.unit
@pytest.mark.parametrize("texts", DIFFERENT.values(), ids=DIFFERENT)
def test_different_things(texts: tuple[str, str]) -> None:
    assert text_key(texts[0]) != text_key(texts[1])


@pytest.mark.unit
@pytest.mark.parametrize("sign", [" ", "\t", "\u2028", "\u200b", "\u200d", "\xad"], ids=ascii)
def test_of_long_texts_it_is_published_at_once(sign: str) -> None:
    """A text that ends otherwise than it begins once took a time that doubled with every sign."""
    assert is_blank(sign * 50_000)
    assert not is_blank(sign * 50_000 + "a")
    assert text_key(sign * 50_000 + "a") == "a"


def test_what_is_blank() -> None:
    assert [ascii(text) for text in BLANK if not is_blank(text) or text_key(text)] == []
    assert [ascii(text) for text in SEEN if is_blank(text) or not text_key(text)] == []


@pytest.mark.unit
@pytest.mark.parametrize("addresses", SAME_ADDRESSES, ids=lambda addresses: str(addresses[0]))
def test_writings_of_one_address(addresses: list[str]) -> None:
    assert len({email_key(address) for address in addresses}) == 1


@pytest.mark.unit
@pytest.mark.parametrize("addresses", OTHER_ADDRESSES, ids=ascii)
def test_different_addresses(addresses: tuple[str, str]) -> None:
    assert email_key(addresses[0]) != email_key(addresses[1])


def forms_of(text: str) -> list[str]:
    """The text in each form of Unicode."""
    normal = unicodedata.normalize
    return [normal("NFC", text), normal("NFD", text), normal("NFKC", text), normal("NFKD", text)]


@pytest.mark.unit
@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_a_key_is_its_own_key_and_the_same_for_every_form_and_case(text: str) -> None:
    key = text_key(text)
    assert text_key(key) == key
    assert is_blank(text) == (not key)
    # Unicode defines the cases of decomposed texts. One that has no dot gets one as a capital: see "Turkish".
    decomposed = unicodedata.normalize("NFD", text)
    cases = {text, decomposed.lower(), decomposed.casefold(), *({decomposed.upper()} if "\u0131" not in text else ())}
    assert {text_key(form) for case in cases for form in forms_of(case)} == {key}


@pytest.mark.unit
@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(["example", "xn--bcher-kva", "b\u00fccher", "xn--a", "xn--99999999", "xn--\ud800x"]))
def test_the_key_of_an_address_is_its_own_key_and_can_be_stored(local: str, label: str) -> None:
    address = f"{local}@{label}.example".encode("utf-8", "replace").decode()
    key = email_key(address)
    assert email_key(key) == key
    assert email_key(address.upper().lower()) == email_key(address.lower())
    assert key.encode()
    assert "\x00" not in key


@pytest.fixture(scope="module")
def cursor(database_url: str) -> Iterator[Any]:
    with connected(database_url) as connection, connection.cursor() as cursor:
        yield cursor


def keys_by_postgresql(cursor: Any, texts: list[str]) -> list[str]:
    cursor.execute(
        "SELECT array_agg(text_key(text) ORDER BY place) FROM unnest(%s) WITH ORDINALITY t (text, place)", (texts,)
    )
    keys: list[str] = cursor.fetchone()[0]
    return keys


@pytest.mark.integration
def test_postgresql_knows_every_sign_as_python_does(cursor: Any) -> None:
    """All that both know: a newer PostgreSQL has letters that this Python has not heard of."""
    signs = [sign for sign in map(chr, range(1, 0x110000)) if unicodedata.category(sign) not in ("Cs", "Cn", "Co")]
    for start in range(0, len(signs), 50_000):
        texts = [f"a{sign}b" for sign in signs[start : start + 50_000]]
        differ = [
            ascii(t) for t, key in zip(texts, keys_by_postgresql(cursor, texts), strict=True) if key != text_key(t)
        ]
        assert differ == []


@pytest.mark.integration
@settings(max_examples=50, deadline=None)
@given(st.lists(TEXTS, min_size=20, max_size=40))
def test_postgresql_and_python_agree(cursor: Any, texts: list[str]) -> None:
    assert keys_by_postgresql(cursor, texts) == [text_key(text) for text in texts]


@pytest.mark.integration
def test_nothing_is_the_key_of_nothing(cursor: Any) -> None:
    cursor.execute("SELECT text_key(NULL)")
    assert cursor.fetchone() == (None,)
