"""Redaction: makes text safe to log. Secrets are replaced, control characters escaped, long text cut.

`redact` finds secrets in text (messages, URLs, headers, JSON, reprs), `redact_value` in nested data; `escape` keeps
text from clients on one line.

A secret may be encoded for a URL, once or several times, or written in other Unicode forms. When a secret is found only
in the decoded text, the decoded text is shown.

Every pattern takes time linear in the text: repetitions are bounded or possessive (`++` never gives characters back),
and no part that can fail follows a long run. Only single characters repeat possessively: for groups, Python before
3.11.4 keeps what a failed last attempt has matched.
"""

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import unquote

from infrastructure.observability.secret_forms import (
    API_KEY as API_KEY,
)
from infrastructure.observability.secret_forms import (
    PASSWORD as PASSWORD,
)
from infrastructure.observability.secret_forms import (
    TOKEN as TOKEN,
)
from infrastructure.observability.secret_forms import (
    without_marked,
    without_unmarked,
)

CARD, SSN = "[CARD_REDACTED]", "[SSN_REDACTED]"

# Longer text is cut before the search: nobody reads it, and one request must not keep the log busy.
MAX_LENGTH = 16_384
# Deeper data is logged as "…", well before Python's recursion limit.
MAX_DEPTH = 8

_FLAGS = re.VERBOSE | re.IGNORECASE | re.ASCII | re.DOTALL

# The end of a name makes it sensitive, so that POSTGRES_PASSWORD, x-api-key and accessToken are found, too. The shortest
# names count only among the parameters of a URL.
_NAME = r"""
  (?: (?P<api_key> (?: api | secret | access | private ) [ _-]? key )
    | (?P<token> token | jwt | cookie | (?P<authorization> authorization )
        | (?<! [a-z] ) (?: auth | sid | sess(?:ion)? [_-]? id | sig(?:nature)? | otp | tok )
        | (?<= [?&;] ) (?: key | [kt] ) )
    | (?P<password> passwords? | passwd | passphrase | passcode | pwd | secret | credentials?
        | (?<! [a-z] ) (?: pass | psw | pw | pin | cv[vc]2? | csc ) | (?<= [?&;] ) p )
    | (?P<ssn> (?<! [a-z] ) ssn )
  ) (?: [_-]? (?: hash | confirm(?:ation)? | repeat | \d{1,2} ) )?
"""
_QUOTE = r"""(?: \\{0,4} ["'] )"""
_BETWEEN = (
    rf""" {_QUOTE}? (?: \[?\] )? [ \t]{{0,8}}+ (?: => | [:=] ) [ \t]{{0,8}}+ (?: b (?= ["'] ) | (?! b ["'] ) ) """
)
# In JSON inside JSON the quotes themselves are escaped, and those of the value more than once.
_QUOTED = r""" (?P<quote> (?P<nested> \\{1,4} )? ["'] ) (?: (?! (?P=quote) ) (?(nested) \\*+ | \\?+ ) . )+ """
# A comma or a closing bracket ends an unquoted value only where the next character agrees: in
# `password=a,b` it may be part of the password, and too much hidden is better than too little.
_PLAIN = r"""
  (?= [^\s&"'<>,;)}\]] ) (?: [\[{(] [^\]})]*+ [\]})]?+ )?
  (?: [^\s&"'<>,;)}\]\\] | \\ (?! ["'] ) | [,;)}\]] (?= [^\s"'\\,;)}\]&<>] ) )*
"""

_SENSITIVE_NAME = re.compile(rf"{_NAME} \Z", _FLAGS)
# password=value, "password": "value", password[]=value, \"password\": \"value\". After Authorization
# comes the kind of its value, then the value.
_ASSIGNED = re.compile(
    rf"""(?P<head> {_NAME} {_BETWEEN} )
    (?: {_QUOTED} | {_PLAIN} (?(authorization) (?: (?<! _REDACTED\] ) [ ]+ {_PLAIN} )? ) )""",
    _FLAGS,
)
# The same inside a URL: password%3Dvalue, %22password%22%3A%22value%22
_ENCODED = re.compile(
    rf"""(?P<head> {_NAME} (?: %5B%5D | %5D )? (?: %3D | (?P<json> %22 (?: %20 | \+ )? %3A (?: %20 | \+ )? %22 ) ) )
    (?(json) (?: %5C%5C | %5C%22 | (?! %22 ) [^&\s] )+ | (?: (?! %26 ) [^&\s"'<>] )+ )""",
    _FLAGS,
)
# (b'authorization', b'value'), the way ASGI keeps headers
_PAIR = re.compile(rf"(?P<head> \( b? [\"'] [\w-]{{0,40}}? {_NAME} [\"'] , [ ]? b? ) {_QUOTED}", _FLAGS)
_BEARER = re.compile(
    r"(?<! \w ) (?P<head> bearer (?: [ +] | %20 ){1,8} ) (?! token\b | [ +] | %20 ) [\w.~+/=-]++", _FLAGS
)

