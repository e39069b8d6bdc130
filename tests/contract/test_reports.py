"""Reports: sales by days and otherwise, the best sellers, the clients and the stock, beside the bills that they add up."""

import csv
import io
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.builders import a_bill, a_category, a_client, a_product, unique
from tests.contract.answers import assert_malformed

pytestmark = pytest.mark.integration

GROUPS = ("day", "week", "month", "product", "category", "client", "country", "payment_type")
# Days that no other test has.
DAYS = {"from": "2031-02-26", "to": "2031-03-02"}


@pytest.fixture(scope="module")
def sold(client: httpx.Client) -> dict[str, Any]:
    """Two orders of one client on two days, one of them canceled: 4 lamps with a discount, and a desk."""
    buyer = a_client(client)
    lamp, desk = a_product(client, price=10, stock=100), a_product(client, price=99.99, stock=100)

    def order(date: str, payment_type: str, product: Any, quantity: int, discount: float = 0) -> Any:
        body = {
            "client_id": buyer["id_key"],
            "delivery_method": 1,
            "payment_type": payment_type,
            "date": date,
            "discount": discount,
            "lines": [{"product_id": product["id_key"], "quantity": quantity}],
        }
        response = client.post("/checkout", json=body)
        assert response.status_code == 201, response.text
        return response.json()

    order("2031-02-26T12:00:00Z", "card", lamp, 4, 0.01)
    canceled = order("2031-03-01T12:00:00Z", "cash", desk, 1)
    assert client.post(f"/orders/{canceled['id_key']}/cancel").status_code == 200
    return {"buyer": buyer, "lamp": lamp, "desk": desk}


def report(client: httpx.Client, name: str, **params: Any) -> Any:
    response = client.get(f"/reports/{name}", params={**DAYS, **params})
    assert response.status_code == 200, response.text
    return response.json(parse_float=Decimal)


def test_sales_of_days(client: httpx.Client, sold: dict[str, Any]) -> None:
    found = report(client, "sales")
    assert (found["from"], found["to"], found["group"]) == (DAYS["from"], DAYS["to"], "day")
    first, second = found["rows"]
    assert first["key"] == "2031-02-26"
    assert (first["orders"], first["units"], first["gross"], first["discount"]) == (1, 4, 40, Decimal("0.01"))
    # The credit bill of the cancellation has the day of the cancellation.
    assert (second["key"], second["gross"], second["refunded"], second["net"]) == (
        "2031-03-01",
        Decimal("99.99"),
        0,
        Decimal("99.99"),
    )
    assert found["totals"]["net"] == Decimal("139.98")


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_adds_up(client: httpx.Client, sold: dict[str, Any], group: str) -> None:
    found = report(client, "sales", group=group)
    for figure in ("gross", "discount", "shipping", "refunded", "net", "tax", "units", "returned_units"):
        assert sum(row[figure] for row in found["rows"]) == found["totals"][figure]
    assert all(
        row["net"] == row["gross"] - row["discount"] + row["shipping"] - row["refunded"] for row in found["rows"]
    )


def test_groups_have_their_keys_and_names(client: httpx.Client, sold: dict[str, Any]) -> None:
    def keys(group: str) -> list[Any]:
        return [(row["key"], row["name"]) for row in report(client, "sales", group=group)["rows"]]

    assert keys("week") == [("2031-02-24", None)]
    assert keys("month") == [("2031-02", None), ("2031-03", None)]
    assert sorted(keys("payment_type")) == [("card", None), ("cash", None)]
    assert (sold["lamp"]["id_key"], sold["lamp"]["name"]) in keys("product")
    buyer = sold["buyer"]
    assert keys("client") == [(buyer["id_key"], f"{buyer['name']} {buyer['lastname']}")]
    assert keys("category")
    assert all(isinstance(key, int) and name for key, name in keys("category"))


