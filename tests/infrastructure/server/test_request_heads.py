"""What is remembered of the heads of requests: only what means the same every time, and no more than has a bound."""

from typing import Any

import pytest

from infrastructure.server.request_heads import Headers, RequestHeads, memoize_on_headers
from tests.middleware.asgi import scope_of

pytestmark = pytest.mark.unit

HOST = [(b"host", b"shop")]


@pytest.fixture
def heads() -> RequestHeads:
    return RequestHeads(learn_every=1)


def request(line: bytes = b"GET /a?b=1 HTTP/1.1", block: bytes = b"Host: shop\r\n") -> bytes:
    return line + b"\r\n" + block + b"\r\n"


def learned(heads: RequestHeads, data: bytes, **scope: Any) -> dict[str, Any] | None:
    heads.learn(data, scope_of(path="/a", query_string=b"b=1", **scope))
    return heads.find(data)


def test_a_request_is_known_when_it_comes_again(heads: RequestHeads) -> None:
    assert heads.find(request()) is None
    known = learned(heads, request())
    assert known is not None
    expected = {"method": "GET", "path": "/a", "raw_path": b"/a", "query_string": b"b=1", "headers": HOST}
    assert {name: known[name] for name in expected} == expected


def test_a_line_and_headers_that_never_came_together_are_known(heads: RequestHeads) -> None:
    heads.learn(request(), scope_of(path="/a", query_string=b"b=1"))
    accept = [*HOST, (b"accept", b"*/*")]
    heads.learn(request(b"HEAD / HTTP/1.1", b"Host: shop\r\nAccept: */*\r\n"), scope_of("HEAD", "/", headers=accept))
    known = heads.find(request(b"GET /a?b=1 HTTP/1.1", b"Host: shop\r\nAccept: */*\r\n"))
    assert known is not None
    assert (known["method"], known["path"], known["headers"]) == ("GET", "/a", accept)


def test_nobody_can_change_what_others_are_told(heads: RequestHeads) -> None:
    known = learned(heads, request())
    assert known is not None
    known["headers"].append((b"x", b"y"))
    known["path"] = "/b"
    again = heads.find(request())
    assert again is not None
    assert (again["path"], again["headers"]) == ("/a", HOST)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"content-length", b"0"),
        (b"content-length", b"5"),
        (b"transfer-encoding", b"chunked"),
        (b"expect", b"100-continue"),
        (b"upgrade", b"websocket"),
        (b"connection", b"close"),
        (b"connection", b"keep-alive, upgrade"),
        # The parser takes it for `Connection`.
        (b"proxy-connection", b"close"),
    ],
)
def test_a_request_about_which_something_is_special_is_not_remembered(
    heads: RequestHeads, name: bytes, value: bytes
) -> None:
    data = request(block=b"Host: shop\r\n%b: %b\r\n" % (name, value))
    assert learned(heads, data, headers=[*HOST, (name, value)]) is None


@pytest.mark.parametrize("value", [b"keep-alive", b"Keep-Alive"])
def test_a_client_may_say_that_it_stays(heads: RequestHeads, value: bytes) -> None:
    data = request(block=b"Host: shop\r\nConnection: %b\r\n" % value)
    assert learned(heads, data, headers=[*HOST, (b"connection", value)]) is not None


@pytest.mark.parametrize(
    ("data", "scope"),
    [
        (request(b"POST /a HTTP/1.1"), {"method": "POST"}),
        (request(b"GET /a HTTP/1.0"), {"http_version": "1.0"}),
        (b"\r\n" + request(), {}),
        (request() + request(), {}),
        (request() + b"\r\n", {}),
        (b"GET /a HTTP/1.1\r\nHost: shop\n\n", {}),
        (request(b"GET /%b HTTP/1.1" % (b"a" * 1000)), {}),
        (request(block=b"Host: shop\r\nX: %b\r\n" % (b"a" * 2000)), {}),
    ],
)
def test_other_methods_versions_ends_and_lengths_are_left_to_the_parser(
    heads: RequestHeads, data: bytes, scope: dict[str, Any]
) -> None:
    assert learned(heads, data, **scope) is None


def test_one_in_some_unknown_heads_is_learned() -> None:
    heads = RequestHeads(learn_every=3)
    for known in (False, False, True, True):
        assert (learned(heads, request()) is not None) is known


def test_what_is_said_of_known_headers_is_asked_once(heads: RequestHeads) -> None:
    asked: list[Headers] = []

    def count(headers: Headers) -> int:
        asked.append(headers)
        return len(headers)

    first, again = learned(heads, request()), heads.find(request(b"GET /a?b=1 HTTP/1.1"))
    other = learned(heads, request(block=b"Host: shop\r\nA: b\r\n"), headers=[*HOST, (b"a", b"b")])
    assert first is not None
    assert again is not None
    assert other is not None
    assert [memoize_on_headers(scope, count) for scope in (first, again, other)] == [1, 1, 2]
    assert len(asked) == 2
    parsed = scope_of()
    assert [memoize_on_headers(parsed, count), memoize_on_headers(parsed, count)] == [1, 1]
    assert len(asked) == 4
