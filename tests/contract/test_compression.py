"""Compressed answers over HTTP: what is sent to whom, and that everything else holds for each of the forms."""

import gzip
import json
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg2
import pytest

from tests.builders import Builder, a_client, a_product, an_order_detail, unique
from tests.contract.answers import assert_headers, assert_problem

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.integration

PLAIN = {"gzip": gzip.decompress, "zstd": zstd.decompress}
LONG = "Warm white, 8 W, of oak and steel. " * 60
OWN_TO_AN_ANSWER = {"date", "x-request-id", "x-response-time", "x-cache-hit"}


@pytest.fixture(params=["gzip", "zstd"])
def coding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def client(live_server: str) -> Iterator[httpx.Client]:
    """A client that reads no answer before the test does."""
    with httpx.Client(base_url=live_server, timeout=30) as client:
        yield client


def asked(client: httpx.Client, method: str, path: str, coding: str, **more: Any) -> tuple[httpx.Response, bytes]:
    """The response in this coding, and its body as it was sent."""
    headers = {"Accept-Encoding": coding, **more.pop("headers", {})}
    with client.stream(method, path, headers=headers, **more) as response:
        return response, b"".join(response.iter_raw())


def plain_of(response: httpx.Response, body: bytes) -> bytes:
    """The body as it was before it was compressed."""
    assert int(response.headers["Content-Length"]) == len(body)
    assert_headers(response)
    coding = response.headers.get("Content-Encoding")
    return body if coding is None else PLAIN[coding](body)


@pytest.fixture
def product(client: httpx.Client) -> dict[str, Any]:
    return a_product(client, description=LONG)


def paths_of(product: dict[str, Any]) -> Iterator[str]:
    one = f"/products/{product['id_key']}"
    yield from (
        one,
        f"/products?limit=1000&category_id={product['category_id']}",
        "/products?limit=7",
        "/orders?limit=50",
    )
    yield from ("/openapi.json", "/docs-assets/swagger-ui.css", "/metrics")
    yield "/" + "a" * 2000


def test_every_kind_of_answer_is_compressed(client: httpx.Client, product: dict[str, Any], coding: str) -> None:
    for _ in range(5):
        an_order_detail(client)
    for path in paths_of(product):
        for times in range(3):
            response, body = asked(client, "GET", path, coding)
            assert response.headers["Content-Encoding"] == coding, (path, times)
            assert response.headers["Vary"] == "Accept-Encoding"
            plainly, plain = asked(client, "GET", path, "identity")
            assert "Content-Encoding" not in plainly.headers
            assert plainly.headers["Vary"] == "Accept-Encoding"
            assert plainly.status_code == response.status_code
            assert len(body) < len(plain)
            # The counters have moved on, and errors have an id of their own.
            if response.status_code == 200 and path != "/metrics":
                assert plain_of(response, body) == plain


def test_every_way_to_an_answer_gives_the_same(client: httpx.Client, product: dict[str, Any], coding: str) -> None:
    """The first read goes by the routes, later ones by the fast path, and one with a header twice by the routes again."""
    path = f"/products/{product['id_key']}?_={uuid.uuid4()}"
    headers = [("Accept-Encoding", coding), ("X-Twice", "a"), ("X-Twice", "b")]
    seen = []
    for more in ([], [], [], headers):
        response, body = asked(client, "GET", path, coding) if not more else asked_with(client, path, more)
        kept = {name: value for name, value in response.headers.items() if name not in OWN_TO_AN_ANSWER}
        seen.append((kept, plain_of(response, body)))
    assert all(one == seen[0] for one in seen)


def asked_with(client: httpx.Client, path: str, headers: list[tuple[str, str]]) -> tuple[httpx.Response, bytes]:
    with client.stream("GET", path, headers=headers) as response:
        return response, b"".join(response.iter_raw())


def test_small_answers_and_those_without_a_body_are_sent_as_they_are(client: httpx.Client, coding: str) -> None:
    row = a_client(client)
    path = f"/clients/{row['id_key']}"
    for method, target in (("GET", path), ("GET", "/clients/0"), ("GET", "/health/live"), ("DELETE", path)):
        response, _ = asked(client, method, target, coding)
        assert "Content-Encoding" not in response.headers
        assert "Vary" not in response.headers


def test_pictures_are_compressed_already(client: httpx.Client, coding: str) -> None:
    response, body = asked(client, "GET", "/docs-assets/favicon.png", coding)
    assert "Content-Encoding" not in response.headers
    assert body.startswith(b"\x89PNG")