_AFTER_SCHEME = re.compile(r"""(?<= :// ) (?: (?! :// ) [^\s"'<>] )+""", re.VERBOSE)
_PORT_AND_PATH = re.compile(r"\d{1,5}[/?#]", re.ASCII)

_GAP = r"(?: [ +-] | %20 )?"
_OTHER_GAP = r"[._/]?"
# Not within a word or a decimal fraction, and not after the + of a telephone number.
_DIGITS_START = r"(?: (?<! [0-9A-Za-z%] ) (?<! \d[.-] ) (?<! \W\+ ) (?<! \A\+ ) | (?<= % [0-9A-Fa-f]{2} ) )"
# With spaces or dots, any three numbers look alike: so areas 000, 666 and 9xx, group 00 and serial 0000, which were never
# issued, do not count.
_SSN = re.compile(
    rf"""{_DIGITS_START} (?: \d{{3}}-\d{{2}}-\d{{4}}
      | (?! 000 | 666 | 9 ) \d{{3}} (?P<gap> [ .] ) (?! 00 ) \d{{2}} (?P=gap) (?! 0000 ) \d{{4}} ) (?! [\w] | [.-]\d )""",
    re.VERBOSE | re.ASCII,
)
_MAYBE_CARD = re.compile(
    rf"""{_DIGITS_START} (?: [0-9A-Fa-f]{{8}} (?: -[0-9A-Fa-f]{{4}} ){{3}} -[0-9A-Fa-f]{{12}}  # a UUID is passed over
      | (?= (?P<digits> [2-6]\d{{3}} (?: (?: {_GAP} \d ){{9,15}} | (?: {_OTHER_GAP} \d ){{9,15}} ) ) ) \d{{4}} )""",
    re.VERBOSE | re.ASCII,
)
# Only card numbers are written like this, also with a wrong check digit: people mistype.
_GROUPED_CARD = re.compile(
    r"(?<! [\w.-] ) \d{4} (?P<gap> [ ._/+-]{1,2} ) \d{4} (?P=gap) \d{4} (?P=gap) \d{4} (?! \w | [.-]\d )",
    re.VERBOSE | re.ASCII,
)
# Only the prefixes and lengths of card issuers: one in ten of other long numbers (times in milliseconds, barcodes, ids)
# has a right check digit as well.
_ISSUED = re.compile(
    r"""4 (?: \d{12} | \d{15} | \d{18} ) | 5\d{15} | 2[2-7]\d{14} | 3[47]\d{13} | 3 (?: 0[0-5] | [689]\d ) \d{11}
      | (?: 35 | 6\d ) \d{14,17}""",
    re.VERBOSE | re.ASCII,
)
_CARD_LENGTHS = range(19, 12, -1)

# An ordinary line has none of these, and one search is enough.
_WORDS = re.compile(
    r"pass|pwd|secret|token|jwt|cookie|auth|bearer|ssn|credential|(?:api|access|private)[ _-]?key|eyj|sk-|k_live_|k_test_"
    r"|akia|aiza|gh[opsu]_|github_pat_|glpat-|npm_|xox|whsec_|shop_|refresh_|\$argon2|(?<![a-z])(?:psw|pw|pin|cv[vc]|csc|sid|sess|sig|otp|tok)"
    r"|[?&;](?:key|[ptk])[^a-z]"
)
_MANY_DIGITS = re.compile(r"[0-9][0-9 ._/+%-]{10}")

_WITHOUT_GAPS = str.maketrans("", "", " ._/+-")
# Text is decoded so many times; nobody reads text that was encoded more often.
_MOST_ENCODINGS = 4
_JSON_CODE = re.compile(r"\\u00([2-7][0-9a-fA-F])")
_WITHOUT_INVISIBLE = dict.fromkeys([0xAD, 0x180E, *range(0x200B, 0x2010), *range(0x2060, 0x2065), 0xFEFF])
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")

# Line ends, terminal escapes, marks that reverse the reading direction, and lone surrogates, which no file can hold. Each
# is written as in a Python string.
_ESCAPES = {
    code: chr(code).encode("unicode_escape").decode()
    for codes in (
        range(0x20),
        range(0x7F, 0xA0),
        range(0x200E, 0x2010),
        range(0x2028, 0x202F),
        range(0x2066, 0x206A),
        range(0xD800, 0xE000),
    )
    for code in codes
}
_ESCAPES_IN_LINES = {code: text for code, text in _ESCAPES.items() if code != ord("\n")}


def escape(text: str, *, keep_lines: bool = False) -> str:
    r"""`text` on one line, without control characters: a line feed becomes `\n`.

    With `keep_lines` line feeds stay, for text whose lines will all be indented.
    """
    if text.isprintable():
        return text
    return text.translate(_ESCAPES_IN_LINES if keep_lines else _ESCAPES)


