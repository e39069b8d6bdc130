"""Secrets do not reach the log, ordinary data does, and no text makes the search slow."""

import ast
import json
import math
import string
import sys
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.observability.redaction import (
    API_KEY,
    CARD,
    MAX_LENGTH,
    PASSWORD,
    SSN,
    TOKEN,
    cut,
    escape,
    kind_of_secret,
    redact,
    redact_value,
)
from infrastructure.observability.secret_forms import redact_forms

pytestmark = pytest.mark.unit

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g"

RANDOM = "Ab3-_Cd4-_Ef5-_Gh6-_Ij7-_Kl8-_Mn9-_Op0-_Qr1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hunter2", f"password={PASSWORD}"),
        ("PASSWORD=hun,ter2 next", f"PASSWORD={PASSWORD} next"),
        ("POSTGRES_PASSWORD: hunter2, user: ada", f"POSTGRES_PASSWORD: {PASSWORD}, user: ada"),
        ("connect(user='ada', passwd='hun ter2')", f"connect(user='ada', passwd='{PASSWORD}')"),
        ("login(pwd=hunter2)", f"login(pwd={PASSWORD})"),
        ('{"secret": "a\\"b c", "n": 1}', f'{{"secret": "{PASSWORD}", "n": 1}}'),
        (r"{\"password\": \"hunter2\", \"n\": 1}", rf"{{\"password\": \"{PASSWORD}\", \"n\": 1}}"),
        (r"{\"password\": \"a\\\"b\", \"n\": 1}", rf"{{\"password\": \"{PASSWORD}\", \"n\": 1}}"),
        (f"token={JWT};rest next", f"token={TOKEN} next"),
        ("{'newPassword': b'hunter2'}", f"{{'newPassword': b'{PASSWORD}'}}"),
        ("password={'value': 'hunter2'} next", f"password={PASSWORD} next"),
        ("user[password]=hunter2&n=1", f"user[password]={PASSWORD}&n=1"),
        ("%22password%22%3A%22hunter2%22%2C%22n%22", f"%22password%22%3A%22{PASSWORD}%22%2C%22n%22"),
        ('"password":12345,"user":"ada"', f'"password":{PASSWORD},"user":"ada"'),
        ("token=abc access_token: x.y", f"token={TOKEN} access_token: {TOKEN}"),
        ("/cb?refresh_token=a%2Fb&n=1", f"/cb?refresh_token={TOKEN}&n=1"),
        ("Authorization: Bearer abc-123._~ Host: x", f"Authorization: {TOKEN} Host: x"),
        ("authorization: Basic dXNlcjpwYXNz", f"authorization: {TOKEN}"),
        ("sent Bearer abc123 to it", f"sent Bearer {TOKEN} to it"),
        ("(b'authorization', b'Basic eHg6eQ==')", f"(b'authorization', b'{TOKEN}')"),
        (f"got {JWT} from it", f"got {TOKEN} from it"),
        (f"a%3D{JWT}", f"a%3D{TOKEN}"),
        ("X-Api-Key: abc", f"X-Api-Key: {API_KEY}"),
        ("api_key=abc&apikey=d", f"api_key={API_KEY}&apikey={API_KEY}"),
        ("secretKey='abc d'", f"secretKey='{API_KEY}'"),
        ("using sk-proj-abcdEFGH12345678", f"using {API_KEY}"),
        ("using sk_live_abcdEFGH12345678", f"using {API_KEY}"),
        (f"key shop_0a1b2c3d_{RANDOM}, used", f"key {API_KEY}, used"),
        (f"key%3Dshop_0a1b2c3d_{RANDOM}", f"key%3D{API_KEY}"),
        (f"'refresh_12_0_{RANDOM}'", f"'{TOKEN}'"),
        (f"GET /auth/email/verify/{RANDOM} - 404", f"GET /auth/email/verify/{TOKEN} - 404"),
        (f"/reset-password?token={RANDOM}", f"/reset-password?token={TOKEN}"),
        (f"a%2F{RANDOM}%2Fb", f"a/{TOKEN}/b"),
        ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFz/+g and", f"{PASSWORD} and"),
        ("card 4111 1111 1111 1111.", f"card {CARD}."),
        ("card=4111%201111%201111%201111", f"card={CARD}"),
        ("5555-5555-5555-4444 exp 12-27", f"{CARD} exp 12-27"),
        ("3782 822463 10005", CARD),
        ("30569309025904", CARD),
        ("4222222222222", CARD),
        ("card 4111 1111 1111 1111 123", f"card {CARD} 123"),
        ("order 4000 4111111111111111", f"order 4000 {CARD}"),
        ("ssn 123-45-6789.", f"ssn {SSN}."),
        ('{"ssn": "123456789"}', f'{{"ssn": "{SSN}"}}'),
        ("postgresql://ada:s3/cr@et@db:5432/shop", f"postgresql://ada:{PASSWORD}@db:5432/shop"),
        ("'redis://:pw@h1,redis://b:pw@h2/0'", f"'redis://:{PASSWORD}@h1,redis://b:{PASSWORD}@h2/0'"),
    ],
)
def test_secrets_are_replaced_and_nothing_else(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert redact(shown) == shown, "what is redacted already stays as it is"


@pytest.mark.parametrize(
    "text",
    [
        "card 4532-1234-5678-9010.",
        "4532.1234.5678.9010",
        "4532_1234_5678_9010 12/27",
        "4532  1234  5678  9010",
        "card 4111.1111.1111.1111",
        "3782.822463.10005",
        "card=4111%252D1111%252D1111%252D1111",
        "card=4532%25201234%25205678%25209010",
        "4532\u00a01234\u00a05678\u00a09010",
        "\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11",
        "4532\u200b-1234-5678-9010",
    ],
)
def test_a_card_is_found_in_every_writing(text: str) -> None:
    shown = redact(text)
    assert CARD in shown
    assert "1234" not in shown
    assert "1111" not in shown
    assert redact(shown) == shown


@pytest.mark.parametrize("ssn", ["123-45-6789", "123.45.6789", "123 45 6789", "123%2D45%2D6789", "123%252D45%252D6789"])
def test_an_ssn_is_found_in_every_writing(ssn: str) -> None:
    assert redact(f"ssn of a client {ssn}.") == f"ssn of a client {SSN}."


@pytest.mark.parametrize(
    "text",
    [
        "/login%3Fpassword%3Dhunter2",
        "/login%253Fpassword%253Dhunter2%2526n%253D1",
        "%2522password%2522%253A%2522hunter2%2522",
        "/x?p%61ssword=hunter2",
        "/x?pw=hunter2",
        "/x?a=1&p=hunter2",
        "/x?k=hunter2;n=1",
        "/x?key=hunter2",
        "/x%3Fkey%3Dhunter2",
        "pin: hunter2",
        "otp=hunter2",
        "sid=hunter2",
        "x-amz-signature=hunter2",
        "cvv=hunter2",
        "Cookie: hunter2",
        "auth=hunter2",
        '{"p\\u0061ssword": "hunter2"}',
        "postgresql%3A%2F%2Fada%3Ahunter2%40db%2Fshop",
    ],
)
def test_a_named_secret_is_found_in_every_writing(text: str) -> None:
    shown = redact(text)
    assert "hunter2" not in shown
    assert "_REDACTED]" in shown
    assert redact(shown) == shown


@given(st.text(string.ascii_letters + string.digits, min_size=6, max_size=40), st.integers(0, 3))
def test_a_password_is_found_however_often_it_was_encoded(secret: str, times: int) -> None:
    text = f"/login?user=ada&password={secret}-{secret}&n=1"
    for _ in range(times):
        text = quote(text, safe="/")
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "[3f2b8a9c-7d1e-4c11-8b2a-4f1e11c1d1aa] GET /products/123 - 200 OK (45ms)",
        "[41111111-1111-4111-8111-111111111111] id of digits that would make a card",
        "BILL-2026-000001 CREDIT-2026-000017 total 2094.97",
        "2026-11-16T10:00:00.123Z 2026-11-16 10:00:00.123456+00:00 20261116100000",
        "+491511234567 +1 555 123 4567 555-123-4567 +4111111111111111",
        "barcodes 4006381333931 5901234123457 9780201379624 00012345600012",
        "milliseconds 1763283600123 nanoseconds 1763283600123456789",
        "9223372036854775807 1000000000000000000000000000000 0.4111111111111111",
        "4111111111111112 a4111111111111111 41111111111111110",
        "token expired, bearer token missing, max_tokens=5, secretary: Ada, bypass=yes, password must not be blank",
        "Cache HIT: products:list:skip:0:limit:100",
        "Rate limit exceeded for IP 203.0.113.7",
        "pk_order_details fk_orders_client_id_clients Idempotency-Key: abc",
        "http://shop:8000/users/@ada http://shop/a:b@c ada@example.org redis://shop:6379/0",
        "password=",
    ],
)
def test_ordinary_data_is_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/products/{JWT}", f"/products/{TOKEN}"),
        (f"/auth/email/verify/{RANDOM}", f"/auth/email/verify/{TOKEN}"),
        ("/products/4111111111111111", "/products/4111111111111111"),
        ("/nowhere/password=x", "/nowhere/password=x"),
        ("/clients/7", "/clients/7"),
    ],
)
def test_a_path_loses_what_only_a_secret_looks_like(path: str, shown: str) -> None:
    assert redact_forms(path) == shown


