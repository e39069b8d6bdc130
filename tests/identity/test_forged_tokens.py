"""Tokens that the shop has not issued, or not so (A1): each is 401, and nothing that they name is asked for."""

import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from security.secret_keys import KeyRing
from tests.guarded_shop import Caller, GuardedShop

pytestmark = pytest.mark.integration

Json = dict[str, Any]


def part(value: object) -> str:
    """A part of a token: text as it is, anything else as JSON."""
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


class Forger:
    """Makes tokens from a valid one of an administrator, with the shop's own key unless another is given."""

    def __init__(self, shop: GuardedShop, admin: Caller, elsewhere: str) -> None:
        self.secret = shop.secret.encode()
        self.key = KeyRing([shop.secret]).signing("access token")
        self.valid = admin.headers["Authorization"].removeprefix("Bearer ")
        self.header, self.claims = (
            json.loads(base64.urlsafe_b64decode(text + "==")) for text in self.valid.split(".")[:2]
        )
        self.elsewhere = elsewhere

    def token(
        self,
        header: Mapping[str, Any] | None = None,
        claims: Any = None,
        *,
        without: str = "",
        digest: str = "sha256",
        key: bytes | None = None,
    ) -> str:
        """The token with this in its header and claims, and one claim or part of the header left out."""
        heads = {name: value for name, value in {**self.header, **(header or {})}.items() if name != without}
        said = claims
        if claims is None or isinstance(claims, dict):
            said = {name: value for name, value in {**self.claims, **(claims or {})}.items() if name != without}
        content = f"{part(heads)}.{part(said)}"
        mac = hmac.digest(self.key if key is None else key, content.encode(), digest)
        return f"{content}.{part(mac)}"

    def signed_by_nobody(self, algorithm: str) -> str:
        head, said, _ = self.token({"alg": algorithm}).split(".")
        return f"{head}.{said}."


_OTHER = b"of somebody else's"


def forgeries(f: Forger) -> Iterator[tuple[str, str]]:
    """Each token that is none, after what is wrong with it."""
    yield from of_the_header(f)
    yield from of_the_key(f)
    yield from of_the_claims(f)
    yield from of_the_form(f)


def of_the_header(f: Forger) -> Iterator[tuple[str, str]]:
    for name in ("none", "None", "NONE", "nOnE", ""):
        yield f"alg {name}", f.signed_by_nobody(name)
    for name, digest in (("HS512", "sha512"), ("HS384", "sha384"), ("RS256", "sha256"), ("EdDSA", "sha256")):
        yield f"alg {name} by the right key", f.token({"alg": name}, digest=digest)
    for alg in ("hs256", "HS256 ", None, 256, ["HS256"], {"HS256": 1}, True):
        yield f"alg {alg!r}", f.token({"alg": alg})
    yield "alg HS256 with another digest", f.token(digest="sha512")
    paths = ("../../../../dev/null", "/dev/null", "file:///etc/passwd", "' OR '1'='1", "x' UNION SELECT 'key' --")
    for kid in (
        "",
        "0" * 16,
        *paths,
        "a\x00b",
        "é",
        "k" * 3000,
        None,
        7,
        ["x"],
        {"x": 1},
        f.header["kid"].upper() + "0",
    ):
        yield f"kid {kid!r}", f.token({"kid": kid})
    for kid in ("/dev/null", "", None):
        yield f"kid {kid!r} by an empty key", f.token({"kid": kid}, key=b"")
    for name in ("jku", "x5u", "url"):
        yield f"header {name}", f.token({name: f"{f.elsewhere}/keys.json"}, key=_OTHER)
        yield f"header {name} by the right key", f.token({name: f"{f.elsewhere}/keys.json"})
    jwk = {"kty": "oct", "k": part(_OTHER), "kid": f.header["kid"]}
    yield "header jwk", f.token({"jwk": jwk}, key=_OTHER)
    others = {"jwk": jwk, "x5c": [part(b"certificate")], "zip": "DEF", "cty": "JWT"}
    for name, value in others.items():
        yield f"header {name} by the right key", f.token({name: value})
    yield "header crit", f.token({"crit": ["exp"], "exp": 1})
    yield "header b64", f.token({"b64": False, "crit": ["b64"]})
    yield "a list as header", f"{part([1])}.{f.valid.split('.', 1)[1]}"
    for name in ("alg", "kid"):
        yield f"no {name}", f.token(without=name)


