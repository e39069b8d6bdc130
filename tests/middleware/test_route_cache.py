"""What is remembered of a target, and which requests it is good for."""

import pytest

from middleware.route_cache import RouteCache, register
from tests.middleware.asgi import scope_of

pytestmark = pytest.mark.unit

READ = object()


def known_after(**asked: object) -> RouteCache:
    """The known reads after the target of `asked` was read."""
    known = RouteCache()
    scope = scope_of(**asked)  # type: ignore[arg-type]
    assert known.find(scope) is None
    register(scope, READ)  # type: ignore[arg-type]
    return known


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_target_that_was_read_is_known(method: str) -> None:
    known = known_after(path="/things/1", query_string=b"a=b")
    assert known.find(scope_of(method, "/things/1", query_string=b"a=b")) is READ


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
def test_a_request_that_says_more_is_not(headers: list[tuple[bytes, bytes]]) -> None:
    assert known_after(path="/things/1").find(scope_of(path="/things/1", headers=headers)) is None


@pytest.mark.parametrize("asked", [{"path": "/things/2"}, {"path": "/things/1", "query_string": b"a"}])
def test_another_target_is_not(asked: dict[str, object]) -> None:
    assert known_after(path="/things/1").find(scope_of(**asked)) is None  # type: ignore[arg-type]


def test_a_target_of_endless_length_is_not_remembered() -> None:
    long = b"a" * 1000
    assert known_after(query_string=long).find(scope_of(query_string=long)) is None
