"""Tax classes: rates of countries since days, a class that is always there, and whose class a product is of."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.builders import Row, a_category, a_product, a_tax_class, unique
from tests.contract.answers import assert_malformed, assert_problem

pytestmark = pytest.mark.integration

SPAIN = {"country": "ES", "rate": 21, "valid_from": "2012-09-01", "vat_category": "S"}


@pytest.fixture(scope="module")
def client(traced_client: httpx.Client) -> httpx.Client:
    return traced_client


def rates_of(client: httpx.Client, *rates: Row) -> Any:
    return a_tax_class(client, rates=list(rates))["rates"]


def test_the_standard_class_is_there_and_stays(client: httpx.Client) -> None:
    (standard,) = client.get("/tax_classes", params={"name": " STANDARD "}).json()
    path = f"/tax_classes/{standard['id_key']}"
    assert (standard["name"], standard["id_key"]) == ("standard", 1)
    assert_problem(client.delete(path), 409)
    assert_problem(client.patch(path, json={"name": "other"}), 409)
    assert_problem(client.post("/tax_classes", json={"name": "Standard"}), 409)
    assert client.put(path, json={"name": "standard", "rates": standard["rates"]}).json() == standard


def test_rates_are_shown_by_country_and_day(client: httpx.Client) -> None:
    older = {"country": "es", "rate": 18.125}
    portugal = {"country": "PT", "rate": 0, "valid_from": None, "vat_category": "e"}
    assert rates_of(client, portugal, SPAIN, older) == [
        {"country": "ES", "rate": 18.125, "valid_from": None, "vat_category": "S"},
        SPAIN,
        {"country": "PT", "rate": 0, "valid_from": None, "vat_category": "E"},
    ]
    assert rates_of(client, {"country": "PT", "rate": 0})[0]["vat_category"] == "Z"
    assert rates_of(client) == []
    assert client.post("/tax_classes", json={"name": unique("None")}).json()["rates"] == []


def test_rates_are_exact(client: httpx.Client) -> None:
    response = client.post("/tax_classes", json={"name": unique("Exact"), "rates": [SPAIN | {"rate": 5.125}]})
    assert b'"rate":5.125,' in response.content
    shown = client.get(response.headers["Location"])
    assert (shown.content, shown.headers["ETag"]) == (response.content, response.headers["ETag"])
    listed = client.get("/tax_classes", params={"name": response.json()["name"], "fields": "rates"})
    assert Decimal(str(listed.json()[0]["rates"][0]["rate"])) == Decimal("5.125")


def test_what_was_read_is_no_change(client: httpx.Client) -> None:
    row = a_tax_class(client, rates=[SPAIN, {"country": "FR", "rate": 5.5}])
    path = f"/tax_classes/{row['id_key']}"
    assert client.put(path, json=row).json() == row
    changed = client.patch(path, json={"rates": [SPAIN]}).json()
    assert (changed["rates"], changed["name"]) == ([SPAIN], row["name"])
    assert changed["updated_at"] > row["updated_at"]
    assert client.put(path, json={"name": row["name"]}).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"country": "XX"},
        {"country": "UK"},
        {"country": None},
        {"rate": -1},
        {"rate": 100.001},
        {"rate": 5.1255},
        {"rate": "21"},
        {"rate": True},
        {"rate": None},
        {"valid_from": "2012-13-01"},
        {"valid_from": 7},
        {"vat_category": "X"},
        {"vat_category": "Z"},
        {"rate": 0},
        {"percent": 1},
    ],
)
def test_rates_that_are_refused(client: httpx.Client, wrong: Row) -> None:
    body = {"name": unique("Wrong"), "rates": [SPAIN | wrong]}
    assert_malformed(client.post("/tax_classes", json=body), "body", "rates")


def test_one_rate_of_a_country_from_a_day_on(client: httpx.Client) -> None:
    for rates in ([SPAIN, SPAIN | {"rate": 4}], [{"country": "fr", "rate": 1}, {"country": "FR", "rate": 2}]):
        response = client.post("/tax_classes", json={"name": unique("Twice"), "rates": rates})
        assert_malformed(response, "body", "rates")
    assert_malformed(client.post("/tax_classes", json={"name": unique("No"), "rates": None}), "body", "rates")
    many = [{"country": "ES", "rate": 1, "valid_from": f"{year}-01-01"} for year in range(1000, 2001)]
    assert_malformed(client.post("/tax_classes", json={"name": unique("Many"), "rates": many}), "body", "rates")


def test_a_class_that_is_named_stays(client: httpx.Client) -> None:
    for make in (a_category, a_product):
        row = a_tax_class(client)
        path = f"/tax_classes/{row['id_key']}"
        named = make(client, tax_class_id=row["id_key"])
        assert named["tax_class_id"] == row["id_key"]
        assert_problem(client.delete(path), 409)
        one = f"{make.path}/{named['id_key']}"
        assert client.patch(one, json={"tax_class_id": None}).json()["tax_class_id"] is None
        assert client.delete(path).status_code == 204
        assert_problem(client.patch(one, json={"tax_class_id": row["id_key"]}), 404)
        assert_problem(client.post(f"{make.path}/bulk", json=[make.body(client, tax_class_id=row["id_key"])]), 404)
