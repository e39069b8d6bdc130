"""The documentation: an OpenAPI document that tells all, and pages that work with no network beyond the server."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from tests.builders import BUILDERS
from tests.contract.answers import assert_headers

pytestmark = pytest.mark.integration

Document = dict[str, Any]
METHODS = {"get", "post", "put", "patch", "delete"}

# Clients are generated from these names: they never change.
OPERATIONS = {
    **{
        f"{verb}_{name}": (method, path)
        for names, name, path in (
            ("clients", "client", "/clients"),
            ("addresses", "address", "/addresses"),
            ("categories", "category", "/categories"),
            ("products", "product", "/products"),
            ("tax_classes", "tax_class", "/tax_classes"),
            ("reviews", "review", "/reviews"),
            ("bills", "bill", "/bills"),
            ("orders", "order", "/orders"),
            ("order_details", "order_detail", "/order_details"),
            ("users", "user", "/users"),
            ("api_keys", "api_key", "/api_keys"),
            ("shipping_rates", "shipping_rate", "/shipping_rates"),
            ("webhook_endpoints", "webhook_endpoint", "/webhook_endpoints"),
        )
        for verb, name, method, path in (
            ("list", names, "get", path),
            ("create", name, "post", path),
            ("get", name, "get", f"{path}/{{id_key}}"),
            ("update", name, "put", f"{path}/{{id_key}}"),
            ("patch", name, "patch", f"{path}/{{id_key}}"),
            ("delete", name, "delete", f"{path}/{{id_key}}"),
        )
    },
    **{
        f"{verb}_{names}_in_bulk": (method, f"/{names}/{path}")
        for names in ("clients", "categories", "products", "users")
        for verb, method, path in (
            ("create", "post", "bulk"),
            ("patch", "patch", "bulk"),
            ("delete", "post", "bulk_delete"),
        )
    },
    "list_audit_entries": ("get", "/audit_entries"),
    "get_audit_entry": ("get", "/audit_entries/{id_key}"),
    "list_notifications": ("get", "/notifications"),
    "get_notification": ("get", "/notifications/{id_key}"),
    "resend_notification": ("post", "/notifications/{id_key}/resend"),
    "list_jobs": ("get", "/jobs"),
    "get_job": ("get", "/jobs/{id_key}"),
    "retry_job": ("post", "/jobs/{id_key}/retry"),
    "cancel_job": ("post", "/jobs/{id_key}/cancel"),
    "rotate_webhook_secret": ("post", "/webhook_endpoints/{id_key}/rotate_secret"),
    "redeliver_events": ("post", "/webhook_endpoints/{id_key}/redeliver"),
    "test_webhook_endpoint": ("post", "/webhook_endpoints/{id_key}/test"),
    "list_webhook_endpoint_deliveries": ("get", "/webhook_endpoints/{id_key}/deliveries"),
    "list_webhook_deliveries": ("get", "/webhook_deliveries"),
    "get_webhook_delivery": ("get", "/webhook_deliveries/{id_key}"),
    "redeliver_event": ("post", "/webhook_deliveries/{id_key}/redeliver"),
    "get_sales_report": ("get", "/reports/sales"),
    "get_best_sellers_report": ("get", "/reports/best_sellers"),
    "get_clients_report": ("get", "/reports/clients"),
    "get_taxes_report": ("get", "/reports/taxes"),
    "get_stock_report": ("get", "/reports/stock"),
    "list_events": ("get", "/events"),
    "stream_events": ("get", "/events/stream"),
    "get_event": ("get", "/events/{id}"),
    "checkout": ("post", "/checkout"),
    "quote_checkout": ("post", "/checkout/quote"),
    "cancel_order": ("post", "/orders/{id_key}/cancel"),
    "advance_order": ("post", "/orders/{id_key}/advance"),
    "list_payments": ("get", "/payments"),
    "get_payment": ("get", "/payments/{id_key}"),
    "get_bill_lines": ("get", "/bills/{id_key}/lines"),
    "list_bill_payments": ("get", "/bills/{id_key}/payments"),
    "pay_bill": ("post", "/bills/{id_key}/payments"),
    "list_shipments": ("get", "/shipments"),
    "get_shipment": ("get", "/shipments/{id_key}"),
    "patch_shipment": ("patch", "/shipments/{id_key}"),
    "list_order_shipments": ("get", "/orders/{id_key}/shipments"),
    "ship_order": ("post", "/orders/{id_key}/shipments"),
    "list_returns": ("get", "/returns"),
    "get_return": ("get", "/returns/{id_key}"),
    "list_order_returns": ("get", "/orders/{id_key}/returns"),
    "return_order": ("post", "/orders/{id_key}/returns"),
    "list_client_orders": ("get", "/clients/{id_key}/orders"),
    "list_client_addresses": ("get", "/clients/{id_key}/addresses"),
    "list_client_bills": ("get", "/clients/{id_key}/bills"),
    "list_category_products": ("get", "/categories/{id_key}/products"),
    "list_product_reviews": ("get", "/products/{id_key}/reviews"),
    "change_product_stock": ("post", "/products/{id_key}/stock"),
    "list_product_stock_movements": ("get", "/products/{id_key}/stock_movements"),
    "list_product_prices": ("get", "/products/{id_key}/price_history"),
    "get_product_price_stats": ("get", "/products/{id_key}/price_stats"),
    "health_check": ("get", "/health_check"),
    "health_live": ("get", "/health/live"),
    "health_ready": ("get", "/health/ready"),
    "version": ("get", "/version"),
}
# Where the tag is not the first part of the path.
_TAGS = {"health_check": "health", "version": "health"}
ABOUT_ACCOUNTS = {
    **{
        f"{operation_id}{suffix}": (method, f"{prefix}{path}")
        for operation_id, method, path in (
            ("register", "post", "/register"),
            ("login", "post", "/login"),
            ("get_me", "get", "/me"),
            ("patch_me", "patch", "/me"),
            ("validate_token", "post", "/validate-token"),
        )
        for prefix, suffix in (("/auth", ""), ("", "_short_form"))
    },
    "refresh": ("post", "/auth/refresh"),
    "logout": ("post", "/auth/logout"),
    "list_sessions": ("get", "/auth/sessions"),
    "delete_session": ("delete", "/auth/sessions/{id_key}"),
    "delete_sessions": ("delete", "/auth/sessions"),
    "forgot_password": ("post", "/auth/password/forgot"),
    "reset_password": ("post", "/auth/password/reset"),
    "verify_email": ("post", "/auth/email/verify"),
    "resend_verification": ("post", "/auth/email/resend"),
}
ABOUT_THE_SERVICE = {"index": ("get", "/"), "metrics": ("get", "/metrics")}


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> Document:
    response = client.get("/openapi.json")
    assert response.status_code == 200
    assert_headers(response)
    document: Document = response.json()
    return document


@pytest.fixture
def operation(document: Document, operation_id: str) -> Document:
    method, path = OPERATIONS[operation_id]
    operation: Document = document["paths"][path][method]
    return operation


every_operation = pytest.mark.parametrize("operation_id", OPERATIONS)


def resolved(document: Document, node: Any) -> Any:
    """The node itself, or what it refers to."""
    while isinstance(node, dict) and "$ref" in node:
        target: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def examples(document: Document, media: Document) -> list[Any]:
    """Every example of a body."""
    several = [resolved(document, example)["value"] for example in media.get("examples", {}).values()]
    return [media["example"], *several] if "example" in media else several


def assert_fits(document: Document, schema: Document, example: Any) -> None:
    # References are to the components of the document, so these have to come along.
    Draft202012Validator(schema | {"components": document["components"]}).validate(example)


def assert_shown(document: Document, media: Document) -> None:
    """The body has a schema, and at least one example, all of which fit it."""
    shown = examples(document, media)
    assert shown
    for example in shown:
        assert_fits(document, media["schema"], example)


def test_it_is_openapi_3_1(document: Document) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]


def test_it_names_every_operation_and_no_other(document: Document) -> None:
    named = {
        operation["operationId"]: (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    }
    assert named == OPERATIONS | ABOUT_ACCOUNTS | ABOUT_THE_SERVICE


def test_every_reference_points_somewhere(document: Document) -> None:
    references = set(re.findall(r'"\$ref": ?"([^"]+)"', httpx.Response(200, json=document).text))
    assert references
    for reference in references:
        assert resolved(document, {"$ref": reference})


@every_operation
class TestOperation:
    def test_has_a_summary_and_one_tag(self, operation: Document, operation_id: str) -> None:
        assert operation["summary"]
        (tag,) = operation["tags"]
        method, path = OPERATIONS[operation_id][0], OPERATIONS[operation_id][1].split("/")
        # A list below another row is one of the entity whose rows it has.
        is_below_a_row = "{id_key}" in path and f"list_{path[-1]}" in OPERATIONS
        # Returns are made by orders.
        is_by_its_parent = (method, path[-1]) == ("post", "returns")
        resource = path[-1] if is_below_a_row and not is_by_its_parent else path[1]
        is_delivery = resource == "webhook_endpoints" and path[-1] in ("deliveries", "test")
        assert tag == _TAGS.get(resource, "webhook_deliveries" if is_delivery else resource)

    def test_shows_an_example_of_its_request(self, document: Document, operation: Document, operation_id: str) -> None:
        method, path = OPERATIONS[operation_id]
        takes_body = method in ("post", "put", "patch") and not path.endswith(
            ("/cancel", "/advance", "/retry", "/rotate_secret", "/test", "}/resend", "deliveries/{id_key}/redeliver")
        )
        assert ("requestBody" in operation) == takes_body
        if takes_body:
            assert_shown(document, operation["requestBody"]["content"]["application/json"])

    def test_shows_an_example_of_its_answer(self, document: Document, operation: Document, operation_id: str) -> None:
        (success,) = (status for status in operation["responses"] if status.startswith("2"))
        expected = {"delete": "204", "post": "200" if operation_id in {*self.CHANGES, "quote_checkout"} else "201"}
        method, path = OPERATIONS[operation_id]
        if operation_id == "redeliver_events":
            # It is done later.
            expected["post"] = "202"
        assert success == ("204" if path.endswith("/bulk_delete") else expected.get(method, "200"))
        if success == "204":
            assert "content" not in operation["responses"][success]
        else:
            media = "text/event-stream" if operation_id == "stream_events" else "application/json"
            assert_shown(document, operation["responses"][success]["content"][media])

    # Nothing keeps such a row from being deleted.
    NEVER_HELD = (
        "delete_address",
        "delete_review",
        "delete_api_key",
        "delete_shipping_rate",
        "delete_webhook_endpoint",
    )
    CHANGES = (
        "cancel_order",
        "advance_order",
        "change_product_stock",
        "retry_job",
        "cancel_job",
        "resend_notification",
        "rotate_webhook_secret",
        "redeliver_event",
        "redeliver_events",
    )

    def test_tells_every_error_with_its_shape(self, document: Document, operation: Document, operation_id: str) -> None:
        for status in self.errors_of(operation_id):
            answer = resolved(document, operation["responses"][str(status)])
            assert answer["description"]
            media = answer["content"]["application/problem+json"]
            schema = resolved(document, media["schema"])
            assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(schema["properties"])
            for example in examples(document, media):
                assert_fits(document, media["schema"], example)

    def errors_of(self, operation_id: str) -> set[int]:
        """The statuses of the errors that the operation can give."""
        method, path = OPERATIONS[operation_id]
        if path.startswith(("/health", "/version")):
            return {503} if operation_id == "health_ready" else set()
        errors = {422, 429, 500, 503}
        if "{" in path:
            errors.add(404)
        if method != "get" and operation_id not in self.NEVER_HELD:
            errors.add(409)
        if method in ("put", "patch", "delete") and "{" in path:
            errors.add(412)
        if method in ("post", "put", "patch") and not path.endswith(("/cancel", "/advance")):
            errors |= {413, 415}
        if operation_id in ("checkout", "create_order_detail", "update_order", "change_product_stock", "return_order"):
            errors.add(400)
        return errors

    def test_declares_its_parameters(self, operation: Document, operation_id: str) -> None:
        method, path = OPERATIONS[operation_id]
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        in_path = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
        assert ("id_key" in in_path) == ("{id_key}" in path)
        # Events have an order of their own, and no end.
        if operation_id.startswith("list_") and operation_id != "list_events":
            assert {"skip", "limit", "after", "sort", "fields", "id_key"} <= names
        if method == "post":
            assert "Idempotency-Key" in names
        if method in ("put", "patch", "delete"):
            assert ("If-Match" in names) == ("{" in path)


@pytest.mark.parametrize("operation_id", ABOUT_ACCOUNTS)
def test_calls_about_accounts_show_examples_and_keep_nothing(document: Document, operation_id: str) -> None:
    method, path = ABOUT_ACCOUNTS[operation_id]
    operation = document["paths"][path][method]
    assert operation["tags"] == ["auth"]
    assert "Idempotency-Key" not in {parameter["name"] for parameter in operation.get("parameters", [])}
    assert ("requestBody" in operation) == (method in ("post", "patch") and operation_id != "logout")
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert_shown(document, content)
    for status, answer in operation["responses"].items():
        if status.startswith("2") and status != "204":
            assert_shown(document, answer["content"]["application/json"])
        elif status >= "400" and status != "default":
            media = answer["content"]["application/problem+json"]
            for example in examples(document, media):
                assert_fits(document, media["schema"], example)


@pytest.mark.parametrize("path", BUILDERS)
def test_requests_name_the_fields_that_are_required(document: Document, path: str) -> None:
    create = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    change = document["paths"][f"{path}/{{id_key}}"]["put"]["requestBody"]["content"]["application/json"]["schema"]
    # A customer may leave out whose address it is.
    left_out = {"client_id"} if path == "/addresses" else set()
    assert set(resolved(document, create)["required"]) == set(BUILDERS[path].required) - left_out
    assert "required" not in resolved(document, change)


def test_it_is_the_same_every_time(client: httpx.Client, document: Document) -> None:
    assert client.get("/openapi.json").json() == document


class Page(HTMLParser):
    """The addresses that a page loads, and whether it has scripts of its own."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.has_inline_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        address = given.get("src") or given.get("href") if tag in ("script", "link", "img") else None
        if address is not None:
            self.addresses.append(address)
        self.has_inline_script |= tag == "script" and "src" not in given