def test_a_report_is_up_to_date_at_once(client: httpx.Client) -> None:
    day = {"from": "2032-05-05", "to": "2032-05-05"}
    assert report(client, "sales", **day)["totals"]["net"] == 0
    bill = a_bill(client, date="2032-05-05", total=12.5, discount=1, bill_number=unique("REPORT"))
    totals = report(client, "sales", **day)["totals"]
    assert (totals["orders"], totals["gross"], totals["discount"], totals["net"]) == (
        0,
        Decimal("13.5"),
        1,
        Decimal("12.5"),
    )
    assert client.patch(f"/bills/{bill['id_key']}", json={"date": "2032-05-06"}).status_code == 200
    assert report(client, "sales", **day)["totals"]["net"] == 0
    assert report(client, "sales", **{**day, "to": "2032-05-06"})["totals"]["net"] == Decimal("12.5")
    assert client.delete(f"/bills/{bill['id_key']}").status_code == 204
    assert report(client, "sales", **{**day, "to": "2032-05-06"})["rows"] == []


def test_best_sellers(client: httpx.Client, sold: dict[str, Any]) -> None:
    best = report(client, "best_sellers")["rows"][0]
    assert (best["product_id"], best["units"], best["net"]) == (sold["lamp"]["id_key"], 4, Decimal("39.99"))
    assert len(report(client, "best_sellers", limit=1)["rows"]) == 1


def test_clients(client: httpx.Client, sold: dict[str, Any]) -> None:
    found = report(client, "clients")
    (row,) = found["rows"]
    assert (found["new"], found["returning"]) == (1, 0)
    assert (row["client_id"], row["is_new"], row["orders"]) == (sold["buyer"]["id_key"], True, 2)
    later = report(client, "clients", **{"from": "2031-03-01"})
    assert (later["new"], later["returning"], later["rows"][0]["is_new"]) == (0, 1, False)


def test_stock(client: httpx.Client) -> None:
    category = a_category(client)["id_key"]
    a_product(client, category_id=category, price=2.5, stock=10, reorder_level=20)
    a_product(client, category_id=category, price=1, stock=0, reorder_level=None)
    found = client.get("/reports/stock").json()
    (row,) = (row for row in found["rows"] if row["category_id"] == category)
    assert (row["products"], row["units"], row["value"], row["low"], row["out"]) == (2, 10, 25, 1, 1)
    assert found["totals"]["products"] == sum(row["products"] for row in found["rows"])


def test_csv(client: httpx.Client, sold: dict[str, Any]) -> None:
    response = client.get("/reports/sales", params={**DAYS, "group": "product"}, headers={"Accept": "text/csv"})
    assert response.headers["content-type"].startswith("text/csv")
    assert "accept" in response.headers["vary"].lower()
    rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
    shown = report(client, "sales", group="product")["rows"]
    assert [Decimal(row["net"]) for row in rows] == [row["net"] for row in shown]
    assert {row["name"] for row in rows} == {row["name"] or "" for row in shown}
    etag = response.headers["etag"]
    again = {"Accept": "text/csv", "If-None-Match": etag}
    assert client.get("/reports/sales", params={**DAYS, "group": "product"}, headers=again).status_code == 304
    assert (
        client.get("/reports/sales", headers={"Accept": "text/csv;q=0.1, */*"}).headers["content-type"]
        == "application/json"
    )


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"from": "2031-02-30"}, "from"),
        ({"to": "yesterday"}, "to"),
        ({"group": "colour"}, "group"),
        ({"limit": "0"}, "limit"),
        ({"limit": "x"}, "limit"),
    ],
)
def test_bad_parameters_are_refused(client: httpx.Client, params: dict[str, str], name: str) -> None:
    assert_malformed(client.get("/reports/sales", params=params), "query", name)


def test_days_the_wrong_way_round_are_none(client: httpx.Client, sold: dict[str, Any]) -> None:
    found = report(client, "sales", **{"from": DAYS["to"], "to": DAYS["from"]})
    assert (found["rows"], found["totals"]["orders"], found["totals"]["net"]) == ([], 0, 0)


def test_without_days_they_are_the_last_thirty(client: httpx.Client) -> None:
    found = client.get("/reports/sales").json()
    assert found["from"] < found["to"]
