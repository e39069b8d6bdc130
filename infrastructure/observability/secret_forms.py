"""Secrets that are known by their form, wherever they stand: tokens, issued keys, and hashes of passwords."""

import re

PASSWORD, TOKEN, API_KEY = "[PASSWORD_REDACTED]", "[TOKEN_REDACTED]", "[API_KEY_REDACTED]"

# The start of a word, also behind an escape in a URL.
_START = r"(?: (?<! [\w%-] ) | (?<= % [0-9A-Fa-f]{2} ) )"
_JWT = re.compile(rf"{_START} eyJ[\w-]++ (?: \. [\w-]++ ){{1,2}}", re.VERBOSE | re.ASCII)
_ISSUED_KEY = re.compile(
    rf"""{_START} (?: sk- [\w-]{{10,}}+ | [spr]k_(?:live|test)_ \w++ | AKIA[A-Z0-9]{{12,}}+ | AIza[\w-]{{20,}}+
      | gh[opsu]_\w{{20,}}+ | github_pat_\w{{20,}}+ | glpat-[\w-]{{15,}}+ | npm_\w{{30,}}+ | xox[a-z]-[\w-]{{10,}}+ | whsec_[\w+/=-]{{10,}}+
      | shop_[0-9a-z]{{1,16}}_[\w-]{{20,}}+ )""",
    re.VERBOSE | re.ASCII,
)
# The shop's own: a refresh token, and a token of a mail, which is 32 bytes in base64 without a mark.
_REFRESH = re.compile(rf"{_START} refresh_\d{{1,19}}_\d{{1,10}}_[\w-]{{20,}}+", re.VERBOSE | re.ASCII)
_UNMARKED = re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])", re.ASCII)
_PASSWORD_HASH = re.compile(r"\$argon2(?:id|i|d)\$[\w$,=+/.-]++", re.ASCII)
# Shorter than every secret of these forms.
_SHORTEST = 16


def redact_forms(text: str) -> str:
    """`text`, such as a path, without the secrets that their form tells."""
    return text if len(text) < _SHORTEST else without_unmarked(without_marked(text))


def without_marked(text: str) -> str:
    """`text` without the secrets that have a mark of their kind."""
    text = _JWT.sub(TOKEN, text)
    text = _ISSUED_KEY.sub(API_KEY, text)
    text = _REFRESH.sub(TOKEN, text)
    return _PASSWORD_HASH.sub(PASSWORD, text)


def without_unmarked(text: str) -> str:
    """`text` without words that can only be a secret of 32 bytes."""
    return _UNMARKED.sub(_without_random_word, text)


def _without_random_word(match: re.Match[str]) -> str:
    """Redact a word in both cases; a name of this length has only one."""
    word = match[0]
    return word if word in (word.lower(), word.upper()) else TOKEN