@pytest.mark.parametrize(("path", "script"), [("/docs", "swagger-ui-bundle.js"), ("/redoc", "redoc.standalone.js")])
class TestPages:
    def test_load_everything_from_the_server_itself(self, client: httpx.Client, path: str, script: str) -> None:
        response = client.get(path)
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/html")
        assert_headers(response)
        page = Page(response.text)
        assert any(address.endswith(script) for address in page.addresses)
        assert not re.search(r"(https?:)?//[a-z]", response.text.replace("</script>", ""), re.IGNORECASE)
        for address in page.addresses:
            asset = client.get(address)
            assert asset.status_code == 200, address
            assert len(asset.content) > 100
            assert not re.search(rb"""(src:|url\()["']?https?:|cdn\.""", asset.content)
            assert_headers(asset)
        assert "/openapi.json" in response.text

    def test_their_policy_lets_them_work_and_nothing_else(self, client: httpx.Client, path: str, script: str) -> None:
        response = client.get(path)
        header = response.headers["Content-Security-Policy"]
        policy = {words[0]: set(words[1:]) for words in (part.split() for part in header.split(";"))}
        inline = Page(response.text).has_inline_script

        def allowed(kind: str) -> set[str]:
            return policy.get(kind, policy["default-src"])

        assert "'self'" in allowed("script-src")
        assert ("'unsafe-inline'" in allowed("script-src")) >= inline
        assert {"'self'", "'unsafe-inline'"} <= allowed("style-src")
        assert "'self'" in allowed("connect-src")
        assert {"'self'", "data:"} <= allowed("img-src")
        assert "blob:" in allowed("worker-src")
        assert policy["frame-ancestors"] == {"'none'"}
        assert not any("*" in source or "http" in source for sources in policy.values() for source in sources)

    def test_are_the_same_page_when_a_browser_asks_again(self, client: httpx.Client, path: str, script: str) -> None:
        page = client.get(path)
        again = client.get(path, headers={"If-None-Match": page.headers["ETag"]})
        assert again.status_code == 304
        # A browser replaces the headers of the page it has kept by these, and shows nothing that they forbid.
        assert again.headers["Content-Security-Policy"] == page.headers["Content-Security-Policy"]

    def test_are_the_same_with_a_slash_behind(self, client: httpx.Client, path: str, script: str) -> None:
        assert client.get(f"{path}/").text == client.get(path).text


def test_an_asset_that_does_not_exist(client: httpx.Client) -> None:
    for path in ("/docs-assets/nothing.js", "/docs-assets/", "/docs-assets/../main.py", "/docs-assets/%2e%2e/main.py"):
        response = client.get(f"{str(client.base_url).rstrip('/')}{path}")
        assert response.status_code == 404
        assert response.headers["Content-Type"] == "application/problem+json"
