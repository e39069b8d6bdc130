"""What a proxy or the server took off the path: it is believed where the peer is, and clients are led back below it."""

from ipaddress import ip_network

import pytest
from starlette.types import Receive, Scope, Send

from middleware.public_prefix import forwarded_prefix, prefix_of, take_off_root_path, with_prefix
from middleware.request_context import RequestContext
from tests.middleware.asgi import call, scope_of

pytestmark = pytest.mark.unit

TRUSTED = (ip_network("10.0.0.0/8"),)


class Service:
    draining = False
    tracer = None


@pytest.mark.parametrize(
    ("lines", "prefix"),
    [
        ([b"/shop"], "/shop"),
        ([b"/shop/"], "/shop"),
        ([b"/a, /b/c/"], "/a/b/c"),
        ([b"/a", b"/b"], "/a/b"),
        ([b"/"], ""),
        ([b""], ""),
        ([b"shop"], ""),
        ([b"//evil.example"], ""),
        ([b"/a//b"], ""),
        ([b"/a/../b"], ""),
        ([b"/."], ""),
        ([b"/..."], "/..."),
        ([b"https://evil.example/"], ""),
        ([b"/a b"], ""),
        ([b'/a"><script>'], ""),
        ([b"/caf\xc3\xa9"], ""),
        ([b"/" + b"x" * 100], ""),
    ],
)
def test_only_a_path_is_a_prefix(lines: list[bytes], prefix: str) -> None:
    assert forwarded_prefix([(b"x-forwarded-prefix", line) for line in lines]) == prefix


@pytest.mark.parametrize(
    ("root", "path", "below", "prefix"),
    [
        ("/shop", "/shop/products", "/products", "/shop"),
        ("/shop", "/shop/shop", "/shop", "/shop"),
        ("/shop", "/shop", "/", "/shop"),
        ("/shop/", "/shop//products", "/products", "/shop"),
        ("/shop/", "/shop/products", "/products", "/shop"),
        ("shop", "shop/products", "/products", "/shop"),
        ("/shop", "/products", "/products", "/shop"),
        ("/shop", "/shopping", "/shopping", "/shop"),
        ("/", "//products", "/products", ""),
    ],
)
def test_the_root_path_is_taken_off_the_paths(root: str, path: str, below: str, prefix: str) -> None:
    scope = scope_of(path=path, root_path=root)
    assert take_off_root_path(scope) == prefix
    assert (scope["path"], scope["raw_path"], scope["root_path"]) == (below, below.encode(), "")


def test_location_and_link_lead_below_it() -> None:
    headers = [(b"location", b"/a/1"), (b"link", b'</a?x=1>; rel="first", </a?x=2>; rel="next"'), (b"x", b"/a")]
    assert with_prefix(headers, "/shop") == [
        (b"location", b"/shop/a/1"),
        (b"link", b'</shop/a?x=1>; rel="first", </shop/a?x=2>; rel="next"'),
        (b"x", b"/a"),
    ]
    elsewhere = [(b"location", b"https://other.example/")]
    assert with_prefix(elsewhere, "/shop") == elsewhere


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("peer", "root", "prefix"), [("10.1.1.1", "", "/p"), ("203.0.113.9", "", ""), ("203.0.113.9", "/r", "/r"), ("10.1.1.1", "/r", "/p")]
)  # fmt: skip
async def test_it_is_believed_of_a_trusted_peer(peer: str, root: str, prefix: str) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 201, "headers": [(b"location", b"/a/1")]})
        await send({"type": "http.response.body"})

    headers = [(b"host", b"shop"), (b"x-forwarded-prefix", b"/p")]
    scope = scope_of(path=f"{root}/a", root_path=root, headers=headers, client=(peer, 1))
    sent = await call(RequestContext(app, service=Service(), trusted=TRUSTED), scope)
    assert dict(sent[0]["headers"])[b"location"] == f"{prefix}/a/1".encode()
    assert (prefix_of(seen[0]), seen[0]["path"], seen[0]["shop.path"]) == (prefix, "/a", f"{prefix}/a")