def of_the_key(f: Forger) -> Iterator[tuple[str, str]]:
    for key in (_OTHER, b"", f.header["kid"].encode(), hashlib.sha256(f.key).digest(), f.secret):
        yield f"by the key {key!r}", f.token(key=key)


_NO_KEYS = ("", "x", "1.5", "-1", "0x1", " 1", "01", "+1", "1_0", "٣", None, True, 1, 1.5, [1], {"1": 1})
_WRONG: dict[str, tuple[object, ...]] = {
    "iss": ("elsewhere", "", None, 7, ["shop"], {"shop": 1}, "Shop"),
    "aud": ("elsewhere", "", None, 7, [], ["elsewhere"], {"shop": 1}),
    "sub": (*_NO_KEYS, "1; DROP TABLE users", "1" * 3000, str(2**62), str(2**64)),
    "sid": (*_NO_KEYS, "9" * 19, "9" * 30, str(2**62), str(2**64)),
    "exp": ("", "x", None, [1], {}, -1, 0, "never", True),
    "iat": ("x", None, [1], {}),
    "nbf": (2**40, "x", [1]),
    "scope": ("users:admin nobody:knows", 7, ["users:admin"], {"x": 1}, None),
}


def of_the_claims(f: Forger) -> Iterator[tuple[str, str]]:
    for name, values in _WRONG.items():
        for value in values:
            yield f"{name} {value!r}", f.token(claims={name: value})
    for name in ("iss", "aud", "sub", "sid", "jti", "iat", "exp", "scope"):
        yield f"no {name}", f.token(without=name)
    for claims in ([1], "admin", 7):
        yield f"claims {claims!r}", f.token(claims=claims)
    for text in (b'{"sub":"1","sub":"2"}', b"{", b"null", b"", b'{"sub":"\xff\xfe"}', b"[" * 2000):
        yield f"claims {text[:20]!r}", _signed(f, text)
    for name in ("sub", "sid"):
        yield f"another {name}", f.token(claims={name: str(int(f.claims[name]) + 1)})
    head, _, mac = f.valid.split(".")
    yield "changed claims with the old signature", f"{head}.{part({**f.claims, 'sub': '1'})}.{mac}"


def of_the_form(f: Forger) -> Iterator[tuple[str, str]]:
    head, claims, mac = f.valid.split(".")
    yield from {
        "no signature": f"{head}.{claims}",
        "an empty signature": f"{head}.{claims}.",
        "half of the signature": f.valid[:-20],
        "a signature too many": f"{f.valid}.{mac}",
        "an encrypted one": ".".join([head] * 5),
        "base64 with padding": ".".join(text + "==" for text in (head, claims, mac)),
        "not ASCII": f.valid + "é",
        "a space within": f"{head} .{claims}.{mac}",
        "JSON": '{"alg":"none"}',
        "dots": "..",
        "a word": "token",
        "10 KB": f.token(claims={"x": "x" * 7_500}),
        "100 KB": f.token(claims={"x": "x" * 75_000}),
        "100 KB of nothing": "x" * 100_000,
    }.items()


def _signed(forger: Forger, claims: bytes) -> str:
    content = f"{part(forger.header)}.{part(claims)}"
    return f"{content}.{part(hmac.digest(forger.key, content.encode(), 'sha256'))}"