def cut(text: str) -> str:
    """`text`, or its beginning and its end if it is longer than MAX_LENGTH characters.

    It is cut at spaces if possible: half a secret would not be found.
    """
    if len(text) <= MAX_LENGTH:
        return text
    half = MAX_LENGTH // 2
    head = text.rfind(" ", half - 1024, half)
    tail = text.find(" ", len(text) - half, len(text) - half + 1024)
    head, tail = (half if head < 0 else head), (len(text) - half if tail < 0 else tail)
    return f"{text[:head]} … [{tail - head} characters cut] … {text[tail:]}"


def redact(text: str) -> str:
    """`text` with every secret replaced by its kind."""
    shown = _without_secrets(text)
    if "%" not in shown and "\\u00" not in shown and shown.isascii():
        return shown
    decoded = _decoded(shown)
    searched = _without_secrets(decoded)
    return shown if searched == decoded else searched


def _decoded(text: str) -> str:
    """`text` without the escapes of URLs and JSON, in the Unicode form NFKC, without invisible characters."""
    for _ in range(_MOST_ENCODINGS):
        plain = _JSON_CODE.sub(lambda code: chr(int(code[1], 16)), unquote(text))
        if plain == text:
            break
        text = plain
    return unicodedata.normalize("NFKC", text).translate(_WITHOUT_INVISIBLE)


def _without_secrets(text: str) -> str:
    if "://" in text and "@" in text:
        text = _AFTER_SCHEME.sub(_without_url_password, text)
    if _WORDS.search(text.lower()):
        text = without_marked(text)
        text = _BEARER.sub(rf"\g<head>{TOKEN}", text)
        for pattern in (_PAIR, _ENCODED, _ASSIGNED):
            text = pattern.sub(_without_value, text)
    text = without_unmarked(text)
    if _MANY_DIGITS.search(text):
        text = _SSN.sub(SSN, text)
        text = _GROUPED_CARD.sub(CARD, _without_cards(text))
    return text


def redact_value(value: object, depth: int = 0) -> object:
    """`value`, nested data included, as plain data for JSON with every secret replaced."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        # A card number may be an integer; and readers of JSON take integers of 64 bits at most.
        text = str(value)
        return value if redact(text) == text and abs(value) < 2**63 else redact(text)
    if isinstance(value, str):
        return escape(redact(cut(value)))
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            str(redact_value(str(name))): kind_of_secret(str(name)) or redact_value(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(item, depth + 1) for item in value]
    return redact_value(str(value))


def kind_of_secret(name: str) -> str | None:
    """The replacement for a value of this name; None if the name is not sensitive."""
    match = _SENSITIVE_NAME.search(name[-64:])
    return _replacement(match) if match else None


def _replacement(match: re.Match[str]) -> str:
    if match["password"]:
        return PASSWORD
    if match["token"]:
        return TOKEN
    return API_KEY if match["api_key"] else SSN


def _without_value(match: re.Match[str]) -> str:
    quote = match.groupdict().get("quote") or ""
    return f"{match['head']}{quote}{_replacement(match)}"


def _without_url_password(match: re.Match[str]) -> str:
    """Redact the text from `://` to the next space or quote: user:password@host/path?query."""
    credentials, at, rest = match[0].rpartition("@")
    user, colon, password = credentials.partition(":")
    # http://host:8000/@me and http://host/a:b@c name no password.
    if not password or "/" in user or _PORT_AND_PATH.match(password):
        return match[0]
    return f"{user}{colon}{PASSWORD}{at}{rest}"


def _without_cards(text: str) -> str:
    """Redact card numbers. Another number may overlap a card number that begins inside it, so every start is tried."""
    done, start = [], 0
    for match in _MAYBE_CARD.finditer(text):
        if match["digits"] is None or match.start() < start:
            continue
        end = _end_of_card(text, match.start(), match.end("digits"))
        if end is not None:
            done += [text[start : match.start()], CARD]
            start = end
    return "".join([*done, text[start:]])


def _end_of_card(text: str, start: int, stop: int) -> int | None:
    """The end of the card number that begins at `start`, if there is one; a security code may follow it before `stop`."""
    written = text[start:stop].replace("%20", "   ")
    digits = written.translate(_WITHOUT_GAPS)
    for length in _CARD_LENGTHS:
        if _ISSUED.fullmatch(digits, 0, length) and length <= len(digits) and _has_check_digit(digits[:length]):
            end = start + [place for place, character in enumerate(written, 1) if character.isdigit()][length - 1]
            if not text[end : end + 1].isalnum():
                return end
    return None


def _has_check_digit(digits: str) -> bool:
    """Luhn's check: every second digit from the right is doubled, and all digits are added up."""
    codes = digits.encode("ascii")
    return (sum(codes[::-2]) + sum(codes[-2::-2].translate(_DOUBLED)) - len(codes) * ord("0")) % 10 == 0