SECRET = st.text(min_size=1, max_size=40)


@given(SECRET)
def test_a_password_in_json_is_replaced_whatever_it_is(secret: str) -> None:
    shown = redact(json.dumps({"user": "ada", "password": secret, "n": 1}))
    assert json.loads(shown) == {"user": "ada", "password": PASSWORD, "n": 1}


@given(SECRET)
def test_a_token_in_a_repr_is_replaced_whatever_it_is(secret: str) -> None:
    shown = redact(repr({"user": "ada", "access_token": secret, "n": 1}))
    assert ast.literal_eval(shown) == {"user": "ada", "access_token": TOKEN, "n": 1}


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_a_password_in_a_query_string_is_replaced_whatever_it_is(secret: str) -> None:
    shown = redact("/login?" + urlencode({"user": "ada", "password": secret, "n": 1}))
    assert shown == f"/login?user=ada&password={PASSWORD}&n=1"


@given(st.text(string.ascii_letters + string.digits + "!#$%*+-./:=?@^_~", min_size=1, max_size=40))
def test_a_password_in_a_connection_string_is_replaced_whatever_it_is(secret: str) -> None:
    shown = redact(f"cannot connect to postgresql+psycopg2://ada:{quote(secret, safe='')}@db:5432/shop today")
    assert shown == f"cannot connect to postgresql+psycopg2://ada:{PASSWORD}@db:5432/shop today"


