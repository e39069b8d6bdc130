r"""Text key: when two texts count as the same. One rule for uniqueness, filters and searches, in Python and in PostgreSQL.

Spellings of one text differ in case, in Unicode form (a full-width letter, the Kelvin sign, a combining accent), in
invisible characters, or in white space. Their `text_key` is equal. PostgreSQL computes the same key in any version and
locale: `text_key_sql` creates the function there, and indexes use it. A change of the rule changes both, and needs a
migration that creates the function, those indexes and `clients.email_key` again.
"""

import re
import sys
import unicodedata

# Python and PostgreSQL share the patterns. Invisible characters: controls, Default_Ignorable_Code_Point, and marks of
# annotations; without white space, joiners and tags.
_HIDDEN = (
    r"[\u0001-\u0008\u000E-\u001B\u007F-\u0084\u0086-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F"
    r"\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFFB"
    r"\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E001F\U000E0080-\U000E0FFF]+"
)
# The Braille pattern without dots is a space, too. NFKD turns other spaces into a plain one.
_SPACES = r"[\u0009-\u000D\u001C-\u0020\u0085\u1680\u2028\u2029\u2800]+"
# Tags distinguish the flags of England and Scotland; after any other character they are invisible.
_LOOSE_TAGS = r"(?<![\U0001F3F4\U000E0020-\U000E007F])[\U000E0020-\U000E007F]+"
# Joiners change the meaning in Persian, Indic scripts and emoji: they count between such characters, and nowhere else.
_JOINED = r"[\u0590-\u167F\u1681-\u2027\u202A-\u27FF\u2801-\U0010FFFF]"
_LOOSE_JOINERS = rf"(?<!{_JOINED})[\u200C\u200D]+|[\u200C\u200D]+(?!{_JOINED})"
# Each pattern with its replacement, in this order.
_STEPS = ((_HIDDEN, ""), (_LOOSE_TAGS, ""), (_LOOSE_JOINERS, ""), (_SPACES, " "))
# Texts whose key is their lower case: most codes, numbers and names.
_PLAIN = r"[!-~]+( [!-~]+)*"

_plain = re.compile(_PLAIN)
_steps = [(re.compile(pattern), by) for pattern, by in _STEPS]
# A single character class: with overlapping alternatives, a long text would be tried in all combinations.
_visible = re.compile(rf"[^\s{_SPACES[1:-2]}{_HIDDEN[1:-2]}\u200C\u200D\U000E0020-\U000E007F]")


def text_key(text: str) -> str:
    """The key that all spellings of a text share; empty if the text is invisible."""
    if _plain.fullmatch(text):
        return text.lower()
    # In decomposed text only the sharp s folds into two letters; so PostgreSQL can fold case by a table.
    key = unicodedata.normalize("NFKD", text).casefold()
    for pattern, by in _steps:
        key = pattern.sub(by, key)
    return unicodedata.normalize("NFKC", key.strip(" "))


def is_blank(text: str) -> bool:
    """Whether the text has no visible character."""
    return _visible.search(text) is None


def email_key(email: str) -> str:
    """The key that all spellings of an e-mail address share.

    As for mail servers, a domain equals its ASCII form (`xn--…`), with any kind of full stop between its parts, and with
    one at its end.
    """
    local, at, domain = text_key(email).rpartition("@")
    parts = domain.replace("\u3002", ".").rstrip(".").split(".")
    return f"{local}{at}{'.'.join(map(_label_key, parts))}"


def _label_key(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        name = label[4:].encode("ascii").decode("punycode")
        name.encode()
    except UnicodeError:
        return label
    return text_key(name)


def text_key_sql() -> str:
    """The statement that creates the function `text_key(text)` in PostgreSQL."""
    common: list[tuple[str, str]] = []
    rare: list[tuple[str, str]] = []
    for char in map(chr, range(0x80, sys.maxunicode + 1)):
        folded = "\u00df" if char == "\u1e9e" else char.casefold()
        if folded != char and len(folded) == 1 and unicodedata.normalize("NFKD", char) == char:
            (common if char < "\u0530" else rare).append((char, folded))
    steps = "\n    ".join(f"key := regexp_replace(key, '{pattern}', '{by}', 'g');" for pattern, by in _STEPS)
    return f"""
CREATE FUNCTION text_key(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    key text;
BEGIN
    IF value ~ '^{_PLAIN}$' COLLATE "C" THEN
        RETURN lower(value COLLATE "C");
    END IF;
    key := lower(normalize(value, NFKD) COLLATE "C");
    {_folding(common)}
    {_folding(rare)}
    {steps}
    RETURN normalize(btrim(key, ' '), NFKC);
END
$$
"""


def _folding(pairs: list[tuple[str, str]]) -> str:
    capitals, folded = map("".join, zip(*pairs, strict=True))
    # Without this test, every character would be compared with the whole table.
    return f"""IF key ~ '[{capitals}\u00df]' THEN
        key := replace(translate(key, '{capitals}', '{folded}'), '\u00df', 'ss');
    END IF;"""