@pytest.fixture(scope="module")
def nowhere() -> Iterator[socket.socket]:
    """A server that nobody may ask."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(scope="module")
def forger(shop: GuardedShop, nowhere: socket.socket) -> Forger:
    return Forger(shop, shop.user("admin"), f"http://127.0.0.1:{nowhere.getsockname()[1]}")


def raw(shop: GuardedShop, *lines: bytes, target: str = "/clients") -> tuple[int, bytes]:
    """The status and the whole response to a GET with these lines of headers, whatever is in them."""
    host, port = urlsplit(shop.url).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = b"\r\n".join((f"GET {target} HTTP/1.1".encode(), b"Host: shop", b"Connection: close", *lines))
        connection.sendall(head + b"\r\n\r\n")
        response = b""
        while piece := connection.recv(65536):
            response += piece
    return int(response.split(b" ", 2)[1]), response


def test_a1_forged_tokens(shop: GuardedShop, forger: Forger, nowhere: socket.socket) -> None:
    wrong = []
    for name, token in forgeries(forger):
        # Where nothing is remembered, and where the response is.
        for target in ("/clients", "/products", "/products"):
            status, response = raw(shop, b"Authorization: Bearer " + token.encode(), target=target)
            if status != 401 or not _is_refusal(response) or (len(token) > 20 and token.encode() in response):
                wrong.append((name, target, response[:600]))
    assert wrong == []
    with pytest.raises(BlockingIOError):
        nowhere.accept()


def _is_refusal(response: bytes) -> bool:
    return (
        (b'"token_invalid"' in response or b'"token_expired"' in response)
        and b'Bearer realm="shop", error="invalid_token"' in response
        and b"\r\ncache-control: private, no-store\r\n" in response.lower()
    )


def test_a1_the_token_that_all_these_are_made_of_is_valid(shop: GuardedShop, forger: Forger) -> None:
    for token in (forger.valid, forger.token(), forger.token({"typ": "at+jwt"}), forger.token(without="typ")):
        assert raw(shop, f"Authorization: Bearer {token}".encode())[0] == 200
    soon = int(time.time())
    for exp, status in ((soon + 5, 200), (soon - 5, 200), (soon - 15, 401)):
        assert raw(shop, f"Authorization: Bearer {forger.token(claims={'exp': exp})}".encode())[0] == status


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Authorization: bearer {}", 200),
        ("AUTHORIZATION: BEARER {}", 200),
        ("Authorization: Bearer   {}  ", 200),
        ("Authorization:Bearer {}", 200),
        ("Authorization: Bearer\t{}", 401),
        ("Authorization: Bearer", 401),
        ("Authorization: Bearer ", 401),
        ("Authorization: ", 401),
        ("Authorization: {}", 401),
        ("Authorization: Basic {}", 401),
        ("Authorization: Token {}", 401),
        ("Authorization: Bearer{}", 401),
        ("Authorization: Bearer Bearer {}", 401),
        ("Authorization: Bearer {}, Bearer {}", 401),
        ("Authorization: Bearer {} x", 401),
        ('Authorization: Bearer "{}"', 401),
        ("Authorization: Bearer {}\r\nAuthorization: Bearer {}", 401),
        ("Authorization: Bearer {}\r\nAuthorization: Basic eDp5", 401),
        ("Authorization: Basic eDp5\r\nAuthorization: Bearer {}", 401),
        ("Authorization: Bearer {}\r\nX-API-Key: {}", 400),
        ("Authorization: Bearer {}\r\nX-API-Key: ", 400),
        ("X-API-Key: {}", 401),
        ("X-API-Key: ", 401),
        ("X-API-Key: shop_x_y\r\nX-API-Key: shop_x_y", 401),
        ("Proxy-Authorization: Bearer {}", 401),
        ("Cookie: access_token={}; Authorization=Bearer {}", 401),
    ],
)
def test_a1_the_line_of_the_token(shop: GuardedShop, forger: Forger, line: str, status: int) -> None:
    answered, response = raw(shop, line.replace("{}", forger.valid).encode())
    assert answered == status, response


@pytest.mark.parametrize("garbage", [b"\xff\xfe\xfd", b"\xc3\xa9", b"\xed\xa0\x80", b"\x80" * 200, b"\xc0\xaf"])
def test_a1_bytes_that_are_no_text(shop: GuardedShop, garbage: bytes) -> None:
    for line in (b"Authorization: Bearer " + garbage, b"Authorization: " + garbage, b"X-API-Key: shop_a_" + garbage):
        for _ in range(2):
            status, response = raw(shop, line)
            assert (status, b"token_invalid" in response) == (401, True), response


@pytest.mark.parametrize("place", ["query", "body", "form", "path"])
def test_a1_a_token_elsewhere_is_none(shop: GuardedShop, forger: Forger, place: str) -> None:
    if place == "query":
        assert shop.http.get("/clients", params={"access_token": forger.valid}).status_code in (401, 422)
    elif place == "path":
        assert shop.http.get(f"/clients;access_token={forger.valid}").status_code in (401, 404)
    elif place == "body":
        assert shop.http.post("/clients", json={"access_token": forger.valid}).status_code == 401
    else:
        assert shop.http.post("/clients", data={"access_token": forger.valid}).status_code == 401