def _with_check_digit(digits: str) -> str:
    for last in string.digits:
        doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits + last))]
        if sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0:
            return digits + last
    raise AssertionError("one of ten digits always fits")


@given(
    st.sampled_from([("4", 13), ("4", 16), ("4", 19), ("51", 16), ("2221", 16), ("37", 15), ("36", 14), ("6011", 16)]),
    st.text(string.digits, min_size=19, max_size=19),
    st.sampled_from(["", " ", "-"]),
)
def test_cards_are_found_and_numbers_with_another_check_digit_are_not(
    issuer: tuple[str, int], digits: str, gap: str
) -> None:
    prefix, length = issuer
    card = _with_check_digit((prefix + digits)[: length - 1])
    other = card[:-1] + str((int(card[-1]) + 5) % 10)
    grouped = [gap.join(n[i : i + 4] for i in range(0, length, 4)) for n in (card, other)]
    assert redact(f"paid by {grouped[0]}, thanks") == f"paid by {CARD}, thanks"
    if not gap:
        assert redact(f"paid by {other}, thanks") == f"paid by {other}, thanks"


def test_nested_data_is_redacted_by_name_and_by_content() -> None:
    data = {
        "user": {"name": "ada", "password": ["a", {"b": "c"}], "api_key": 7},
        "headers": [("Authorization", "Bearer abc"), {"x-auth-token": None}],
        "note": "card 4111111111111111\n",
        "number": 4111111111111111,
        "total": 12.5,
        "paid": True,
        "huge": 10**30,
    }
    assert redact_value(data) == {
        "user": {"name": "ada", "password": PASSWORD, "api_key": API_KEY},
        "headers": [["Authorization", f"Bearer {TOKEN}"], {"x-auth-token": TOKEN}],
        "note": f"card {CARD}\\n",
        "number": CARD,
        "total": 12.5,
        "paid": True,
        "huge": str(10**30),
    }


