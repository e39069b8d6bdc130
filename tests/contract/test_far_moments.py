"""Rows with dates and times that Python has no value for: stored by SQL, and read, listed and changed like any other."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.builders import Builder, a_product, an_order, an_order_detail
from tests.contract.answers import assert_problem
from tests.race.databases import execute, new_database
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

TIMES = {
    "10000-01-01 00:00:00Z": "+010000-01-01T00:00:00Z",
    "294276-12-31 23:59:59.5Z": "+294276-12-31T23:59:59.500000Z",
    "0044-03-15 12:00:00Z BC": "-000043-03-15T12:00:00Z",
    "infinity": "infinity",
    "-infinity": "-infinity",
}
DATES = {
    "10000-01-01": "+010000-01-01",
    "5874897-12-31": "+5874897-12-31",
    "0044-03-15 BC": "-000043-03-15",
    "infinity": "infinity",
    "-infinity": "-infinity",
}


def shown(columns: list[str], stored_time: str, stored_date: str, path: str) -> dict[str, str]:
    return {name: DATES[stored_date] if (path, name) == ("/bills", "date") else TIMES[stored_time] for name in columns}


@pytest.fixture(params=zip(TIMES, DATES, strict=True), ids=list(TIMES))
def far(request: pytest.FixtureRequest, client: httpx.Client, database_url: str, resource: Builder) -> Any:
    """A row of the resource, every date and time of which was moved by SQL; and the path to it."""
    row = resource(client)
    stored_time, stored_date = request.param
    columns = [name for name in row if name in ("date", "created_at", "updated_at")]
    values = {name: stored_date if (resource.path, name) == ("/bills", "date") else stored_time for name in columns}
    table = resource.path.removeprefix("/")
    moved = ", ".join(f"{name} = '{value}'" for name, value in values.items())
    execute(
        database_url,
        # Without triggers, which would not let the version go back.
        f"SET session_replication_role = replica; UPDATE {table} SET {moved} WHERE id_key = {row['id_key']}",
    )
    return f"{resource.path}/{row['id_key']}", row | shown(columns, stored_time, stored_date, resource.path)


def test_it_is_read_listed_and_changed(client: httpx.Client, resource: Builder, far: Any) -> None:
    path, row = far
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (200, row)
    etag = answer.headers["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    listed = client.get(resource.path, params={"after": row["id_key"] - 1, "limit": 1})
    assert listed.json() == [row]
    for sort in ("created_at", "-created_at"):
        assert client.get(resource.path, params={"sort": sort, "limit": 1000}).status_code == 200

    unchanged = client.put(path, json=row, headers={"If-Match": etag})
    assert (unchanged.status_code, unchanged.json(), unchanged.headers["ETag"]) == (200, row, etag)
    change = resource.change(row)
    changed = client.patch(path, json=change | {"updated_at": row["updated_at"]}, headers={"If-Match": etag})
    assert changed.status_code == 200, changed.text
    assert changed.json() == row | change | {"updated_at": changed.json()["updated_at"]}
    assert changed.headers["ETag"] != etag
    assert_problem(client.put(path, json=resource.change(changed.json()), headers={"If-Match": etag}), 412)
    assert client.delete(path).status_code in (204, 409)


def far_order(client: httpx.Client, database_url: str, moment: str) -> dict[str, Any]:
    order: dict[str, Any] = an_order(client)
    execute(database_url, f"UPDATE orders SET date = '{moment}' WHERE id_key = {order['id_key']}")
    return order


@pytest.mark.parametrize("moment", TIMES)
def test_an_order_is_found_by_filters_and_shown_with_all_that_belongs_to_it(
    client: httpx.Client, database_url: str, moment: str
) -> None:
    order = far_order(client, database_url, moment)
    execute(database_url, f"UPDATE bills SET date = 'infinity' WHERE id_key = {order['bill_id']}")
    expanded = client.get(f"/orders/{order['id_key']}", params={"expand": "order_details,bill,client"})
    assert expanded.status_code == 200
    assert (expanded.json()["date"], expanded.json()["bill"]["date"]) == (TIMES[moment], "infinity")
    for sort in ("date", "-date", None):
        for bounds in ({}, {"date_from": "2026-01-01"}, {"date_to": "2026-01-01"}):
            asked = {"client_id": order["client_id"], "limit": 1000} | bounds | ({"sort": sort} if sort else {})
            found = client.get("/orders", params=asked)
            assert found.status_code == 200
            is_late = not moment.endswith("BC") and moment != "-infinity"
            matches = not bounds or is_late == ("date_from" in bounds)
            assert [row["id_key"] for row in found.json()] == ([order["id_key"]] if matches else [])
    an_order_detail(client, order_id=order["id_key"])
    advanced = client.post(f"/orders/{order['id_key']}/advance")
    assert (advanced.status_code, advanced.json()["date"]) == (200, TIMES[moment])


def test_nobody_can_set_such_a_date(client: httpx.Client, database_url: str) -> None:
    order = far_order(client, database_url, "10000-01-01 00:00:00Z")
    path = f"/orders/{order['id_key']}"
    for sent in ("+010001-01-01T00:00:00Z", "infinity", "10000-01-01T00:00:00Z"):
        assert_problem(client.patch(path, json={"date": sent}), 422)
        body = {name: order[name] for name in ("client_id", "delivery_method")} | {"date": sent, "bill_id": 2**40}
        assert_problem(client.post("/orders", json=body), 422)
    near = client.patch(path, json={"date": "2026-11-28T10:00:00Z"})
    assert (near.status_code, near.json()["date"]) == (200, "2026-11-28T10:00:00Z")


def test_a_far_movement_of_stock_is_listed(client: httpx.Client, database_url: str) -> None:
    product = a_product(client)
    execute(database_url, f"UPDATE stock_movements SET created_at = 'infinity' WHERE product_id = {product['id_key']}")
    found = client.get(f"/products/{product['id_key']}/stock_movements")
    assert (found.status_code, found.json()[0]["created_at"]) == (200, "infinity")


def test_new_bills_and_orders_go_in_beside_such_dates(servers: ServerUrls, tmp_path: Path) -> None:
    url = new_database(servers.database_url)
    execute(
        url,
        "INSERT INTO bills (bill_number, total, payment_type, date) SELECT 'B' || n, 1, 'cash', "
        "CASE n % 4 WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' WHEN 2 THEN '4713-01-01 BC' ELSE '2026-01-01' END::date "
        "FROM generate_series(1, 4000) n",
    )
    with shop_in_thread(environment_of(url, None, tmp_path)) as shop, httpx.Client(base_url=shop) as http:
        for _ in range(20):
            order = an_order(http)
        assert order["status"] == 1
        late = http.get("/bills", params={"date_from": "2027-01-01", "limit": 1})
        assert (late.status_code, late.headers["X-Total-Count"]) == (200, "1000")
        early = http.get("/bills", params={"date_to": "2025-01-01", "limit": 1})
        assert (early.status_code, early.headers["X-Total-Count"]) == (200, "2000")
