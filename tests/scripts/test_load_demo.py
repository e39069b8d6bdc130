"""The demo catalog: well made, complete in the shop, and never there twice."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from scripts.api_errors import EXIT_CANNOT, EXIT_FINE
from scripts.load_demo import main, read_catalog


def all_rows(base_url: str, path: str) -> Iterator[dict[str, Any]]:
    after = 0
    with httpx.Client(base_url=base_url, trust_env=False) as http:
        while rows := http.get(path, params={"limit": 1000, "after": after}).json():
            yield from rows
            after = rows[-1]["id_key"]


@pytest.mark.unit
def test_the_catalog_is_well_made() -> None:
    catalog = read_catalog()
    products = [product for category in catalog["categories"] for product in category["products"]]
    assert len(catalog["categories"]) == 8
    assert 90 <= len(products) <= 120
    for unique in ("sku", "name"):
        assert max(Counter(product[unique] for product in products).values()) == 1
    for product in products:
        assert isinstance(product["price"], Decimal)
        assert product["price"] == round(product["price"], 2) > 0
        assert product["stock"] > 0
    assert {review["sku"] for review in catalog["reviews"]} <= {product["sku"] for product in products}
    numbers = [order["bill_number"] for order in catalog["orders"]]
    assert len(set(numbers)) == len(numbers)
    assert {order["client"] for order in catalog["orders"]} <= {client["email"] for client in catalog["clients"]}
    assert {sku for order in catalog["orders"] for sku in order["lines"]} <= {product["sku"] for product in products}
    assert {order["status"] for order in catalog["orders"]} == {1, 2, 3, 4}
    assert all(client["email"].endswith("@example.com") for client in catalog["clients"])


@pytest.mark.integration
def test_several_runs_leave_one_catalog(live_server: str, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert main(["--base-url", live_server]) == EXIT_FINE
    assert capsys.readouterr().out.splitlines()[-1].startswith("The shop holds the demo catalog: 8 categories, ")

    catalog = read_catalog()
    prices = {product["sku"]: product["price"] for row in catalog["categories"] for product in row["products"]}
    products = [row for row in all_rows(live_server, "/products") if row["sku"] in prices]
    assert {row["sku"]: Decimal(str(row["price"])) for row in products} == prices
    assert len(products) == len(prices)

    sku_of = {row["id_key"]: row["sku"] for row in products}
    reviews = [
        (sku_of[row["product_id"]], row["rating"], row["comment"])
        for row in all_rows(live_server, "/reviews")
        if row["product_id"] in sku_of
    ]
    assert Counter(reviews) == Counter((row["sku"], row["rating"], row["comment"]) for row in catalog["reviews"])

    wanted = {client["email"]: client for client in catalog["clients"]}
    clients = [row for row in all_rows(live_server, "/clients") if row["email"] in wanted]
    assert Counter(row["email"] for row in clients) == Counter(list(wanted))
    streets = Counter(row["client_id"] for row in all_rows(live_server, "/addresses"))
    assert all(streets[row["id_key"]] == len(wanted[row["email"]]["addresses"]) for row in clients)

    orders = []
    with httpx.Client(base_url=live_server, trust_env=False) as http:
        for wanted in catalog["orders"]:
            (bill,) = http.get("/bills", params={"bill_number": wanted["bill_number"]}).json()
            (order,) = http.get("/orders", params={"bill_id": bill["id_key"], "expand": "order_details"}).json()
            orders.append((wanted, order))
    for wanted, order in orders:
        assert order["status"] == wanted["status"]
        lines = {sku_of[detail["product_id"]]: detail["quantity"] for detail in order["order_details"]}
        assert lines == wanted["lines"]
        assert (order["returned_total"] > 0) == bool(wanted["returned"])

    # What somebody did with an order since stays.
    pending = next(order for wanted, order in orders if wanted["status"] == 1)
    with httpx.Client(base_url=live_server, trust_env=False) as http:
        assert http.post(f"/orders/{pending['id_key']}/cancel").status_code == 200
        assert main(["--base-url", live_server]) == EXIT_FINE
        assert http.get(f"/orders/{pending['id_key']}").json()["status"] == 4


@pytest.mark.unit
def test_a_missing_api_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base-url", "http://127.0.0.1:1"]) == EXIT_CANNOT
    assert capsys.readouterr().err.startswith("Stopped: No shop answers at http://127.0.0.1:1")
