"""The route cache: which targets it holds, and which requests it answers."""

import pytest

from middleware.route_cache import RouteCache, register
from tests.middleware.asgi import scope_of

pytestmark = pytest.mark.unit

ROUTE = object()


def cache_after(**asked: object) -> RouteCache:
    """The cache after the target of `asked` was registered."""
    routes = RouteCache()
    scope = scope_of(**asked)  # type: ignore[arg-type]
    assert routes.find(scope) is None
    register(scope, ROUTE)  # type: ignore[arg-type]
    return routes


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_registered_target_is_found(method: str) -> None:
    routes = cache_after(path="/things/1", query_string=b"a=b")
    assert routes.find(scope_of(method, "/things/1", query_string=b"a=b")) is ROUTE


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"shop"), (b"content-length", b"2")],
        [(b"host", b"shop"), (b"transfer-encoding", b"chunked")],
        [(b"host", b"shop"), (b"if-none-match", b'"a"'), (b"if-none-match", b'"b"')],
        [(b"host", b"a b")],
        [],
    ],
)
def test_a_request_with_more_than_a_target_is_not_found(headers: list[tuple[bytes, bytes]]) -> None:
    assert cache_after(path="/things/1").find(scope_of(path="/things/1", headers=headers)) is None


@pytest.mark.parametrize("asked", [{"path": "/things/2"}, {"path": "/things/1", "query_string": b"a"}])
def test_another_target_is_not_found(asked: dict[str, object]) -> None:
    assert cache_after(path="/things/1").find(scope_of(**asked)) is None  # type: ignore[arg-type]


def test_a_target_of_endless_length_is_not_cached() -> None:
    long = b"a" * 1000
    assert cache_after(query_string=long).find(scope_of(query_string=long)) is None
