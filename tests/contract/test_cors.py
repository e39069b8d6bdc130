"""Other origins: who may call the shop from a browser, and what their scripts may read."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from config.settings import SettingsError, read_settings
from tests.builders import a_product, an_order, unique
from tests.contract.answers import assert_headers, assert_problem
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

OWN, FOREIGN = "https://shop.example", "https://evil.example"
EXPOSED = {
    "x-total-count",
    "link",
    "etag",
    "location",
    "x-request-id",
    "x-cache-hit",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "retry-after",
    "idempotent-replayed",
    "x-total-count-estimated",
    "x-response-time",
    "ratelimit",
    "ratelimit-policy",
    "preference-applied",
    "traceparent",
    "x-next-after",
}


@contextmanager
def shop(database_url: str, folders: pytest.TempPathFactory, **cors: str) -> Iterator[httpx.Client]:
    settings = environment_of(database_url, None, folders.mktemp("cors"), **cors)
    with shop_in_thread(settings) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.fixture(scope="module")
def one(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A shop that one other origin may use, with credentials."""
    cors = {"CORS_ORIGINS": OWN, "CORS_CREDENTIALS": "true"}
    with shop(database_url, tmp_path_factory, **cors) as client:
        yield client


@pytest.fixture(scope="module")
def anyone(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A shop that every origin may use; three requests a minute."""
    limits = {"RATE_LIMIT_EXEMPT": "", "RATE_LIMIT_CALLS": "3"}
    with shop(database_url, tmp_path_factory, CORS_ORIGINS="*", **limits) as client:
        yield client


def listed(response: httpx.Response, name: str) -> set[str]:
    return {item.strip().lower() for item in response.headers[name].split(",")}


def preflight(client: httpx.Client, origin: str, method: str) -> httpx.Response:
    wanted = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type,if-match"}
    return client.options("/products/1", headers={"Origin": origin, **wanted})


@pytest.mark.parametrize("path", ["/products", "/products/0", "/nothing", "/products?limit=0"])
def test_an_allowed_origin_may_read_answers_and_errors(one: httpx.Client, path: str) -> None:
    response = one.get(path, headers={"Origin": OWN})
    assert response.headers["Access-Control-Allow-Origin"] == OWN
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert listed(response, "Access-Control-Expose-Headers") == EXPOSED
    assert "origin" in listed(response, "Vary")
    assert_headers(response)


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": "*"}])
def test_what_has_no_origin_says_that_one_would_matter(one: httpx.Client, headers: dict[str, str]) -> None:
    """A cache between could else hand the answer to a page that may read it, and whose browser then refuses it."""
    responses = [one.get("/categories?limit=2", headers=headers) for _ in range(3)]
    assert ["origin" in listed(response, "Vary") for response in responses] == [True] * 3


@pytest.mark.parametrize("origin", [None, OWN, FOREIGN])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_what_may_be_compressed_varies_by_both(one: httpx.Client, origin: str | None, coding: str) -> None:
    """In one line, whichever way the answer takes: by the routes, by the fast path, with a body or without."""
    product = a_product(one, description="Warm white, 8 W, of oak and steel. " * 60)
    headers = {"Accept-Encoding": coding} | ({} if origin is None else {"Origin": origin})
    path = f"/products/{product['id_key']}"
    responses = [one.get(path, headers=headers) for _ in range(3)]
    responses.append(one.get(path, headers={**headers, "If-None-Match": responses[0].headers["ETag"]}))
    responses.append(one.get("/" + "a" * 2000, headers=headers))
    assert [response.status_code for response in responses] == [200, 200, 200, 304, 404]
    for response in responses:
        assert response.headers.get_list("Vary") == ["Accept-Encoding, Origin"]
        if response.status_code != 304:
            assert response.headers.get("Content-Encoding", "identity") == coding


@pytest.mark.parametrize("origin", [FOREIGN, "null", f"{OWN}.evil.example", "http://shop.example", f"{OWN}:444"])
def test_another_origin_may_not(one: httpx.Client, origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in one.get("/products", headers={"Origin": origin}).headers
    refused = preflight(one, origin, "PUT")
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert_problem(refused, 400)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_a_preflight(one: httpx.Client, method: str) -> None:
    response = preflight(one, OWN, method)
    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] == OWN
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert method.lower() in listed(response, "Access-Control-Allow-Methods")
    assert {"content-type", "if-match"} <= listed(response, "Access-Control-Allow-Headers")
    assert_headers(response)


def test_any_origin_may_read_where_all_are_allowed_even_a_429(anyone: httpx.Client) -> None:
    responses = [anyone.get("/categories", headers={"Origin": FOREIGN}) for _ in range(4)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429]
    assert_problem(responses[-1], 429)
    for response in responses:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert listed(response, "Access-Control-Expose-Headers") == EXPOSED


def test_a_form_of_another_page_cancels_no_order(client: httpx.Client) -> None:
    order = an_order(client)
    url = f"/orders/{order['id_key']}"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for headers in ({"Origin": FOREIGN}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        refused = client.post(f"{url}/cancel", headers=headers | form)
        body = assert_problem(refused, 403, "A page of another origin may not change anything here")
        assert body["code"] == "cross_origin"
        assert_problem(client.delete(url, headers=headers), 403)
    assert client.get(url, headers={"Origin": FOREIGN}).json()["status"] == 1
    own = {"Origin": str(client.base_url).rstrip("/")}
    assert client.post(f"{url}/cancel", headers=own).json()["status"] == 4


def test_an_allowed_origin_may_change_what_it_likes(one: httpx.Client) -> None:
    headers = {"Origin": OWN, "Sec-Fetch-Site": "cross-site"}
    made = one.post("/categories", json={"name": unique("Lamps")}, headers=headers)
    assert made.status_code == 201
    assert made.headers["Access-Control-Allow-Origin"] == OWN
    assert_problem(one.delete(made.headers["Location"], headers={"Origin": FOREIGN}), 403)
    assert one.delete(made.headers["Location"], headers=headers).status_code == 204


def test_no_origin_is_allowed_unless_one_is_named(client: httpx.Client) -> None:
    response = client.get("/categories", headers={"Origin": OWN})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control-")]


def test_i11_any_origin_with_credentials_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match="CORS_ORIGINS"):
        read_settings({"CORS_ORIGINS": "*", "CORS_CREDENTIALS": "true"})


def test_a_preflight_does_not_repeat_whatever_it_is_sent(one: httpx.Client) -> None:
    for length, status in ((900, 200), (1100, 400)):
        asked = {"Origin": OWN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x" * length}
        response = one.options("/categories", headers=asked)
        assert response.status_code == status
        assert sum(len(name) + len(value) + 4 for name, value in response.headers.raw) < 4000
