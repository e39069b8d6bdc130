"""Rows of others, over all routes: whoever asks gets what is theirs, or what is public, and never another's bytes (A6, A11).

The routes are those of the application, so that a new entity is tried without a word here. The shop has two workers, and
every request has its own connection.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from application.assembly import CONTROLLERS
from config.settings import read_settings
from controllers.base import BaseController
from controllers.policies import policy_of
from infrastructure.embedded.servers import ServerUrls
from main import create_fastapi_app
from security.policy import Policy
from tests.guarded_shop import Caller, GuardedShop, guarded_processes
from tests.identity.shelf import Customer, Row, Shelf
from tests.race.databases import new_database

pytestmark = pytest.mark.integration

# Once cold, and then as it is remembered; on both workers.
TIMES = 4
UNKNOWN = 999_999

APP = create_fastapi_app(read_settings({"REDIS_ENABLED": "false", "AUTH": "on", "SECRET_KEYS": "x" * 32}))
# The others are about the service itself, and do not look at who asks.
ROUTES = [
    route
    for route in APP.router.routes
    if isinstance(route, Route) and (found := policy_of(route)) is not None and found.authenticated
]
# A stream does not end; its readers are in tests/identity/test_events.py.
_STREAM = "/events/stream"
READS = sorted({route.path_format for route in ROUTES if "GET" in (route.methods or ())} - {"/metrics", _STREAM})
# Those that let customers in to a row of theirs.
WRITES = sorted(
    (method, route.path_format)
    for route in ROUTES
    for method in route.methods or ()
    if method in ("POST", "PUT", "PATCH", "DELETE")
    and "{id_key}" in route.path_format
    and (found := policy_of(route)) is not None
    and found.is_about_own
)
LISTS = {controller: controller().path for controller in CONTROLLERS if issubclass(controller, BaseController)}


@pytest.fixture(scope="module")
def shop(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedShop]:
    database = new_database(servers.database_url)
    with guarded_processes(database, redis_url, tmp_path_factory.mktemp("owned")) as shop:
        yield shop


@pytest.fixture(scope="module")
def shelf(shop: GuardedShop) -> Shelf:
    return Shelf(shop)


@pytest.fixture(scope="module")
def two(shelf: Shelf) -> tuple[Customer, Customer]:
    return shelf.take_back(shelf.a_customer()), shelf.take_back(shelf.a_customer())


@pytest.fixture(scope="module")
def walker(shelf: Shelf) -> Customer:
    return shelf.take_back(shelf.a_customer())


def rows_of_customer(customer: Customer) -> dict[str, Row]:
    """Their only row of each resource. A new entity whose rows belong to clients has to be in `tests.identity.shelf`."""
    return {
        "clients": customer.client,
        "addresses": customer.address,
        "orders": customer.order,
        "order_details": customer.detail,
        "bills": customer.bill,
        "returns": customer.returned,
        "payments": customer.payment,
        "shipments": customer.shipped,
        "reviews": customer.review,
    }


def policy(path: str, method: str = "GET") -> Policy:
    """Who may call the route at this path."""
    route = next(route for route in ROUTES if route.path_format == path and method in (route.methods or ()))
    found = policy_of(route)
    assert found is not None
    return found


def is_let_in(wanted: Policy, who: str) -> bool:
    if wanted.for_users:
        return who != "anonymous"
    if wanted.scope is None:
        return not wanted.own_only or who == "customer"
    return who == "admin" or (who == "customer" and wanted.or_own)


@pytest.mark.parametrize("controller", LISTS, ids=lambda one: one.service.resource)
@pytest.mark.parametrize("who", ["anonymous", "customer", "admin"])
def test_lists_and_rows(
    shop: GuardedShop, two: tuple[Customer, Customer], controller: type[BaseController], who: str
) -> None:
    own, _ = two
    caller = {"anonymous": None, "customer": own.caller, "admin": shop.user("admin")}[who]
    path, service = LISTS.get(controller, ""), controller.service
    if path not in READS:
        pytest.skip("it has no list")
    wanted = policy(path)
    for _ in range(TIMES):
        listed = shop(caller, "GET", path, params={"limit": 1000})
        assert listed.status_code == (200 if is_let_in(wanted, who) else 401 if who == "anonymous" else 403)
        if not is_let_in(wanted, who):
            assert shop(caller, "GET", f"{path}/1").status_code == listed.status_code
            continue
        keys = [row["id_key"] for row in listed.json()]
        assert listed.headers["x-total-count"] == str(len(keys))
        if not service.has_owners():
            continue
        mine, theirs = (rows_of_customer(customer)[service.resource]["id_key"] for customer in two)
        is_all = who == "admin" or wanted.scope is None
        # Beside the bill of the order there is the credit bill of the return.
        of_one = 2 if service.resource == "bills" else 1
        assert (mine in keys, theirs in keys, len(keys) == of_one) == (True, is_all, not is_all)
        assert shop(caller, "GET", f"{path}/{mine}").status_code == 200
        assert shop(caller, "GET", f"{path}/{theirs}").status_code == (200 if is_all else 404)


@pytest.mark.parametrize("path", READS)
def test_no_read_shows_the_canary_of_another(shop: GuardedShop, two: tuple[Customer, Customer], path: str) -> None:
    """With every key that any row of the other has, as it is, and with the query parameters that show most."""
    keys = {row["id_key"] for customer in two for row in rows_of_customer(customer).values()}
    targets = [path.format(id_key=key) for key in sorted(keys)] if "{id_key}" in path else [path]
    queries = ("", "?expand=order_details,bill,client", "?limit=1000&sort=-id_key", "?fields=name")
    callers = [(own.caller, other) for own, other in (two, two[::-1])]
    for target, query in itertools.product(targets, queries):
        # By turns: what one of them was shown is remembered when the other asks.
        for caller, other in callers * 2:
            assert_nothing_of(other, shop(caller, "GET", target + query))
        for customer in two:
            assert_nothing_of(customer, shop(None, "GET", target + query))


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_no_write_reaches_a_row_of_another(
    shop: GuardedShop, two: tuple[Customer, Customer], method: str, path: str
) -> None:
    own, other = two
    resource = path.split("/")[1]
    row = rows_of_customer(other)[resource]
    body: Row | None = {} if method in ("PUT", "PATCH") else None
    for key in (row["id_key"], UNKNOWN):
        assert shop(own.caller, method, path.format(id_key=key), json=body).status_code == 404
    stored = shop(other.caller, "GET", f"/{resource}/{row['id_key']}").json()
    assert stored["updated_at"] == row["updated_at"]


def assert_nothing_of(other: Customer, response: httpx.Response) -> None:
    """Hold that the response has nothing that is only known to `other`."""
    assert response.status_code < 500, response.text
    assert response.status_code != 429, "the test is to see what lies behind the limit"
    for secret in (other.canary, other.client["email"], other.bill["bill_number"]):
        assert secret not in response.text, response.request.url
        assert secret not in str(response.headers)


# -- a random walk ---------------------------------------------------------------------------------

_METHODS = ["GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_PARAMETERS = {
    "expand": ["order_details", "bill", "client", "order_details,bill,client"],
    "fields": ["name", "client_id", "street,city", "bill_number"],
    "sort": ["id_key", "-created_at", "client_id"],
    "skip": ["0", "1"],
    "after": ["0", "1"],
    "limit": ["1", "1000"],
}
_OF_KEYS = ["client_id", "id_key", "order_id", "bill_id", "product_id"]
_OF_TEXTS = ["city", "name", "email", "bill_number", "q"]
# A logout would end the walk.
_WALKED = sorted(
    {path for route in ROUTES if not policy(path := route.path_format, min(route.methods or ())).for_users} - {_STREAM}
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_random_walk_never_leads_to_another(
    shop: GuardedShop, walker: Customer, two: tuple[Customer, Customer], data: st.DataObject
) -> None:
    """The walker may do anything with what is theirs, the others do nothing."""
    own, other = walker, data.draw(st.sampled_from(two), "whose rows")
    theirs = rows_of_customer(other)
    texts = [other.canary, other.client["email"], other.bill["bill_number"]]
    keys = [row["id_key"] for row in (*theirs.values(), *rows_of_customer(own).values())]
    key = data.draw(st.sampled_from(keys))
    path = data.draw(st.sampled_from(_WALKED)).format(id_key=key, id=key)
    query = {}
    for name in data.draw(st.lists(st.sampled_from([*_PARAMETERS, *_OF_KEYS, *_OF_TEXTS]), max_size=3, unique=True)):
        values = texts if name in _OF_TEXTS else _PARAMETERS.get(name, [str(key) for key in keys])
        query[name] = data.draw(st.sampled_from(values))
    method = data.draw(st.sampled_from(_METHODS))
    body = data.draw(st.sampled_from([None, {}, *_bodies(own, other)])) if method in ("POST", "PUT", "PATCH") else None
    headers = data.draw(st.sampled_from([{}, {"Idempotency-Key": "shared"}, {"If-Match": "*"}, {"If-None-Match": "*"}]))
    response = shop(own.caller, method, path, params=query, json=body, headers=headers)
    sent = str(body) + str(query)
    assert response.status_code < 500, response.text
    assert response.status_code != 429, "the walk is to see what lies behind the limit"
    for secret in texts:
        # What was sent may come back in an error, but never in a row.
        assert secret not in response.text or (secret in sent and response.status_code >= 400), (method, path, query)
    # Nothing of the other has changed or gone.
    for resource in data.draw(st.lists(st.sampled_from(sorted(theirs)), max_size=1)):
        row = shop(other.caller, "GET", f"/{resource}/{theirs[resource]['id_key']}")
        assert row.json()["updated_at"] == theirs[resource]["updated_at"]
    assert shop(own.caller, "GET", "/orders").status_code == 200


def _bodies(own: Customer, other: Customer) -> list[Any]:
    line = {"product_id": other.detail["product_id"], "quantity": 1}
    checkout = {"delivery_method": 1, "payment_type": "cash", "lines": [line]}
    theirs = {name: other.order[name] for name in ("client_id", "bill_id", "address_id")}
    return [
        checkout,
        {**checkout, "address_id": other.address["id_key"]},
        {**checkout, "client_id": other.client["id_key"]},
        {"street": "x", "city": "y"},
        {"street": "x", "city": "y", "client_id": other.client["id_key"]},
        {"rating": 1, "product_id": other.detail["product_id"], "client_id": other.client["id_key"]},
        {"client_id": other.client["id_key"]},
        {"id_key": other.client["id_key"], "name": "x"},
        [{"id_key": other.client["id_key"], "name": "x"}],
        {**theirs, "delivery_method": 1},
        {"email": other.client["email"]},
        {"updated_at": own.client["updated_at"], "telephone": "+442071234567"},
    ]


# -- A11 -------------------------------------------------------------------------------------------


def spellings(path: str) -> list[str]:
    """Other ways to write the path, of which some are the same to a careless router."""
    first = path.removeprefix("/")
    return [
        f"/{path}",
        f"/.{path}",
        f"/x/..{path}",
        f"{path}/",
        f"{path}//",
        f"{path}/.",
        path.upper(),
        f"/%2e{path}",
        f"/%2F{first}",
        f"{path}%2f",
        f"{path}%00",
        f"{path};x",
        f"/%{ord(first[0]):02x}{first[1:]}",
    ]


@pytest.mark.parametrize(
    "path", ["/orders", "/clients/{client}", "/bills", "/products/{hidden}", "/api_keys", "/users"]
)
def test_other_spellings_of_a_path_have_its_policy(
    shop: GuardedShop, shelf: Shelf, two: tuple[Customer, Customer], path: str
) -> None:
    own, other = two
    path = path.format(client=other.client["id_key"], hidden=shelf.hidden["id_key"])
    overrides = ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method")
    for target, caller in itertools.product([path, *spellings(path)], (None, own.caller)):
        for method in ("GET", "HEAD", "OPTIONS", "POST"):
            for headers in ({}, *({name: "GET"} for name in overrides)):
                response = _raw(shop, caller, method, target, headers)
                assert_nothing_of(other, response)
                assert shelf.hidden["name"] not in response.text
                is_own_list = caller is not None and response.status_code == 200 and method != "OPTIONS"
                allowed = {400, 401, 403, 404, 405, 422} | ({200, 204} if method == "OPTIONS" or is_own_list else set())
                assert response.status_code in allowed, (method, target, headers)


def _raw(shop: GuardedShop, caller: Caller | None, method: str, target: str, headers: dict[str, str]) -> httpx.Response:
    """The response to a request with this target, which httpx would make uniform."""
    url = httpx.URL(shop.url).copy_with(raw_path=target.encode())
    request = shop.http.build_request(method, url, headers={**(caller.headers if caller else {}), **headers})
    return shop.http.send(request)


def test_an_etag_or_a_key_of_another_opens_nothing(
    shop: GuardedShop, shelf: Shelf, two: tuple[Customer, Customer]
) -> None:
    own, other = two
    for resource, row in rows_of_customer(other).items():
        if resource == "reviews":
            continue
        path = f"/{resource}/{row['id_key']}"
        etag = shop(other.caller, "GET", path).headers["etag"]
        for header in ("If-None-Match", "If-Match"):
            for method in ("GET", "HEAD"):
                assert shop(own.caller, method, path, headers={header: etag}).status_code == 404
    headers = {"Idempotency-Key": "of-the-other"}
    placed = shop(other.caller, "POST", "/checkout", json=shelf.checkout(), headers=headers).json()
    for caller in (own.caller, shelf.staff, None):
        sent = shelf.checkout() if caller is not shelf.staff else shelf.checkout(client_id=other.client["id_key"])
        response = shop(caller, "POST", "/checkout", json=sent, headers=headers)
        assert response.status_code == (401 if caller is None else 201)
        assert response.json().get("id_key") != placed["id_key"]


def test_an_unknown_row_and_that_of_another_are_told_apart_by_nothing(
    shop: GuardedShop, two: tuple[Customer, Customer]
) -> None:
    own, other = two
    for resource, row in rows_of_customer(other).items():
        if resource == "reviews":
            continue
        key = row["id_key"]
        theirs, unknown = (shop(own.caller, "GET", f"/{resource}/{one}") for one in (key, UNKNOWN))
        assert theirs.status_code == unknown.status_code == 404
        assert sorted(theirs.headers) == sorted(unknown.headers)
        assert _uniform(theirs, key) == _uniform(unknown, UNKNOWN)


def _uniform(response: httpx.Response, key: int) -> dict[str, Any]:
    return {name: str(value).replace(str(key), "N") for name, value in response.json().items() if name != "request_id"}
