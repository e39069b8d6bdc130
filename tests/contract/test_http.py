"""What HTTP itself asks: methods, media types, the headers of every answer, HEAD and OPTIONS."""

import gzip
import uuid

import httpx
import pytest

from tests.builders import Builder, a_category, a_product
from tests.contract.answers import assert_headers, assert_malformed, assert_problem, cached

pytestmark = pytest.mark.integration

JSON = {"Content-Type": "application/json"}
ON_LIST = {"GET", "HEAD", "POST", "OPTIONS"}
ON_ROW = {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}


def allowed(response: httpx.Response) -> set[str]:
    return {method.strip() for method in response.headers["Allow"].split(",")}


class TestMethods:
    def test_head_is_get_without_its_body(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        for path in (f"{resource.path}/{row['id_key']}", f"{resource.path}?limit=2"):
            got, head = client.get(path), client.head(path)
            assert head.status_code == 200
            assert head.content == b""
            assert_headers(head)
            for name in ("Content-Type", "Content-Length", "ETag", "X-Total-Count", "Link"):
                assert head.headers.get(name) == got.headers.get(name), name

    def test_options_tells_the_methods(self, client: httpx.Client, resource: Builder) -> None:
        for path, methods in ((resource.path, ON_LIST), (f"{resource.path}/1", ON_ROW), (f"{resource.path}/", ON_LIST)):
            response = client.options(path)
            assert response.status_code in (200, 204)
            assert allowed(response) == methods
            assert_headers(response)

    def test_a_wrong_method_is_published_every_right_one(self, client: httpx.Client, resource: Builder) -> None:
        for method in ("PUT", "PATCH", "DELETE"):
            response = client.request(method, resource.path)
            assert_problem(response, 405)
            assert allowed(response) == ON_LIST
        for path in (f"{resource.path}/1", f"{resource.path}/1/"):
            response = client.post(path, json={})
            assert_problem(response, 405)
            assert allowed(response) == ON_ROW

    def test_an_unheard_of_method(self, client: httpx.Client, resource: Builder) -> None:
        for method in ("TRACE", "PROPFIND"):
            response = client.request(method, resource.path)
            assert_problem(response, 405)
            assert allowed(response) == ON_LIST

    @pytest.mark.parametrize(
        ("path", "methods"),
        [
            ("/checkout", {"POST"}),
            ("/checkout/quote", {"POST"}),
            ("/orders/1/cancel", {"POST"}),
            ("/orders/1/advance", {"POST"}),
            ("/orders/1/returns", {"GET", "HEAD", "POST"}),
            ("/products/1/stock", {"POST"}),
            ("/products/1/stock_movements", {"GET", "HEAD"}),
            ("/products/1/price_history", {"GET", "HEAD"}),
            ("/products/1/price_stats", {"GET", "HEAD"}),
            ("/clients/1/orders", {"GET", "HEAD"}),
            ("/payments", {"GET", "HEAD"}),
            ("/payments/1", {"GET", "HEAD"}),
            ("/bills/1/payments", {"GET", "HEAD", "POST"}),
            ("/orders/1/shipments", {"GET", "HEAD", "POST"}),
            ("/shipments", {"GET", "HEAD"}),
            ("/shipments/1", {"GET", "HEAD", "PATCH"}),
            ("/webhook_endpoints/1/test", {"POST"}),
            ("/webhook_endpoints/1/deliveries", {"GET", "HEAD"}),
            ("/webhook_deliveries", {"GET", "HEAD"}),
            ("/returns", {"GET", "HEAD"}),
            ("/returns/1", {"GET", "HEAD"}),
            ("/health_check", {"GET", "HEAD"}),
            ("/health/live", {"GET", "HEAD"}),
            ("/health/ready", {"GET", "HEAD"}),
            ("/version", {"GET", "HEAD"}),
            ("/", {"GET", "HEAD"}),
            ("/favicon.ico", {"GET", "HEAD"}),
            ("/robots.txt", {"GET", "HEAD"}),
            ("/.well-known/security.txt", {"GET", "HEAD"}),
            ("/docs", {"GET", "HEAD"}),
            ("/redoc", {"GET", "HEAD"}),
            ("/openapi.json", {"GET", "HEAD"}),
            ("/docs-assets/swagger-ui.css", {"GET", "HEAD"}),
        ],
    )
    def test_every_other_path(self, client: httpx.Client, path: str, methods: set[str]) -> None:
        response = client.delete(path)
        assert_problem(response, 405)
        assert allowed(response) == methods | {"OPTIONS"}
        assert allowed(client.options(path)) == methods | {"OPTIONS"}

    @pytest.mark.parametrize("path", ["/nothing", "/clients/1/nothing", "//clients", "/Clients", "/clients//"])
    def test_an_unknown_path(self, client: httpx.Client, path: str) -> None:
        # A URL of its own: joined to the base, "//clients" would be a host.
        url = f"{str(client.base_url).rstrip('/')}{path}"
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            assert_problem(client.request(method, url), 404, "Not Found")
        assert client.head(url).status_code == 404


class TestMediaTypes:
    def test_refuses_what_is_not_json(self, client: httpx.Client, resource: Builder) -> None:
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", "x"):
            headers = {"Content-Type": media_type}
            assert_problem(client.post(resource.path, content=b'{"a": 1}', headers=headers), 415)
            assert_problem(client.put(f"{resource.path}/1", content=b'{"a": 1}', headers=headers), 415)

    def test_refuses_a_body_without_a_media_type(self, client: httpx.Client) -> None:
        assert_problem(client.post("/categories", content=b'{"name": "Lamps"}'), 415)

    @pytest.mark.parametrize(
        "media_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"]
    )
    def test_takes_every_way_to_say_json(self, client: httpx.Client, media_type: str) -> None:
        row = a_category(client)
        response = client.patch(f"/categories/{row['id_key']}", content=b"{}", headers={"Content-Type": media_type})
        assert response.status_code == 200

    def test_a_refusal_says_what_is_taken(self, client: httpx.Client, resource: Builder) -> None:
        text = {"Content-Type": "text/plain"}
        for method, path in (("POST", resource.path), ("PUT", f"{resource.path}/1"), ("POST", "/checkout")):
            refusal = client.request(method, path, content=b"{}", headers=text)
            assert_problem(refusal, 415)
            assert refusal.headers["accept"] == "application/json"
        refusal = client.patch(f"{resource.path}/1", content=b"{}", headers=text)
        assert refusal.status_code == 415
        assert refusal.headers["accept-patch"] == "application/merge-patch+json, application/json"
        assert refusal.headers["accept"] == "application/json"

    def test_options_say_what_a_patch_may_be(self, client: httpx.Client, resource: Builder) -> None:
        options = client.options(f"{resource.path}/1")
        assert options.headers["accept-patch"] == "application/merge-patch+json, application/json"
        assert "accept-patch" not in client.options("/health/live").headers

    @pytest.mark.parametrize("coding", ["gzip", "br", "deflate, identity", "GZIP", "zstd", "nonsense"])
    def test_a_compressed_body_is_refused(self, client: httpx.Client, resource: Builder, coding: str) -> None:
        headers = JSON | {"Content-Encoding": coding}
        calls = [("POST", resource.path), ("PUT", f"{resource.path}/1"), ("PATCH", f"{resource.path}/1")]
        for method, path in [*calls, ("POST", "/products/bulk"), ("POST", "/checkout"), ("POST", "/orders/1/cancel")]:
            refusal = client.request(method, path, content=gzip.compress(b"{}"), headers=headers)
            assert_problem(refusal, 415)
            assert refusal.headers["accept-encoding"] == "identity"

    @pytest.mark.parametrize("coding", ["identity", "Identity", ""])
    def test_one_that_is_not_is_taken(self, client: httpx.Client, coding: str) -> None:
        row = a_category(client)
        headers = JSON | {"Content-Encoding": coding}
        assert client.patch(f"/categories/{row['id_key']}", content=b"{}", headers=headers).status_code == 200

    def test_malformed_json(self, client: httpx.Client, resource: Builder) -> None:
        for text in ("{", "}", '{"name": }', "{'name': 'x'}", '{"name": "x",}', '{"name": "x"} x', "\ufeff{}", "nul"):
            response = client.post(resource.path, content=text.encode(), headers=JSON)
            assert assert_malformed(response, "body")["detail"][0]["type"] == "json_invalid"

    def test_answers_json(self, client: httpx.Client, resource: Builder) -> None:
        row = resource(client)
        for path in (resource.path, f"{resource.path}/{row['id_key']}"):
            assert client.get(path).headers["Content-Type"] == "application/json"


