"""Two writings of one thing are one: when rows are made and changed, one by one and in bulk, and when they are looked for."""

import unicodedata
from typing import Any

import httpx
import pytest

from tests.builders import Builder, a_bill, a_category, a_client, a_product, an_address, unique
from tests.race.databases import execute

pytestmark = pytest.mark.integration

UNIQUE = [(a_product, "sku"), (a_category, "name"), (a_bill, "bill_number"), (a_client, "email")]
FILTERED = [*UNIQUE, (a_client, "name"), (a_client, "lastname"), (an_address, "city")]
IN_BULK = [(a_product, "sku"), (a_category, "name"), (a_client, "email")]


def named(pair: tuple[Builder, str]) -> str:
    return f"{pair[0].path}-{pair[1]}"


def a_text(field: str) -> str:
    text = unique("Stra\u00dfe \u00c9\u039f\u03a3 \u0427\u0430\u0439 \u212a")
    return f"{text.replace(' ', '.')}@example.com" if field == "email" else text


def writings(text: str, field: str) -> list[str]:
    """The text as others might write it. Addresses have rules of their own about what is in them."""
    written = [text.upper(), text.casefold(), unicodedata.normalize("NFD", text)]
    if field == "email":
        return [*written, text.replace("example.com", "EXAMPLE.com")]
    wide = "".join(chr(ord(sign) + 0xFEE0) if sign.isascii() and sign.isalnum() else sign for sign in text)
    return [*written, wide, f"\u200b{text}\ufeff", text.replace(" ", "\u00a0 "), f"{text[:3]}\u00ad\ufe0f{text[3:]}"]


@pytest.mark.parametrize("pair", UNIQUE, ids=named)
def test_a_second_one_is_refused_in_its_own_writing(client: httpx.Client, pair: tuple[Builder, str]) -> None:
    resource, field = pair
    text = a_text(field)
    row = resource(client, **{field: text})
    other = resource(client)
    for writing in writings(text, field):
        said = f"{resource.thing} with {field} '{writing.strip()}' already exists"
        body = resource.body(client, **{field: writing})
        for answer in (
            client.post(resource.path, json=body),
            client.post(resource.path, json=body, headers={"Idempotency-Key": unique("key").replace(" ", "-")}),
            client.put(f"{resource.path}/{other['id_key']}", json={field: writing}),
        ):
            assert (answer.status_code, answer.json()["detail"]) == (409, said)
    # To itself a row is no other.
    writing = writings(text, field)[0]
    changed = client.put(f"{resource.path}/{row['id_key']}", json={field: writing})
    assert (changed.status_code, changed.json()[field]) == (200, writing)


@pytest.mark.parametrize("pair", IN_BULK, ids=named)
def test_a_bulk_names_the_row(client: httpx.Client, pair: tuple[Builder, str]) -> None:
    resource, field = pair
    text = a_text(field)
    rows = [resource.body(client), resource.body(client, **{field: text}), resource.body(client)]
    twice = [*rows, resource.body(client, **{field: writings(text, field)[2]})]
    answer = client.post(f"{resource.path}/bulk", json=twice)
    assert (answer.status_code, answer.json()["loc"]) == (409, ["body", 3, field])
    assert client.post(f"{resource.path}/bulk", json=rows).status_code == 201
    answer = client.post(f"{resource.path}/bulk", json=[resource.body(client, **{field: writings(text, field)[0]})])
    assert (answer.status_code, answer.json()["loc"]) == (409, ["body", 0, field])


@pytest.mark.parametrize("pair", FILTERED, ids=named)
def test_it_is_found_in_every_writing(client: httpx.Client, pair: tuple[Builder, str]) -> None:
    resource, field = pair
    text = a_text(field)
    row = resource(client, **{field: text})
    for writing in (text, *writings(text, field)):
        found = client.get(resource.path, params={field: writing})
        assert ([one["id_key"] for one in found.json()], found.headers["X-Total-Count"]) == ([row["id_key"]], "1")
        assert found.json()[0][field] == text, "as it was written"


def test_one_domain_is_one_address_in_both_of_its_writings(client: httpx.Client) -> None:
    local = unique("ada").replace(" ", ".")
    row = a_client(client, email=f"{local}@b\u00fccher.example")
    for domain in ("xn--bcher-kva.example", "XN--BCHER-KVA.Example", "B\u00dcCHER.example", "bu\u0308cher.example"):
        answer = client.post("/clients", json=a_client.body(client, email=f"{local}@{domain}"))
        assert answer.status_code == 409
        assert f"'{local}@{domain}'" in answer.json()["detail"]
    for domain in ("xn--bcher-kva.example", "b\u00fccher\u3002example", "b\u00fccher.example."):
        assert client.get("/clients", params={"email": f"{local}@{domain}"}).json() == [row]
    other = a_client(client)["id_key"]
    assert client.put(f"/clients/{other}", json={"email": f"{local}@xn--bcher-kva.example"}).status_code == 409


def test_different_things_stay_different(client: httpx.Client) -> None:
    mark = unique("")
    for name in (
        "\U0001f469\u200d\U0001f52c",
        "\U0001f469\U0001f52c",
        "I",
        "\u0131",
        "Resume",
        "R\u00e9sum\u00e9",
        "m 2",
        "m2",
    ):
        assert client.post("/categories", json={"name": f"{name}{mark}"}).status_code == 201


@pytest.mark.parametrize("writing", ["bill-2031-{}", "\uff22ILL-2031-{}", "Credit-2031-{}", "BILL\u200b-2031-{}"])
def test_the_numbers_of_the_server_are_its_own_in_every_writing(client: httpx.Client, writing: str) -> None:
    number = writing.format("000001")
    refusal = client.post("/bills", json=a_bill.body(client, bill_number=number))
    assert refusal.status_code == 422
    assert refusal.json()["detail"][0]["loc"] == ["body", "bill_number"]


def test_what_is_written_past_the_shop_is_found_and_unique(client: httpx.Client, database_url: str) -> None:
    category, sku, name = a_category(client)["id_key"], unique("\u0427\u0410\u0419"), unique("\u0427\u0410\u0419")
    execute(database_url, "INSERT INTO categories (name) VALUES (%s)", name)
    insert = "INSERT INTO products (name, price, stock, category_id, sku) VALUES ('x', 1, 0, %s, %s)"
    execute(database_url, insert, category, sku)
    assert [row["name"] for row in client.get("/categories", params={"name": name.lower()}).json()] == [name]
    assert [row["sku"] for row in client.get("/products", params={"sku": sku.lower()}).json()] == [sku]
    for resource, body in ((a_category, {"name": name.lower()}), (a_product, {"sku": sku.lower()})):
        assert client.post(resource.path, json=resource.body(client, **body)).status_code == 409
    execute(database_url, "UPDATE products SET sku = %s WHERE sku = %s", f"{sku}-2", sku)
    assert [row["sku"] for row in client.get("/products", params={"sku": f"{sku}-2".lower()}).json()] == [f"{sku}-2"]


def test_the_longest_texts_have_keys(client: httpx.Client) -> None:
    """Some signs stand for eighteen."""
    mark = unique("")
    cases: list[tuple[Builder, str, int]] = [(a_product, "sku", 64), (a_category, "name", 100), (a_client, "name", 100)]
    for resource, field, longest in cases:
        text = f"{mark}{''.join(chr(0xFDFA + n % 2) for n in range(longest))}"[:longest].strip()
        row: dict[str, Any] = resource(client, **{field: text})
        assert client.get(resource.path, params={field: text}).json() == [row]
