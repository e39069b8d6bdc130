"""The search for clients and for orders: words of any script, in every place where they are looked for, page by page."""

from typing import Any

import httpx
import pytest

from tests.builders import Row, a_bill, a_client, a_product, an_order, an_order_detail, unique

pytestmark = pytest.mark.integration


def found(client: httpx.Client, path: str, q: str, **more: Any) -> list[int]:
    """The keys of all pages of the search, which all tell the same total, also by key and sorted."""
    pages: list[int] = []
    for skip in range(0, 100, 2):
        answer = client.get(path, params={"q": q, "skip": skip, "limit": 2, **more})
        assert answer.status_code == 200, answer.text
        pages += [row["id_key"] for row in answer.json()]
        if len(answer.json()) < 2:
            assert answer.headers["X-Total-Count"] == str(len(pages))
            break
    behind = [row["id_key"] for row in client.get(path, params={"q": q, "after": 0, **more}).json()]
    sorted_by_key = [row["id_key"] for row in client.get(path, params={"q": q, "sort": "-id_key", **more}).json()]
    assert pages == behind == sorted_by_key[::-1]
    return pages


def word() -> str:
    """A word that stands nowhere yet."""
    return "w" + unique("").strip().replace("-", "").replace(" ", "").lower()


class TestClients:
    def test_every_word_is_in_name_email_or_telephone(self, client: httpx.Client) -> None:
        name, other = word(), word()
        ada = a_client(
            client, name=f"Ada-{name}", lastname="Løvelace", email=f"{name}.ada@mail.example", telephone="+34911222333"
        )
        bea = a_client(client, name="Bea", lastname=name.upper(), email=f"{other}@mail.example", telephone=None)
        keys = [ada["id_key"], bea["id_key"]]
        assert found(client, "/clients", name) == keys
        assert found(client, "/clients", f"{name} LOVELACE") == keys[:1]
        assert found(client, "/clients", f"bea {name}") == keys[1:]
        assert found(client, "/clients", f"{name}.ada@mail.example") == keys[:1]
        assert found(client, "/clients", f"{name} 34911222333") == keys[:1]
        assert found(client, "/clients", f"{name} nobody") == []
        assert found(client, "/clients", name, lastname=name) == keys[1:]

    def test_the_end_of_a_telephone_number(self, client: httpx.Client) -> None:
        digits = str(10**9 + a_client(client)["id_key"])[1:]
        key = a_client(client, telephone=f"+34{digits}")["id_key"]
        for text in (digits, f"+34 {digits[:3]} {digits[3:]}", f"({digits[:3]}) {digits[3:]}", f"34-{digits}"):
            assert key in found(client, "/clients", text), text
        assert key not in found(client, "/clients", digits[:-1])

    @pytest.mark.parametrize(
        ("name", "asked"),
        [
            ("Ελένη", "ελενη"),
            ("Мария", "МАРИЯ"),
            ("محمد", "محمد"),
            ("王小明", "小明"),
            ("José", "jose"),
            ("Strauß", "STRAUSS"),
        ],
    )
    def test_any_script(self, client: httpx.Client, name: str, asked: str) -> None:
        mark = word()
        key = a_client(client, name=name, lastname=mark)["id_key"]
        assert found(client, "/clients", f"{asked} {mark}") == [key]


class TestOrders:
    @pytest.fixture
    def order(self, client: httpx.Client) -> Row:
        name = word()
        self.buyer = a_client(client, name=name, lastname="Søren", email=f"{name}@mail.example")
        self.bill = a_bill(client, client_id=self.buyer["id_key"])
        made = an_order(client, client_id=self.buyer["id_key"], bill_id=self.bill["id_key"])
        self.product = a_product(client, name=f"Лампа {word()}")
        an_order_detail(client, order_id=made["id_key"], product_id=self.product["id_key"])
        return made

    def test_every_word_is_in_a_number_the_client_or_a_product(self, client: httpx.Client, order: Row) -> None:
        key, name = order["id_key"], self.buyer["name"]
        second = an_order(client, client_id=self.buyer["id_key"])["id_key"]
        assert found(client, "/orders", name) == [key, second]
        assert found(client, "/orders", f"{name} soren", status="1", client_id=self.buyer["id_key"]) == [key, second]
        thing = self.product["name"].split()[1]
        for text in (
            self.bill["bill_number"],
            self.bill["bill_number"].lower(),
            f"{name.upper()} лампа",
            thing,
            f"{thing} {name}@mail.example",
            f"{key} {name}",
        ):
            assert found(client, "/orders", text) == [key], text
        assert key in found(client, "/orders", str(key))
        assert found(client, "/orders", f"{thing} {word()}") == []
        assert found(client, f"/clients/{self.buyer['id_key']}/orders", f"{thing} {name}") == [key]
        assert found(client, "/orders", name, status="4") == []

    def test_what_changes_is_found_at_once(self, client: httpx.Client, order: Row) -> None:
        key, name = order["id_key"], word()
        assert client.patch(f"/products/{self.product['id_key']}", json={"name": name}).status_code == 200
        assert found(client, "/orders", name) == [key]


@pytest.mark.parametrize("path", ["/clients", "/orders", "/products"])
@pytest.mark.parametrize("q", ["!", "…", "🙂", "🙂 🙂", "-- &", "%", "_", "☎"])
def test_signs_alone_find_nothing_on_any_page(client: httpx.Client, path: str, q: str) -> None:
    for paging in (
        {"limit": 1},
        {"limit": 1000},
        {"skip": 5},
        {"after": 0},
        {"after": 7, "limit": 1},
        {"sort": "-id_key"},
    ):
        answer = client.get(path, params={"q": q, **paging})
        assert (answer.json(), answer.headers["X-Total-Count"]) == ([], "0"), paging
