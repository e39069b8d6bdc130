"""Tokens that the shop has not issued, or not so (A1): each is 401, and nothing that they name is asked for."""

import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
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


def _jwk(forger: Forger) -> Json:
    return {"kty": "oct", "k": part(b"of somebody else's"), "kid": forger.header["kid"]}


_OTHER = b"of somebody else's"

FORGERIES: dict[str, Callable[[Forger], str]] = {
    **{f"alg {name}": lambda f, name=name: f.signed_by_nobody(name) for name in ("none", "None", "NONE", "nOnE", "")},
    **{
        f"alg {name} by the right key": lambda f, name=name, digest=digest: f.token({"alg": name}, digest=digest)
        for name, digest in (
            ("HS512", "sha512"),
            ("HS384", "sha384"),
            ("RS256", "sha256"),
            ("ES256", "sha256"),
            ("EdDSA", "sha256"),
            ("hs256", "sha256"),
        )
    },
    "alg HS256 whose digest is another": lambda f: f.token(digest="sha512"),
    **{
        f"alg {value!r}": lambda f, value=value: f.token({"alg": value})
        for value in (None, 256, ["HS256"], {"HS256": 1}, True)
    },
    "no alg": lambda f: f.token(without="alg"),
    "no kid": lambda f: f.token(without="kid"),
    **{
        f"kid {value!r}": lambda f, value=value: f.token({"kid": value})
        for value in (
            "",
            "0" * 16,
            "../../../../dev/null",
            "/dev/null",
            "file:///etc/passwd",
            "' OR '1'='1",
            "x' UNION SELECT 'key' --",
            "a\x00b",
            "é",
            "k" * 3000,
            None,
            7,
            ["x"],
            {"x": 1},
        )
    },
    "kid /dev/null by an empty key": lambda f: f.token({"kid": "/dev/null"}, key=b""),
    "kid of the next character": lambda f: f.token({"kid": f.header["kid"].upper() + "0"}),
    **{
        f"header {name}": lambda f, name=name: f.token({name: f"{f.elsewhere}/keys.json"}, key=_OTHER)
        for name in ("jku", "x5u")
    },
    **{
        f"header {name}, signed by the shop": lambda f, name=name: f.token({name: f"{f.elsewhere}/keys.json"})
        for name in ("jku", "x5u", "url")
    },
    "header jwk": lambda f: f.token({"jwk": _jwk(f)}, key=_OTHER),
    "header jwk, signed by the shop": lambda f: f.token({"jwk": _jwk(f)}),
    "header x5c": lambda f: f.token({"x5c": [base64.b64encode(b"certificate").decode()]}),
    "header crit": lambda f: f.token({"crit": ["exp"], "exp": 1}),
    "header b64": lambda f: f.token({"b64": False, "crit": ["b64"]}),
    "header zip": lambda f: f.token({"zip": "DEF"}),
    "header cty": lambda f: f.token({"cty": "JWT"}),
    "header is a list": lambda f: f"{part([1])}.{f.valid.split('.', 1)[1]}",
    "another key": lambda f: f.token(key=_OTHER),
    "an empty key": lambda f: f.token(key=b""),
    "the name of the key as key": lambda f: f.token(key=f.header["kid"].encode()),
    "another purpose of the secret": lambda f: f.token(key=hashlib.sha256(f.key).digest()),
    **{
        f"no {name}": lambda f, name=name: f.token(without=name)
        for name in ["iss", "aud", "sub", "sid", "jti", "iat", "exp", "scope"]
    },
    **{
        f"{name} {value!r}": lambda f, name=name, value=value: f.token(claims={name: value})
        for name, values in {
            "iss": ("elsewhere", "", None, 7, ["shop"], {"shop": 1}, "Shop"),
            "aud": ("elsewhere", "", None, 7, [], ["elsewhere"], {"shop": 1}),
            "sub": (
                "",
                "x",
                "1.5",
                "-1",
                None,
                True,
                1.5,
                [1],
                {"1": 1},
                "1; DROP TABLE users",
                "0x1",
                "1" * 3000,
                "٣",
            ),
            "sid": ("", "x", "1.5", "-1", None, 1.5, [1], {"1": 1}, "9" * 19, "9" * 30, "٣", "1_0", " 1", "01", "+1"),
            "exp": ("", "x", None, [1], {}, -1, 0, "never", True),
            "iat": ("x", None, [1], {}),
            "nbf": (2**40, "x", [1]),
            "scope": ("users:admin nobody:knows", 7, ["users:admin"], {"x": 1}, None),
        }.items()
        for value in values
    },
    "claims are a list": lambda f: f.token(claims=[1]),
    "claims are a text": lambda f: f.token(claims="admin"),
    "claims are null": lambda f: f"{part(f.header)}.{part(None)}.{f.valid.split('.')[2]}",
    "a repeated name in the claims": lambda f: _signed(f, b'{"sub":"1","sub":"2"}'),
    "claims that are not JSON": lambda f: _signed(f, b"{"),
    "claims that are not UTF-8": lambda f: _signed(f, b'{"sub":"\xff\xfe"}'),
    "another user": lambda f: f.token(claims={"sub": str(int(f.claims["sub"]) + 1)}),
    "another session": lambda f: f.token(claims={"sid": str(int(f.claims["sid"]) + 1)}),
    "a session of nobody": lambda f: f.token(claims={"sid": str(2**62)}),
    "a session beyond 64 bits": lambda f: f.token(claims={"sid": str(2**64)}),
    "a user beyond 64 bits": lambda f: f.token(claims={"sub": str(2**64)}),
    "changed claims with the old signature": lambda f: ".".join(
        (f.valid.split(".")[0], part({**f.claims, "sub": "1"}), f.valid.split(".")[2])
    ),
    "no signature": lambda f: f.valid.rsplit(".", 1)[0],
    "an empty signature": lambda f: f.valid.rsplit(".", 1)[0] + ".",
    "half of the signature": lambda f: f.valid[:-20],
    "a signature too many": lambda f: f"{f.valid}.{f.valid.split('.')[2]}",
    "a JSON web encryption": lambda f: ".".join([f.valid.split(".")[0]] * 5),
    "the parts in base64 with padding": lambda f: ".".join(text + "==" for text in f.valid.split(".")),
    "not ASCII": lambda f: f.valid + "é",
    "a space within": lambda f: f.valid.replace(".", " .", 1),
    "a line of JSON": lambda f: '{"alg":"none"}',
    "dots": lambda f: "..",
    "one word": lambda f: "token",
    "10 KB": lambda f: f.token(claims={"x": "x" * 10_000}),
    "100 KB": lambda f: f.token(claims={"x": "x" * 75_000}),
    "100 KB of nothing": lambda f: "x" * 100_000,
}


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


@pytest.mark.parametrize("name", FORGERIES)
def test_a1_forged_token(shop: GuardedShop, forger: Forger, nowhere: socket.socket, name: str) -> None:
    token = FORGERIES[name](forger).encode()
    # Where nothing is remembered, and where the response is.
    for target in ("/clients", "/products", "/products"):
        status, response = raw(shop, b"Authorization: Bearer " + token, target=target)
        assert status == 401, response
        assert b"token_invalid" in response or b"token_expired" in response
        assert b'\r\nwww-authenticate: Bearer realm="shop", error="invalid_token"' in response.lower().replace(
            b"bearer realm", b"Bearer realm"
        )
        assert b"\r\ncache-control: private, no-store\r\n" in response.lower()
        if len(token) > 20:
            assert token not in response
    with pytest.raises(BlockingIOError):
        nowhere.accept()


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
