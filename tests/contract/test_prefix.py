"""`API_PREFIX=/api/v1`: everything but health and documentation is served below it, and only there."""

import re
from collections.abc import Iterator
from typing import Any

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
    "/version",
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
    with shop_in_thread(environment) as url, httpx.Client(base_url=url, timeout=60) as client:
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
    others = {
        "checkout",
        "returns",
        "shipments",
        "payments",
        "audit_entries",
        "jobs",
        "webhook_deliveries",
        "notifications",
    }
    assert set(paths) == {path.removeprefix("/") for path in BUILDERS} | others
    for path in paths.values():
        assert path.startswith(PREFIX)
        assert root.options(path).status_code == 204


def test_locations_carry_the_prefix(api: httpx.Client, root: httpx.Client) -> None:
    for path, make in BUILDERS.items():
        response = api.post(path, json=make.body(api))
        assert response.headers["Location"] == f"{PREFIX}{path}/{response.json()['id_key']}"
        assert root.get(response.headers["Location"]).json() == make.stored(response.json())


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
        is_outside = path in ("/", "/metrics", "/version") or path.startswith("/health")
        assert path.startswith(f"{PREFIX}/") != is_outside


BEHIND = "/shop"


@pytest.fixture(scope="module", params=["X-Forwarded-Prefix", "root path"])
def behind(
    request: pytest.FixtureRequest, database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of a shop behind a proxy that takes /shop off every path, and of which the shop is told."""
    is_told = request.param == "root path"
    headers = {} if is_told else {"X-Forwarded-Prefix": BEHIND}
    settings = {"RATE_LIMIT_EXEMPT": "", "RATE_LIMIT_CALLS": "100000", "TRUSTED_PROXIES": "127.0.0.1"}
    environment = environment_of(database_url, redis_url, tmp_path_factory.mktemp("behind"), **settings)
    with (
        shop_in_thread(environment, BEHIND if is_told else "") as url,
        httpx.Client(base_url=url, headers=headers, timeout=60) as client,
    ):
        yield client


def through_proxy(behind: httpx.Client, url: str, **more: Any) -> httpx.Response:
    """What a browser gets below the prefix."""
    assert url.startswith(f"{BEHIND}/"), url
    return behind.get(url.removeprefix(BEHIND), **more)


def test_behind_a_proxy_locations_lead_back_through_it(behind: httpx.Client) -> None:
    response = behind.post("/categories", json=BUILDERS["/categories"].body(behind))
    assert through_proxy(behind, response.headers["Location"]).json() == response.json()
    to_browser = behind.get("/", headers={"Accept": "text/html"}, follow_redirects=False)
    assert to_browser.headers["Location"] == f"{BEHIND}/docs"


@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "gzip"}, {"Origin": "https://a.example"}])
def test_behind_a_proxy_links_lead_back_through_it(behind: httpx.Client, headers: dict[str, str]) -> None:
    for _ in range(2):
        a_category(behind)
    # Answered by the routes, then by the fast path.
    for _ in range(3):
        links = behind.get("/categories?limit=1&skip=0", headers=headers).links
        assert len(through_proxy(behind, str(links["next"]["url"])).json()) == 1
        assert all(str(link["url"]).startswith(f"{BEHIND}/categories?") for link in links.values())


def test_behind_a_proxy_pages_find_what_they_need(behind: httpx.Client) -> None:
    for page in ("/docs", "/redoc"):
        html = behind.get(page).text
        urls = re.findall(r"(?:src|href|url|spec-url)(?:=|: )[\"']([^\"']+)", html)
        assert f"{BEHIND}/openapi.json" in urls
        for url in urls:
            assert through_proxy(behind, url).status_code == 200
    assert behind.get("/openapi.json").json()["servers"][0]["url"] == BEHIND
    index = behind.get("/").json()
    for url in (index["docs"], index["openapi"], index["health"], index["resources"]["products"]):
        assert through_proxy(behind, url).status_code == 200


def test_behind_a_proxy_health_is_not_limited_and_other_paths_are(behind: httpx.Client) -> None:
    for path in ("/health_check", "/health/live", "/health/ready/"):
        left = [behind.get(path).headers["X-RateLimit-Remaining"] for _ in range(2)]
        assert left == ["100000", "100000"]
    assert behind.get("/nothing").headers["X-RateLimit-Remaining"] != "100000"
    assert behind.get("/nothing").json()["instance"] == f"{BEHIND}/nothing"