def test_head_has_the_headers_of_get(client: httpx.Client, product: dict[str, Any], coding: str) -> None:
    for path in paths_of(product):
        for _ in range(3):
            head, nothing = asked(client, "HEAD", path, coding)
            assert nothing == b""
            got, _ = asked(client, "GET", path, coding)
            names = ("Content-Type", "Content-Encoding", "Vary", "ETag", "Cache-Control")
            for name in names if head.status_code != 200 or path == "/metrics" else (*names, "Content-Length"):
                assert head.headers.get(name) == got.headers.get(name), (path, name)


class TestTags:
    def test_each_form_has_its_own(self, client: httpx.Client, product: dict[str, Any]) -> None:
        for path in (f"/products/{product['id_key']}", "/products?limit=9", "/openapi.json"):
            tags = [asked(client, "GET", path, coding)[0].headers["ETag"] for coding in ("identity", "gzip", "zstd")]
            assert len(set(tags)) == 3
            assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)

    def test_any_of_them_is_answered_by_304(self, client: httpx.Client, product: dict[str, Any], coding: str) -> None:
        for path in (f"/products/{product['id_key']}", f"/reviews?product_id={product['id_key']}", "/openapi.json"):
            response, _ = asked(client, "GET", path, coding)
            tag = response.headers["ETag"]
            for held in (tag, f"W/{tag}", f'"other", {tag}', asked(client, "GET", path, "identity")[0].headers["ETag"]):
                same, nothing = asked(client, "GET", path, coding, headers={"If-None-Match": held})
                assert (same.status_code, nothing) == (304, b"")
                for name in ("ETag", "Cache-Control", "Vary"):
                    assert same.headers.get(name) == response.headers.get(name), name
                assert "Content-Encoding" not in same.headers
                assert "Content-Type" not in same.headers

    def test_any_of_them_protects_a_change(self, client: httpx.Client, product: dict[str, Any], coding: str) -> None:
        path = f"/products/{product['id_key']}"
        old = asked(client, "GET", path, coding)[0].headers["ETag"]
        changed, body = asked(client, "PUT", path, coding, json={"stock": 7}, headers={"If-Match": old})
        assert json.loads(plain_of(changed, body))["stock"] == 7
        assert changed.headers["ETag"] == asked(client, "GET", path, coding)[0].headers["ETag"] != old
        for method in ("PUT", "PATCH", "DELETE"):
            content = None if method == "DELETE" else {"stock": 8}
            refused, _ = asked(client, method, path, coding, json=content, headers={"If-Match": old})
            assert refused.status_code == 412
        deleted, _ = asked(client, "DELETE", path, coding, headers={"If-Match": changed.headers["ETag"]})
        assert deleted.status_code == 204

    def test_of_an_order_with_others_inside(self, client: httpx.Client, coding: str) -> None:
        order_id = an_order_detail(client)["order_id"]
        for _ in range(4):
            an_order_detail(client, order_id=order_id)
        expanded = f"/orders/{order_id}?expand=order_details,bill,client"
        tag = asked(client, "GET", expanded, coding)[0].headers["ETag"]
        assert tag.endswith(f'-{coding}"')
        response = client.put(f"/orders/{order_id}", json={"status": 2}, headers={"If-Match": tag})
        assert response.status_code == 200


def test_a_kept_answer_is_compressed_for_who_takes_it_now(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"name": unique("Lamp"), "price": 5, "category_id": 0, "description": LONG}
    body["category_id"] = a_product(client)["category_id"]
    made, first = asked(client, "POST", "/products", "identity", json=body, headers=headers)
    assert made.status_code == 201
    for coding in ("gzip", "zstd"):
        again, sent = asked(client, "POST", "/products", coding, json=body, headers=headers)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
        assert again.headers["Content-Encoding"] == coding
        assert plain_of(again, sent) == first


@pytest.mark.parametrize(
    "offer", ["", "br", "gzip;q=0", "identity;q=0", "*;q=0", "gzip;q=x", "\u20ac", ",;=,", "gzip " * 50 + "x"]
)
def test_an_answer_is_never_refused_for_its_coding(client: httpx.Client, offer: str) -> None:
    for _ in range(2):
        response, body = asked(client, "GET", "/openapi.json", offer.encode())  # type: ignore[arg-type]
        assert response.status_code == 200
        assert "Content-Encoding" not in response.headers
        assert json.loads(body)["openapi"]


