"""`API_PREFIX=/api/v1`: everything but health and documentation is served below it, and only there."""

from collections.abc import Iterator

import httpx
import pytest

from tests.builders import BUILDERS, a_bill, a_category, a_client, a_product, an_order, an_order_detail
from tests.contract.answers import assert_problem
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

PREFIX = "/api/v1"
OUTSIDE = [
    "/health_check",
    "/health/live",
    "/health/ready",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/",
    "/favicon.ico",
    "/robots.txt",
]


@pytest.fixture(scope="module")
def root(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a shop below a prefix."""
    environment = environment_of(database_url, redis_url, tmp_path_factory.mktemp("prefix"), API_PREFIX=PREFIX)
    with shop_in_thread(environment) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def api(root: httpx.Client) -> Iterator[httpx.Client]:
    """A client whose paths begin below the prefix."""
    with httpx.Client(base_url=f"{str(root.base_url).rstrip('/')}{PREFIX}") as client:
        yield client


@pytest.mark.parametrize("path", [*BUILDERS, "/products/1", "/products/1/stock_movements", "/clients/1/orders"])
def test_resources_are_below_the_prefix_only(root: httpx.Client, path: str) -> None:
    assert root.get(PREFIX + path).status_code in (200, 404)
    assert root.get(PREFIX + path).json() != root.get(path).json()
    assert_problem(root.get(path), 404, "Not Found")


@pytest.mark.parametrize(
    "path", ["/checkout", "/orders/1/cancel", "/orders/1/returns", "/products/bulk", "/products/1/stock"]
)
def test_so_are_the_other_calls(root: httpx.Client, path: str) -> None:
    assert_problem(root.post(path, json=None), 404, "Not Found")
    assert_problem(root.request("TRACE", PREFIX + path), 405)


@pytest.mark.parametrize("path", OUTSIDE)
def test_health_and_documentation_are_not(root: httpx.Client, path: str) -> None:
    assert root.get(path).status_code == 200
    assert root.get(PREFIX + path).status_code == 404


def test_the_index_tells_where_the_resources_are(root: httpx.Client) -> None:
    paths = root.get("/").json()["resources"]
    assert set(paths) == {path.removeprefix("/") for path in BUILDERS} | {"checkout"}
    for path in paths.values():
        assert path.startswith(PREFIX)
        assert root.options(path).status_code == 204


def test_locations_carry_the_prefix(api: httpx.Client, root: httpx.Client) -> None:
    for path, make in BUILDERS.items():
        response = api.post(path, json=make.body(api))
        assert response.headers["Location"] == f"{PREFIX}{path}/{response.json()['id_key']}"
        assert root.get(response.headers["Location"]).json() == response.json()


def test_the_location_of_a_placed_order_and_of_a_credit_bill(api: httpx.Client, root: httpx.Client) -> None:
    lines = [{"product_id": a_product(api)["id_key"], "quantity": 1}]
    order = {"client_id": a_client(api)["id_key"], "delivery_method": 1, "payment_type": "card", "lines": lines}
    placed = api.post("/checkout", json=order)
    assert placed.headers["Location"] == f"{PREFIX}/orders/{placed.json()['id_key']}"
    assert root.post(f"{placed.headers['Location']}/advance").status_code == 200
    returned = {"lines": [{"order_detail_id": placed.json()["order_details"][0]["id_key"], "quantity": 1}]}
    credit = root.post(f"{placed.headers['Location']}/returns", json=returned)
    assert credit.headers["Location"] == f"{PREFIX}/bills/{credit.json()['id_key']}"


def test_links_carry_the_prefix(api: httpx.Client, root: httpx.Client) -> None:
    detail = an_order_detail(api)
    order = api.get(f"/orders/{detail['order_id']}").json()
    an_order(api, client_id=order["client_id"])
    a_bill(api, client_id=order["client_id"])
    a_category(api)
    for path in ("/categories?limit=1", "/bills?after=0&limit=1", f"/clients/{order['client_id']}/orders?limit=1"):
        links = api.get(path).links
        url = str(links["next"]["url"])
        assert url.startswith(f"{PREFIX}{path.partition('?')[0]}?")
        assert len(root.get(url).json()) == 1
    ledger = f"/products/{detail['product_id']}/stock_movements"
    assert str(api.get(f"{ledger}?limit=1").links["next"]["url"]).startswith(f"{PREFIX}{ledger}?")


def test_shops_with_and_without_it_may_share_a_cache(client: httpx.Client, api: httpx.Client) -> None:
    a_category(client)
    for query in ("?sort=-name&limit=1", "?limit=1", "?after=0&limit=1&fields=name"):
        for shop, prefix in ((client, ""), (api, PREFIX), (client, "")):
            first = str(shop.get(f"/categories{query}").links["first"]["url"])
            assert first.startswith(f"{prefix}/categories?")


def test_the_documentation_shows_it(root: httpx.Client) -> None:
    document = root.get("/openapi.json").json()
    for path in document["paths"]:
        is_outside = path in ("/", "/metrics") or path.startswith("/health")
        assert path.startswith(f"{PREFIX}/") != is_outside
