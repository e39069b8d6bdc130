"""Callers without a token, and customers, see products on sale only: everywhere, cached and not, on both ways in."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.builders import a_category, unique
from tests.guarded_shop import Caller, GuardedShop, guarded_processes
from tests.identity.shelf import Row, Shelf
from tests.race.databases import new_database

pytestmark = pytest.mark.integration

# So many requests, each on a new connection, that both workers have answered some.
TIMES = 6


@pytest.fixture(scope="module", params=["with Redis", "without Redis"])
def shop(
    request: pytest.FixtureRequest, servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedShop]:
    """A shop of two workers."""
    url = redis_url if request.param == "with Redis" else None
    with guarded_processes(new_database(servers.database_url), url, tmp_path_factory.mktemp("public")) as shop:
        yield shop


@pytest.fixture(scope="module")
def shelf(shop: GuardedShop) -> Shelf:
    return Shelf(shop)


@pytest.fixture(scope="module")
def customer(shelf: Shelf) -> Caller:
    return shelf.a_user()[1]


@pytest.fixture
def word() -> str:
    """A word that only the products of one test have in their names."""
    return unique("Quasar").replace(" ", "")


@pytest.fixture
def pair(shelf: Shelf, word: str) -> tuple[Row, Row]:
    """A product on sale, and one that is not, in a category of their own."""
    shelf.category = shelf.made(shelf.staff, "/categories", **a_category.sample())
    return shelf.a_product(name=f"{word} shown", price=7), shelf.a_product(name=f"{word} kept", price=7, active=False)


def listed(shop: GuardedShop, caller: Caller | None, path: str) -> list[int]:
    """The keys in the list, which is the same every time, and as long as its count says."""
    responses = [shop(caller, "GET", path) for _ in range(TIMES)]
    keys = [[row["id_key"] for row in response.json()] for response in responses]
    assert all(some == keys[0] for some in keys)
    assert {response.headers["x-total-count"] for response in responses} == {str(len(keys[0]))}
    return keys[0]


def codes(shop: GuardedShop, caller: Caller | None, method: str, path: str) -> set[int]:
    return {shop(caller, method, path).status_code for _ in range(TIMES)}


def paths(pair: tuple[Row, Row], word: str) -> list[str]:
    shown, hidden = pair
    category = f"category_id={shown['category_id']}"
    return [
        f"/products?{category}",
        f"/products?{category}&sort=-price",
        f"/products?{category}&min_price=7&max_price=7",
        f"/products?{category}&after={shown['id_key'] - 1}",
        f"/products?{category}&q={word}",
        f"/products?{category}&fields=name",
        f"/products?q={word}",
        f"/products?q={word}&sort=name",
        f"/products?id_key={shown['id_key']},{hidden['id_key']}",
        f"/products?sku={shown['sku']}",
    ]


def test_lists_search_and_counts(
    shop: GuardedShop, shelf: Shelf, customer: Caller, pair: tuple[Row, Row], word: str
) -> None:
    shown, hidden = (product["id_key"] for product in pair)
    for path in paths(pair, word):
        # The order of these is part of the test: what one caller was shown must not be another's.
        for caller in (shelf.staff, None, customer, shelf.staff, None):
            found = listed(shop, caller, path)
            expected = {shown, hidden} if caller is shelf.staff and "sku" not in path else {shown}
            assert set(found) == expected, path
    for path in (f"/products?id_key={hidden}", f"/products?category_id={pair[0]['category_id']}&active=false"):
        assert [listed(shop, caller, path) for caller in (None, customer, shelf.staff)] == [[], [], [hidden]]


def test_the_list_of_all(shop: GuardedShop, shelf: Shelf, customer: Caller, pair: tuple[Row, Row]) -> None:
    for caller in (None, shelf.staff, customer, None):
        everything = listed(shop, caller, "/products?limit=1000")
        assert (pair[1]["id_key"] in everything) == (caller is shelf.staff)
        assert pair[0]["id_key"] in everything


def test_a_single_product(shop: GuardedShop, shelf: Shelf, customer: Caller, pair: tuple[Row, Row]) -> None:
    hidden = f"/products/{pair[1]['id_key']}"
    etag = shop(shelf.staff, "GET", hidden).headers["etag"]
    for caller in (shelf.staff, None, customer, shelf.staff, None):
        wanted = 200 if caller is shelf.staff else 404
        for path in (hidden, f"{hidden}/", f"{hidden}?fields=name", f"{hidden}/price_history", f"{hidden}/price_stats"):
            assert codes(shop, caller, "GET", path) == codes(shop, caller, "HEAD", path) == {wanted}
        conditional = shop(caller, "GET", hidden, headers={"If-None-Match": etag})
        assert conditional.status_code == (304 if wanted == 200 else 404)
        assert shop(caller, "GET", hidden, headers={"If-None-Match": "*"}).status_code == conditional.status_code
    assert _comparable(shop(None, "GET", hidden)) == _comparable(shop(None, "GET", "/products/999999"))


def _comparable(response: httpx.Response) -> Any:
    """What an attacker could compare: the body without the names of request and row, and the names of the headers."""
    body = {name: value for name, value in response.json().items() if name not in ("request_id", "instance")}
    return {**body, "detail": body["detail"].split()[-2:], "message": ""}, sorted(response.headers)


def test_what_is_switched_off_is_gone_at_the_next_request(
    shop: GuardedShop, shelf: Shelf, customer: Caller, pair: tuple[Row, Row]
) -> None:
    product = pair[0]["id_key"]
    path, in_list = f"/products/{product}", f"/products?category_id={pair[0]['category_id']}"
    for is_active in (False, True, False, True):
        assert shop(shelf.staff, "PATCH", path, json={"active": is_active}).status_code == 200
        for caller in (None, customer):
            assert codes(shop, caller, "GET", path) == {200 if is_active else 404}
            assert listed(shop, caller, in_list) == ([product] if is_active else [])
            assert (product in listed(shop, caller, "/products?limit=1000")) == is_active


def test_new_products_are_in_the_lists_at_once(shop: GuardedShop, shelf: Shelf, pair: tuple[Row, Row]) -> None:
    in_list = f"/products?category_id={pair[0]['category_id']}"
    before = listed(shop, None, "/products?limit=1000")
    listed(shop, None, in_list)
    shown, _ = shelf.a_product(), shelf.a_product(active=False)
    assert listed(shop, None, in_list) == [pair[0]["id_key"], shown["id_key"]]
    assert listed(shop, None, "/products?limit=1000") == [*before, shown["id_key"]]


def test_only_what_everybody_sees_may_be_kept_by_others(
    shop: GuardedShop, shelf: Shelf, customer: Caller, pair: tuple[Row, Row]
) -> None:
    path = f"/products/{pair[0]['id_key']}"
    for caller in (None, customer, shelf.staff):
        response = [shop(caller, "GET", path) for _ in range(TIMES)][-1]
        control = response.headers["cache-control"]
        assert ("no-store" in control) == (caller is not None)