def test_an_answer_that_was_kept_before_answers_ended_in_a_line_break(client: httpx.Client, database_url: str) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"name": unique("Lighting")}
    made = client.post("/categories", json=body, headers=headers)
    with psycopg2.connect(database_url.replace("+psycopg2", "")) as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE idempotency_keys SET body = %s WHERE key = %s", (made.content.rstrip(), *headers.values())
        )
        assert cursor.rowcount == 1
    connection.close()
    again = client.post("/categories", json=body, headers=headers)
    assert (again.status_code, again.content) == (201, made.content.rstrip())
    assert int(again.headers["Content-Length"]) == len(again.content)
    assert again.headers["ETag"] == made.headers["ETag"]


def test_several_lines_are_one_offer(client: httpx.Client) -> None:
    for _ in range(2):
        response, _ = asked_with(
            client, "/openapi.json", [("Accept-Encoding", "gzip"), ("Accept-Encoding", "zstd;q=0.5")]
        )
        assert response.headers["Content-Encoding"] == "gzip"


class TestCacheControl:
    def test_the_catalog_is_for_everybody(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        is_public = resource.path in ("/products", "/categories", "/reviews", "/shipping_rates", "/tax_classes")
        expected = "no-cache" if is_public else "private, no-cache"
        for path in (f"{resource.path}/{row['id_key']}", f"{resource.path}?limit=2"):
            for _ in range(3):
                read = client.get(path)
                assert read.headers["Cache-Control"] == expected
                same = client.get(path, headers={"If-None-Match": read.headers["ETag"]})
                assert (same.status_code, same.headers["Cache-Control"]) == (304, expected)

    def test_everything_else_is_for_nobody_but_who_asked(self, client: httpx.Client) -> None:
        product = a_product(client)
        one = f"/products/{product['id_key']}"
        for response in (
            client.get(f"{one}/stock_movements"),
            client.put(one, json={"stock": 1}),
            client.get("/products/0"),
            client.get("/products?limit=0"),
            client.get("/nothing"),
            client.options("/products"),
            client.delete(one),
        ):
            assert response.headers["Cache-Control"] == "private, no-cache"
            assert_headers(response)

    def test_what_has_a_digest_in_its_path_is_kept_for_good(self, client: httpx.Client) -> None:
        for page in ("/docs", "/redoc"):
            text = client.get(page).text
            assets = [part for part in text.replace("'", '"').split('"') if part.startswith("/docs-assets/")]
            assert assets
            for path in assets:
                asset = client.get(path)
                assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"
                _, _, digest, name = path.split("/")
                plain = client.get(f"/docs-assets/{name}")
                assert plain.headers["Cache-Control"] == "no-cache"
                assert plain.content == asset.content
                assert_problem(client.get(f"/docs-assets/{digest[::-1]}/{name}"), 404)


class TestLineBreak:
    def test_ends_every_json_answer(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        one = f"{resource.path}/{row['id_key']}"
        for response in (
            client.get(one),
            client.get(one),
            client.get(f"{resource.path}?limit=3"),
            client.get(f"{resource.path}?skip=900000000000"),
            client.put(one, json={}),
            client.get(f"{resource.path}/0"),
            client.post(resource.path, json={}),
            client.post(resource.path, content=b"{"),
        ):
            assert_ends_with_line_break(response)

    def test_also_of_everything_else(self, client: httpx.Client) -> None:
        for path in ("/health_check", "/health/live", "/health/ready", "/openapi.json", "/nothing", "/"):
            assert_ends_with_line_break(client.get(path))

    def test_and_of_orders_and_kept_answers(self, client: httpx.Client) -> None:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        product = a_product(client)
        lines = [{"product_id": product["id_key"], "quantity": 1}]
        order = {"client_id": a_client(client)["id_key"], "delivery_method": 1, "payment_type": "card", "lines": lines}
        answers = [client.post("/checkout", json=order, headers=key) for _ in range(2)]
        answers.append(client.post("/checkout", json=order))
        refused = {"Idempotency-Key": str(uuid.uuid4())}
        answers += [client.post("/checkout", json={**order, "client_id": 0}, headers=refused) for _ in range(2)]
        answers.append(client.get(f"/orders/{answers[0].json()['id_key']}?expand=bill"))
        rows = [{"name": unique("Cable"), "price": 1, "category_id": product["category_id"]}]
        answers.append(client.post("/products/bulk", json=rows))
        for response in answers:
            assert_ends_with_line_break(response)
        assert answers[0].content == answers[1].content


def assert_ends_with_line_break(response: httpx.Response) -> None:
    assert response.content.endswith(b"\n")
    assert not response.content.endswith(b"\n\n")
    assert b"\n" not in response.content[:-1]
    if "Content-Encoding" not in response.headers:
        assert int(response.headers["Content-Length"]) == len(response.content)
