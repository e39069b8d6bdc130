"""Lists below another row: they have its rows and no others, with the filters, pages and links of the list of all."""

import httpx
import pytest

from tests.builders import Builder, a_bill, a_category, a_client, a_product, a_review, an_address

pytestmark = pytest.mark.integration

NESTED: list[tuple[Builder, str, Builder, str]] = [
    (a_product, "product_id", a_review, "reviews"),
    (a_client, "client_id", an_address, "addresses"),
    (a_client, "client_id", a_bill, "bills"),
    (a_category, "category_id", a_product, "products"),
]
each_list = pytest.mark.parametrize(("parent", "field", "resource", "name"), NESTED, ids=[row[3] for row in NESTED])


@each_list
def test_has_the_rows_of_the_one_above(
    client: httpx.Client, parent: Builder, field: str, resource: Builder, name: str
) -> None:
    above, another, empty = (parent(client)["id_key"] for _ in range(3))
    rows = [resource(client, **{field: above}) for _ in range(3)]
    resource(client, **{field: another})
    path = f"{parent.path}/{above}/{name}"
    response = client.get(path)
    assert (response.json(), response.headers["X-Total-Count"]) == (rows, "3")
    # Whose rows they are is said by the path alone.
    assert client.get(path, params={field: another}).status_code == 422
    assert client.get(path, params={"id_key": rows[1]["id_key"]}).json() == [rows[1]]
    assert client.get(path, params={"sort": "-id_key", "fields": "id_key"}).json() == [
        {"id_key": row["id_key"]} for row in reversed(rows)
    ]
    none = client.get(f"{parent.path}/{empty}/{name}")
    assert (none.json(), none.headers["X-Total-Count"]) == ([], "0")


@each_list
def test_its_links_lead_through_it(
    client: httpx.Client, parent: Builder, field: str, resource: Builder, name: str
) -> None:
    above = parent(client)["id_key"]
    rows = [resource(client, **{field: above}) for _ in range(3)]
    for start in ("skip=0", "after=0"):
        first = client.get(f"{parent.path}/{above}/{name}?{start}&limit=2")
        assert first.json() == rows[:2]
        assert client.get(first.links["next"]["url"]).json() == rows[2:]


@each_list
def test_there_is_none_below_a_row_that_does_not_exist(
    client: httpx.Client, parent: Builder, field: str, resource: Builder, name: str
) -> None:
    assert client.get(f"{parent.path}/999999999/{name}").status_code == 404
    assert client.get(f"{parent.path}/x/{name}").status_code == 422
    above = parent(client)["id_key"]
    assert client.get(f"{parent.path}/{above}/{name}", params={"sort": "nothing"}).status_code == 422
