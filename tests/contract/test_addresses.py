"""Addresses: where they are, and which of a client's is the default."""

from typing import Any

import httpx
import pytest

from tests.builders import Row, a_client, an_address
from tests.contract.answers import assert_malformed, assert_problem

pytestmark = pytest.mark.integration

NO_TEXTS: tuple[Any, ...] = ("\0", "a\0b", 7, True, [])
NO_COUNTRIES: tuple[Any, ...] = (
    *("UK", "XX", "EU", "XK", "ESP", "E", "", " ", "\0", "E\0", "es-ES", "\U0001f1ea\U0001f1f8", "Spain", "ES" * 10**4),
    # In upper case they are SS and FI.
    *("\u00df", "\ufb01"),
    *(None, 34, True, ["ES"], {}),
)


def defaults(client: httpx.Client, owner: Row) -> list[int]:
    listed = client.get(f"/clients/{owner['id_key']}/addresses").json()
    return [row["id_key"] for row in listed if row["is_default"]]


@pytest.mark.parametrize("country", ["es", "Es", " eS ", "ES"])
def test_a_country_is_its_code_in_upper_case(client: httpx.Client, country: str) -> None:
    address = an_address(client, country=country)
    assert address["country"] == "ES"
    url = f"/addresses/{address['id_key']}"
    assert client.patch(url, json={"country": "ie"}).json()["country"] == "IE"
    assert client.get("/addresses", params={"client_id": address["client_id"], "country": "fr,ie"}).json()
    assert not client.get("/addresses", params={"client_id": address["client_id"], "country": "FR"}).json()


@pytest.mark.parametrize("country", NO_COUNTRIES, ids=lambda country: repr(country)[:12])
def test_nothing_else_is_a_country(client: httpx.Client, country: Any) -> None:
    address = an_address(client)
    body = an_address.body(client, country=country)
    assert_malformed(client.post("/addresses", json=body), "body", "country")
    assert_malformed(client.patch(f"/addresses/{address['id_key']}", json={"country": country}), "body", "country")


def test_without_a_country_it_is_the_shops(client: httpx.Client) -> None:
    owner = a_client(client)["id_key"]
    address = client.post("/addresses", json={"street": "Calle Mayor", "city": "Madrid", "client_id": owner}).json()
    assert (address["country"], address["is_default"], address["recipient"]) == ("ES", False, None)
    # What a change leaves out stays.
    client.patch(f"/addresses/{address['id_key']}", json={"country": "PT"})
    assert client.patch(f"/addresses/{address['id_key']}", json={"city": "Braga"}).json()["country"] == "PT"


@pytest.mark.parametrize(
    ("field", "longest"), [("recipient", 200), ("postcode", 20), ("region", 100), ("telephone", None)]
)
def test_odd_texts(client: httpx.Client, field: str, longest: int | None) -> None:
    for blank in ("", " \t ", "\u200b", None):
        assert an_address(client, **{field: blank})[field] is None
    for refused in (*NO_TEXTS, "x" * ((longest or 21) + 1)):
        assert_malformed(client.post("/addresses", json=an_address.body(client, **{field: refused})), "body", field)
    if longest is not None:
        for text in ("\U0001f3e0" * longest, "'; --", "\u5317\u4eac", "e\u0301"):
            assert an_address(client, **{field: text})[field] == text


class TestDefault:
    def test_the_latest_one_is_the_only_one(self, client: httpx.Client) -> None:
        owner, other = a_client(client), an_address(client, is_default=True)
        first = an_address(client, client_id=owner["id_key"], is_default=True)
        second = an_address(client, client_id=owner["id_key"], is_default=True)
        third = an_address(client, client_id=owner["id_key"])
        assert defaults(client, owner) == [second["id_key"]]
        moved = client.get(f"/addresses/{first['id_key']}").json()
        assert moved["updated_at"] > first["updated_at"]
        for address in (third, first, first):
            answer = client.put(f"/addresses/{address['id_key']}", json={"is_default": True})
            assert (answer.status_code, answer.json()["is_default"]) == (200, True)
            assert defaults(client, owner) == [address["id_key"]]
        assert client.get(f"/addresses/{other['id_key']}").json() == other

    def test_a_refused_change_leaves_it_where_it_was(self, client: httpx.Client) -> None:
        owner = a_client(client)
        first = an_address(client, client_id=owner["id_key"], is_default=True)
        second = an_address(client, client_id=owner["id_key"])
        url = f"/addresses/{second['id_key']}"
        stale = {"is_default": True, "updated_at": "2001-01-01T00:00:00Z"}
        assert_problem(client.patch(url, json=stale), 409)
        assert_problem(client.patch(url, json={"is_default": True}, headers={"If-Match": '"no"'}), 412)
        assert_problem(client.patch(url, json={"is_default": True, "client_id": a_client(client)["id_key"]}), 409)
        body = an_address.body(client, client_id=2**63 - 1, is_default=True)
        assert_problem(client.post("/addresses", json=body), 404)
        assert_problem(client.patch(f"/addresses/{2**63 - 1}", json={"is_default": True}), 404)
        assert defaults(client, owner) == [first["id_key"]]

    def test_there_may_be_none(self, client: httpx.Client) -> None:
        owner = a_client(client)
        first = an_address(client, client_id=owner["id_key"], is_default=True)
        an_address(client, client_id=owner["id_key"])
        url = f"/addresses/{first['id_key']}"
        assert client.patch(url, json={"is_default": False}).json()["is_default"] is False
        assert defaults(client, owner) == []
        client.patch(url, json={"is_default": True})
        assert client.delete(url).status_code == 204
        assert defaults(client, owner) == []

    def test_a_key_makes_one(self, client: httpx.Client) -> None:
        owner = a_client(client)
        body = an_address.body(client, client_id=owner["id_key"], is_default=True)
        headers = {"Idempotency-Key": f"default-{owner['id_key']}"}
        made = [client.post("/addresses", json=body, headers=headers).json() for _ in range(2)]
        assert made[0] == made[1]
        assert defaults(client, owner) == [made[0]["id_key"]]


def test_an_address_stays_with_its_client(client: httpx.Client) -> None:
    address, other = an_address(client), a_client(client)
    url = f"/addresses/{address['id_key']}"
    for method in ("PUT", "PATCH"):
        assert_problem(client.request(method, url, json={"client_id": other["id_key"]}), 409)
    assert client.patch(url, json={"client_id": address["client_id"]}).json() == address
    assert client.put(url, json=address).json() == address