def test_data_that_contains_itself_ends() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "…" in str(redact_value(endless))


def test_names_tell_secrets() -> None:
    assert [kind_of_secret(name) for name in ("db_password", "refreshToken", "X-API-Key", "ssn", "token_type")] == [
        PASSWORD,
        TOKEN,
        API_KEY,
        SSN,
        None,
    ]


@given(st.text())
def test_escaped_text_is_one_line_that_every_file_can_hold(text: str) -> None:
    shown = escape(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)
    shown.encode()


def test_escapes_are_written_as_in_python() -> None:
    assert escape("a\r\n\x1b[31m\x85\u2028\u202e\ud800é ☕") == r"a\r\n\x1b[31m\x85\u2028\u202e\ud800é ☕"
    assert escape("a\nb\r\n", keep_lines=True) == "a\nb\\r\n"


def test_long_text_loses_its_middle_at_spaces() -> None:
    text = "first " + "password=hunter2 " * 5000 + "last"
    shown = cut(text)
    assert len(shown) < MAX_LENGTH + 100
    assert shown.startswith("first ")
    assert shown.endswith(" last")
    assert "hunter" not in redact(shown)
    assert len(cut("x" * 100_000)) < MAX_LENGTH + 100


HOSTILE = [
    "password",
    "password=",
    'password:"',
    "password=[",
    "password={",
    "password=\\",
    '\\"',
    "shop_",
    "shop_a_",
    "refresh_1_",
    "$argon2id$",
    "a-Z_",
    "eyJ",
    "eyJ.",
    "eyJ-",
    "sk-",
    "sk-a",
    "://a:",
    "://",
    "@",
    "4444 ",
    "4",
    "4-",
    "6%20",
    "6666%20",
    "5555-",
    "4111111111111111 ",
    "123-45-678 ",
    "('a",
    "('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "token[",
    "secret  ",
    "pass",
    "bearer ",
    "bearer x",
    "%20",
    "%3A",
    "key",
    "api ",
    "authorization: ",
    "authorization: a ",
    "12345678-1234-1234-1234-",
    "[",
    "]]]",
    "\x1b",
    "\n",
    " ",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_100_kilobytes_made_to_be_slow_take_less_than_100_ms(unit: str) -> None:
    text = unit * (100_000 // len(unit)) + "@ password=x 4111111111111111 123-45-6789 x://a@"
    bound = 0.1 * SLOWED
    assert _fastest(lambda: escape(redact(cut(text))), bound) < bound


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_time_grows_with_the_text_and_not_with_its_square(unit: str) -> None:
    text = unit * (16_000 // len(unit)) + "@ password=x 4111111111111111 123-45-6789 x://a@"
    # Quadratic time would be 16 times as much for four times the text.
    bound = 8 * _fastest(lambda: redact(text[-4_000:])) + 0.005
    assert _fastest(lambda: redact(text), bound) < bound


def test_an_ordinary_line_costs_little() -> None:
    line = "[3f2b8a9c-7d1e-4c11-8b2a-4f1e11c1d1aa] GET /products/123 - 200 OK (45ms)"
    # About 5 µs; the bound leaves room for a machine that is busy with other tests.
    assert _fastest(lambda: [escape(redact(line)) for _ in range(200)]) / 200 < 40e-6 * SLOWED


# What coverage's tracing costs, where it is on.
SLOWED = 1 if sys.gettrace() is None else 10


def _fastest(work: Callable[[], object], enough: float = 0.0) -> float:
    """The best of three runs, or the first that takes less than `enough`.

    In seconds of the processor, so that other tests on the machine do not count.
    """
    best = math.inf
    for _ in range(3):
        started = time.thread_time()
        work()
        best = min(best, time.thread_time() - started)
        if best < enough:
            break
    return best