class TestRequestId:
    @pytest.mark.parametrize("request_id", ["a", "abc-123_X.7", "9" * 128])
    def test_is_the_clients(self, client: httpx.Client, request_id: str) -> None:
        headers = {"X-Request-ID": request_id}
        assert client.get("/categories", headers=headers).headers["X-Request-ID"] == request_id
        missing = client.get("/categories/0", headers=headers)
        assert assert_problem(missing, 404)["request_id"] == request_id

    @pytest.mark.parametrize("request_id", ["", "9" * 129, "a b", "a/b", "\u00e4", "a\tb", "<script>", "a;b", "{}"])
    def test_is_a_new_uuid_where_the_client_sent_none(self, client: httpx.Client, request_id: str) -> None:
        headers = {b"X-Request-ID": request_id.encode()}
        answered = client.get("/categories", headers=headers).headers["X-Request-ID"]
        assert str(uuid.UUID(answered)) == answered

    def test_differs_from_request_to_request(self, client: httpx.Client) -> None:
        assert len({client.get("/health/live").headers["X-Request-ID"] for _ in range(5)}) == 5


class TestCachedReads:
    def test_say_whether_the_cache_had_them(self, client: httpx.Client) -> None:
        product = a_product(client)
        for path in (f"/products/{product['id_key']}", f"/products?category_id={product['category_id']}"):
            first = client.get(path)
            assert first.headers["X-Cache-Hit"] == "false"
            hit = cached(client, path)
            assert hit.content == first.content
            assert hit.headers["ETag"] == first.headers["ETag"]
            assert hit.headers.get("Link") == first.headers.get("Link")

    def test_are_never_older_than_a_write(self, client: httpx.Client) -> None:
        product = a_product(client)
        path = f"/products/{product['id_key']}"
        for price in (1, 2, 3):
            client.get(path)
            client.put(path, json={"price": price})
            assert client.get(path).json()["price"] == price
            assert client.get("/products", params={"category_id": product["category_id"]}).json()[0]["price"] == price
