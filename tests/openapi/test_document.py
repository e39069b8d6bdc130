"""What the OpenAPI document promises about itself: complete, consistent, and with examples that are valid."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from config.settings import read_settings
from main import create_fastapi_app
from services.errors import ShopError
from tests.openapi.documented import PROBLEM, Document

pytestmark = pytest.mark.unit

FILTERS = {
    "clients": "email name lastname q",
    "addresses": "client_id city postcode country",
    "categories": "name",
    "products": "sku category_id min_price max_price in_stock low_stock stock_below active q",
    "tax_classes": "name",
    "reviews": "product_id min_rating",
    "bills": "client_id payment_type kind refunds_bill_id bill_number date_from date_to",
    "orders": "client_id status delivery_method bill_id date_from date_to expand q",
    "order_details": "order_id product_id date_from date_to",
    "returns": "order_id client_id date_from date_to",
    "payments": "bill_id method",
    "shipments": "order_id client_id date_from date_to",
    "shipping_rates": "delivery_method country",
    "users": "username email role is_active client_id",
    "api_keys": "name prefix",
    "audit_entries": "actor action resource resource_id at_from at_to",
    "notifications": "status channel kind client_id",
    "jobs": "status task",
    "webhook_endpoints": "active user_id",
    "webhook_deliveries": "endpoint_id status",
}
TAGS = [
    "clients",
    "addresses",
    "categories",
    "products",
    "tax_classes",
    "reviews",
    "checkout",
    "orders",
    "order_details",
    "bills",
    "payments",
    "returns",
    "shipments",
    "shipping_rates",
    "reports",
    "auth",
    "users",
    "api_keys",
    "events",
    "audit_entries",
    "webhook_endpoints",
    "webhook_deliveries",
    "notifications",
    "jobs",
    "health",
    "service",
]
COMMON_MEMBERS = ["type", "title", "status", "detail", "message", "instance", "code", "request_id", "loc"]
# What the errors of some statuses have beside the common members.
MORE_MEMBERS = {
    "400": {"errors"},
    "403": {"scope"},
    "422": {"more_errors"},
    "429": {"retry_after"},
    "500": {"error_id"},
}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, its_operations in document["paths"].items():
        for method, operation in its_operations.items():
            yield method, path, operation


def test_is_openapi_3_1_with_a_description_on_top(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert "X-Request-ID" in document["info"]["description"]


def test_tells_who_runs_it_under_which_license_and_where(document: dict[str, Any]) -> None:
    assert document["info"]["contact"]["name"]
    assert document["info"]["license"] == {"name": "MIT", "identifier": "MIT"}
    assert [server["url"] for server in document["servers"]] == ["/"]


def test_the_contact_is_the_one_of_the_settings() -> None:
    settings = read_settings({"REDIS_ENABLED": "false", "SECURITY_CONTACT": "mailto:shop@example.com"})
    assert create_fastapi_app(settings).openapi()["info"]["contact"]["email"] == "shop@example.com"


def test_tags_are_described_in_the_order_of_the_resources(document: dict[str, Any]) -> None:
    assert [tag["name"] for tag in document["tags"]] == TAGS
    assert all(tag["description"] for tag in document["tags"])


def test_every_operation_has_a_summary_one_tag_and_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = Counter(operation["operationId"] for _, _, operation in operations(document))
    assert ids.most_common(1)[0][1] == 1
    for method, path, operation in operations(document):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert len(operation["tags"]) == 1, (method, path)
        assert operation["tags"][0] in TAGS, (method, path)


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("clients", "client"),
        ("addresses", "address"),
        ("categories", "category"),
        ("products", "product"),
        ("reviews", "review"),
        ("bills", "bill"),
        ("orders", "order"),
        ("order_details", "order_detail"),
        ("users", "user"),
        ("api_keys", "api_key"),
        ("webhook_endpoints", "webhook_endpoint"),
    ],
)
def test_operation_ids_are_stable(document: dict[str, Any], plural: str, singular: str) -> None:
    collection, row = document["paths"][f"/{plural}"], document["paths"][f"/{plural}/{{id_key}}"]
    assert {method: operation["operationId"] for method, operation in collection.items()} == {
        "get": f"list_{plural}",
        "post": f"create_{singular}",
    }
    assert {method: operation["operationId"] for method, operation in row.items()} == {
        "get": f"get_{singular}",
        "put": f"update_{singular}",
        "patch": f"patch_{singular}",
        "delete": f"delete_{singular}",
    }


@pytest.mark.parametrize("resource", FILTERS)
def test_lists_document_their_paging_and_filters(document: dict[str, Any], resource: str) -> None:
    parameters = {parameter["name"]: parameter for parameter in document["paths"][f"/{resource}"]["get"]["parameters"]}
    paging = {"skip", "limit", "after", "sort", "fields", "id_key"}
    assert set(parameters) == {*paging, "If-None-Match", *FILTERS[resource].split()}
    bounds = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert parameters["limit"]["schema"] == bounds | {"examples": [20]}
    assert parameters["skip"]["schema"] == {"type": "integer", "minimum": 0, "default": 0, "examples": [0]}


def test_every_parameter_has_a_description_and_an_example_that_is_valid(
    document: dict[str, Any], documented: Document
) -> None:
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (method, path, parameter["name"])
            prefilled = [example["value"] for example in parameter.get("examples", {}).values()]
            assert bool(prefilled) == parameter["required"], (method, path, parameter["name"])
            for example in prefilled or parameter["schema"]["examples"]:
                documented.validator(parameter["schema"]).validate(example)


def test_a_single_row_can_be_asked_for_some_of_its_fields(document: dict[str, Any]) -> None:
    for resource in FILTERS:
        parameters = document["paths"][f"/{resource}/{{id_key}}"]["get"]["parameters"]
        queries = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
        assert queries == {"fields", "expand"} if resource == "orders" else {"fields"}


ENUMERATIONS = {
    "OrderStatus": ["PENDING", "IN_PROGRESS", "DELIVERED", "CANCELED"],
    "DeliveryMethod": ["DRIVE_THRU", "ON_HAND", "HOME_DELIVERY"],
    "PaymentType": ["CASH", "CARD"],
    "BillKind": ["SALE", "CREDIT"],
    "StockReason": ["INITIAL", "SALE", "CANCEL", "RETURN", "WRITE_OFF", "RECEIPT", "EDIT"],
}


@pytest.mark.parametrize("name", ENUMERATIONS)
def test_what_has_names_is_one_component_wherever_it_is_used(document: dict[str, Any], name: str) -> None:
    component = document["components"]["schemas"][name]
    assert component["x-enum-varnames"] == ENUMERATIONS[name]
    assert len(component["enum"]) == len(ENUMERATIONS[name])
    assert component["type"] == ("integer" if name in ("OrderStatus", "DeliveryMethod") else "string")
    assert component["description"]
    assert str(document).count(f"'x-enum-varnames': {ENUMERATIONS[name]}") == 1


@pytest.mark.parametrize(
    ("schema", "field", "name"),
    [
        ("OrderRead", "status", "OrderStatus"),
        ("OrderRead", "delivery_method", "DeliveryMethod"),
        ("Checkout", "payment_type", "PaymentType"),
        ("BillCreate", "payment_type", "PaymentType"),
        ("BillRead", "payment_type", "PaymentType"),
        ("BillRead", "kind", "BillKind"),
        ("StockMovementRead", "reason", "StockReason"),
    ],
)
def test_bodies_and_answers_refer_to_it(document: dict[str, Any], schema: str, field: str, name: str) -> None:
    found = document["components"]["schemas"][schema]["properties"][field]
    assert found["$ref"] == f"#/components/schemas/{name}"


@pytest.mark.parametrize("schema", ["OrderCreate", "OrderUpdate", "Checkout"])
def test_bodies_take_numbers_and_names(document: dict[str, Any], documented: Document, schema: str) -> None:
    properties = document["components"]["schemas"][schema]["properties"]
    fields = {"status": "OrderStatus", "delivery_method": "DeliveryMethod"}
    for field, name in fields.items():
        if field in properties:
            assert properties[field]["$ref"] == f"#/components/schemas/{name}OrName"
            parts = [f"#/components/schemas/{part}" for part in (name, f"{name}Name")]
            assert [part["$ref"] for part in document["components"]["schemas"][f"{name}OrName"]["anyOf"]] == parts
            names = document["components"]["schemas"][f"{name}Name"]
            assert (names["type"], names["enum"]) == ("string", ENUMERATIONS[name])
            assert "lower case" in names["description"]
            validator = documented.validator(properties[field])
            assert all(map(validator.is_valid, [1, 2, 3, *ENUMERATIONS[name]]))
            assert not any(map(validator.is_valid, [0, 5, "1", "NOWHERE", None]))


def test_filters_refer_to_it_too(document: dict[str, Any]) -> None:
    expected = {
        "status": "OrderStatus",
        "delivery_method": "DeliveryMethod",
        "payment_type": "PaymentType",
        "kind": "BillKind",
    }
    for path in ("/orders", "/clients/{id_key}/orders", "/bills"):
        for parameter in document["paths"][path]["get"]["parameters"]:
            if parameter["name"] in expected:
                name = expected[parameter["name"]]
                taken = f"{name}OrName" if f"{name}OrName" in document["components"]["schemas"] else name
                assert parameter["schema"]["items"] == {"$ref": f"#/components/schemas/{taken}"}, path


def test_decimals_are_told_in_words_and_not_by_division(document: dict[str, Any]) -> None:
    assert "multipleOf" not in str(document)
    for name, schema in document["components"]["schemas"].items():
        for field, its in schema.get("properties", {}).items():
            if field in ("price", "total", "discount", "returned_total", "expected_total", "rating"):
                assert its["format"] == "decimal", (name, field)
                assert "maximum" in its, (name, field)
                assert "minimum" in its, (name, field)
                assert its.get("readOnly") or "decimals" in its["description"], (name, field)


def test_times_keys_and_read_only_fields_have_types(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, its in schema.get("properties", {}).items():
            kinds = [option for option in its.get("anyOf", [its]) if option.get("type") != "null"]
            if its.get("readOnly"):
                assert its.get("type") or its.get("anyOf") or its.get("$ref"), (name, field)
            if field in ("created_at", "updated_at", "date", "timestamp"):
                assert {kind["format"] for kind in kinds} <= {"date", "date-time"}, (name, field)
            # The client_id of OAuth 2.0 is the name of a program.
            is_key = field not in ("request_id", "error_id", "event_id") and (name, field) != ("Login", "client_id")
            if field.endswith(("id_key", "_id")) and is_key:
                assert [kind["format"] for kind in kinds] == ["int64"], (name, field)


def test_writes_document_their_conditions(document: dict[str, Any]) -> None:
    expected = {"post": "Idempotency-Key", "put": "If-Match", "patch": "If-Match", "delete": "If-Match"}
    for method, path, operation in operations(document):
        if (method, path.rpartition("/")[2]) == ("patch", "bulk"):
            continue  # It is about many rows, each of which says its version itself.
        if operation["tags"] == ["auth"] and method != "patch":
            continue  # Nothing of these is kept, and sessions have no version.
        if method in expected:
            prefers = any(parameter["name"] == "Prefer" for parameter in operation["parameters"])
            assert operation["tags"] == ["auth"] or prefers == any(
                "content" in answer for answer in successes(operation)
            ), (method, path)
            assert expected[method] in {parameter["name"] for parameter in operation["parameters"]}, (method, path)
        if method in ("put", "patch", "delete"):
            assert "412" in operation["responses"], (method, path)


def successes(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [answer for status, answer in operation["responses"].items() if status < "300"]


def test_answers_document_the_headers_that_all_of_them_have(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            headers = set(answer["headers"])
            assert {"X-Request-ID", "X-Response-Time", "Cache-Control"} <= headers, (method, path, status)
            assert {"RateLimit", "X-RateLimit-Reset"} <= headers or path.startswith(("/health", "/version")), (
                method,
                path,
                status,
            )
            assert "Retry-After" in headers or status not in ("429", "503"), (method, path, status)


def test_every_schema_is_one_and_every_reference_leads_somewhere(
    document: dict[str, Any], documented: Document
) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}), name
    for reference in references(document):
        assert documented.resolved({"$ref": reference}), reference


# What JSON Schema 2020-12 and OpenAPI 3.1 have, as far as the document says it. Another word is ignored by the readers
# of the document, so that its rule would hold and nobody would know.
KEYWORDS = """
$ref $defs $comment title description type format enum const default examples readOnly writeOnly deprecated
minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern contentMediaType
items prefixItems minItems maxItems uniqueItems contains contentEncoding
properties required additionalProperties patternProperties propertyNames minProperties maxProperties
unevaluatedProperties dependentRequired anyOf allOf oneOf not if then else discriminator
"""


def test_schemas_have_only_words_that_json_schema_knows(document: dict[str, Any]) -> None:
    known = set(KEYWORDS.split())
    used = ((where, word) for where, schema in schemas(document, "#") for word in schema)
    unknown = {(where, word) for where, word in used if word not in known and not word.startswith("x-")}
    assert not unknown


def schemas(value: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a part of the document that is none itself, with those inside it."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from schemas(item, f"{where}/{index}")
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "schema":
                yield from nested(item, f"{where}/{name}")
            elif name == "schemas":
                for one, schema in item.items():
                    yield from nested(schema, f"{where}/{name}/{one}")
            elif name not in ("example", "examples", "default"):
                yield from schemas(item, f"{where}/{name}")


def nested(schema: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(schema, dict):
        return
    yield where, schema
    for word in ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"):
        yield from nested(schema.get(word), f"{where}/{word}")
    for word in ("properties", "patternProperties", "$defs"):
        for name, one in schema.get(word, {}).items():
            yield from nested(one, f"{where}/{word}/{name}")
    for word in ("anyOf", "allOf", "oneOf", "prefixItems"):
        for index, one in enumerate(schema.get(word, [])):
            yield from nested(one, f"{where}/{word}/{index}")


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_body_and_answer_has_an_example_that_is_valid(document: dict[str, Any], documented: Document) -> None:
    for method, path, operation in operations(document):
        answers = [(status, answer) for status, answer in operation["responses"].items() if status < "300"]
        for status, part in [("request", operation.get("requestBody", {})), *answers]:
            for content in part.get("content", {}).values():
                assert "example" in content, (method, path, status)
                documented.validator(content["schema"]).validate(content["example"])
        assert any("content" in answer or status == "204" for status, answer in answers), (method, path)


def test_examples_of_rows_show_every_field(document: dict[str, Any], documented: Document) -> None:
    for method, path, operation in operations(document):
        if method == "get" and path.endswith("/{id_key}"):
            content = operation["responses"]["200"]["content"]["application/json"]
            row = documented.resolved(content["schema"])
            # Some have more in some cases, such as what was expanded.
            assert set(row["required"]) <= set(content["example"]) <= set(row["properties"]), path


def test_defaults_and_examples_of_fields_are_valid(document: dict[str, Any], documented: Document) -> None:
    parameters = [parameter["schema"] for _, _, it in operations(document) for parameter in it.get("parameters", ())]
    fields = [field for schema in document["components"]["schemas"].values() for field in properties_of(schema)]
    for schema in (*parameters, *fields):
        for value in (*schema.get("examples", ()), *([schema["default"]] if "default" in schema else [])):
            documented.validator(schema).validate(value)
    for header in document["components"]["headers"].values():
        documented.validator(header["schema"]).validate(header["example"])


def properties_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return list(schema.get("properties", {}).values())


def test_every_error_is_a_problem_with_its_own_shape_and_example(
    document: dict[str, Any], documented: Document
) -> None:
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status < "400" or (path, status) == ("/health_check", "503"):
                continue
            assert list(answer["content"]) == [PROBLEM], (method, path, status)
            content = answer["content"][PROBLEM]
            if status == "default":
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                continue
            schema = documented.resolved(content["schema"])
            assert {*COMMON_MEMBERS, *MORE_MEMBERS.get(status, ())} == set(schema["properties"]), (method, path, status)
            assert sorted(content["examples"]) == documented.codes(answer), (method, path, status)
            for code, reference in content["examples"].items():
                example = documented.resolved(reference)["value"]
                documented.validator(content["schema"]).validate(example)
                assert (example["status"], example["code"]) == (int(status), code)


def test_every_operation_says_what_else_may_come(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert "default" in operation["responses"], (method, path)


def test_every_error_of_the_tree_is_declared_by_some_operation(documented: Document) -> None:
    declared = {(status, code) for _, status, code in documented.declared()}
    assert set(errors_of_the_tree(ShopError)) - declared == set()


def errors_of_the_tree(error: type[ShopError]) -> Iterator[tuple[int, str]]:
    for child in error.__subclasses__():
        if child.code != ShopError.code:
            yield child.status, child.code
        yield from errors_of_the_tree(child)


def test_codes_are_those_that_an_operation_can_really_have(documented: Document) -> None:
    declared = documented.declared()
    assert ("create_tax_class", 404, "not_found") not in declared
    assert ("delete_review", 409, "conflict") not in declared
    assert ("list_products", 403, "cross_origin") not in declared
    assert ("delete_product", 409, "product_has_sales") in declared
    assert {code for operation, status, code in declared if (operation, status) == ("advance_order", 409)} == {
        "order_is_empty",
        "status_conflict",
        "request_in_progress",
    }


def test_money_is_a_number_and_keys_are_64_bits(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, its_schema in schema.get("properties", {}).items():
            if field in ("price", "total", "discount", "returned_total") and not its_schema.get("readOnly"):
                assert its_schema["type"] == "number", (name, field)
            if field == "id_key" and name.endswith("Read"):
                assert its_schema["format"] == "int64", name


def test_read_only_fields_are_marked_in_bodies_of_rows_and_unknown_in_others(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, schema in schemas.items():
        if name.endswith("Create"):
            read = set(schemas[name.removesuffix("Create") + "Read"]["properties"])
            writable = {field for field, its in schema["properties"].items() if not its.get("readOnly")}
            assert read <= set(schema["properties"]), name
            assert writable & {"id_key", "created_at", "updated_at"} == set(), name
            assert schema["additionalProperties"] is False, name
    assert "id_key" not in schemas["Checkout"]["properties"]


def test_expanded_orders_may_hold_what_was_asked_for(document: dict[str, Any]) -> None:
    expanded = document["components"]["schemas"]["ExpandedOrderRead"]
    assert {"order_details", "bill", "client"} <= set(expanded["properties"])
    assert not {"order_details", "bill", "client"} & set(expanded["required"])
    reference = {"$ref": "#/components/schemas/ExpandedOrderRead"}
    for path in ("/orders", "/clients/{id_key}/orders"):
        content = document["paths"][path]["get"]["responses"]["200"]["content"]
        assert content["application/json"]["schema"]["items"] == reference, path
    content = document["paths"]["/orders/{id_key}"]["get"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == reference


def test_texts_of_answers_are_as_long_as_their_columns(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["ProductRead"]["properties"]["name"]["maxLength"] == 200
    assert schemas["ClientRead"]["properties"]["email"]["maxLength"] == 320
    assert schemas["ValidationErrorProblem"]["properties"]["detail"]["maxItems"] == 100
