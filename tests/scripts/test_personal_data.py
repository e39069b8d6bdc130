"""`python -m scripts.personal_data`: all of a client is exported, and erased but for what the law wants kept."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.settings import get_settings
from infrastructure.database.migrations import maintenance_engine
from infrastructure.embedded.servers import ServerUrls
from scripts.credentials import make_key
from scripts.database import EXIT_CANNOT, EXIT_FINE
from scripts.personal_data import EXIT_REFUSED, main
from tests.race.databases import breaches, execute, new_database, rows_of
from tests.race.goods import Goods
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

# In every field that is about the client, and nowhere else.
MARK = "Zyxw"
PHONE = "+34600987654"
TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def tables_with(url: str, *marks: str) -> set[str]:
    """The tables that have this text in any column of any row."""
    names = [name for (name,) in rows_of(url, TABLES)]
    return {
        name
        for mark in marks
        for name in names
        if rows_of(url, f"SELECT 1 FROM {name} AS r WHERE r::text ILIKE %s LIMIT 1", f"%{mark}%")
    }


@pytest.fixture(scope="module")
def bought(servers: ServerUrls, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """A database in which a customer has registered, bought and written, and somebody else too."""
    url = new_database(servers.database_url)
    engine = maintenance_engine(url)
    key = make_key(engine, "staff")
    engine.dispose()
    environment = environment_of(url, None, tmp_path_factory.mktemp("bought"), AUTH="on", DATA_DIR="/tmp/none")
    with (
        shop_in_thread(environment) as shop_url,
        httpx.Client(base_url=shop_url, headers={"X-API-Key": key}) as http,
        httpx.Client(base_url=shop_url) as own,
    ):
        goods = Goods(http)
        lamp = goods.product(stock=100, price=10)
        other = goods.bought((lamp, 1))
        person = {
            "username": MARK.lower(),
            "email": f"{MARK.lower()}@example.com",
            "password": f"correct horse {uuid.uuid4()}",
            "name": MARK,
            "lastname": f"{MARK}son",
            "telephone": PHONE,
            "full_name": f"{MARK} {MARK}son",
        }
        registered = own.post("/auth/register", json=person)
        assert registered.status_code == 201, registered.text
        client = registered.json()["client_id"]
        execute(url, "UPDATE users SET email_verified_at = now()")
        login = own.post("/auth/login", data={"username": person["username"], "password": person["password"]})
        own.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        address = {"street": f"{MARK} street", "city": MARK, "recipient": MARK, "telephone": PHONE, "client_id": client}
        first, second = (http.post("/addresses", json=address).json()["id_key"] for _ in range(2))
        assert http.patch(f"/addresses/{second}", json={"street": f"{MARK} lane"}).status_code == 200
        assert http.delete(f"/addresses/{second}").status_code == 204
        orders = [
            goods.bought((lamp, 1), client_id=client, address_id=first, delivery_method=3)["id_key"] for _ in range(2)
        ]
        review = own.post("/reviews", json={"product_id": lamp, "rating": 4, "comment": f"{MARK} likes it"})
        assert review.status_code == 201, review.text
        assert http.patch(f"/clients/{client}", json={"name": f"{MARK}a"}).status_code == 200
    # The first order is eleven years old.
    execute(
        url,
        "UPDATE bills SET date = date - 4020 WHERE id_key = (SELECT bill_id FROM orders WHERE id_key = %s)",
        orders[0],
    )
    execute(url, "INSERT INTO outgoing_mails (template, recipient, fields) VALUES ('x', %s, '{}')", person["email"])
    return url, {"client": client, "orders": orders, "other": other["client_id"]}


@pytest.fixture
def shop(
    bought: tuple[str, dict[str, Any]], servers: ServerUrls, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A copy of it, which the settings of this process name."""
    url = new_database(servers.database_url, bought[0])
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("REDIS_ENABLED", "false")
    monkeypatch.setenv("AUTH", "on")
    get_settings.cache_clear()
    yield url, bought[1]
    get_settings.cache_clear()


def test_everything_is_exported_and_nothing_secret(
    shop: tuple[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, made = shop
    assert main(["export", "--client", str(made["client"])]) == EXIT_FINE
    output = capsys.readouterr().out
    found = json.loads(output)
    # Kept replies go by themselves after a day.
    assert tables_with(url, MARK, PHONE) - {"idempotency_keys"} <= set(found)
    assert [order["id_key"] for order in found["orders"]] == made["orders"]
    assert found["order_details"][0]["price"] == 10
    assert "password_hash" not in output
    assert "argon2" not in output
    assert {row["client_id"] for row in found["orders"]} == {made["client"]}
    file = tmp_path / "export.json"
    assert main(["export", "--client", str(made["client"]), "--file", str(file)]) == EXIT_FINE
    assert file.stat().st_mode & 0o077 == 0
    assert json.loads(file.read_text()) == found
    assert main(["export", "--client", str(made["client"]), "--file", str(file)]) == EXIT_CANNOT


def test_only_documents_are_left(shop: tuple[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    url, made = shop
    client, (old, young) = made["client"], made["orders"]
    others = "SELECT name, lastname, email FROM clients WHERE id_key = %s"
    before = rows_of(url, others, made["other"])
    assert main(["erase", "--client", str(client), "--yes"]) == EXIT_FINE
    assert tables_with(url, MARK, PHONE) - {"idempotency_keys"} == {"orders"}
    assert rows_of(url, "SELECT id_key, ship_to ->> 'city' FROM orders WHERE client_id = %s ORDER BY 1", client) == [
        (old, None),
        (young, MARK),
    ]
    assert rows_of(url, others, made["other"]) == before
    assert rows_of(url, "SELECT email, telephone FROM clients WHERE id_key = %s", client) == [
        (f"erased-{client}@erased.invalid", None)
    ]
    assert rows_of(url, "SELECT rating, client_id, comment FROM reviews") == [(4, None, None)]
    assert rows_of(url, "SELECT 1 FROM users WHERE client_id = %s", client) == []
    assert breaches(url) == []
    capsys.readouterr()

    # Once more changes nothing.
    state = "SELECT (SELECT max(updated_at) FROM clients), (SELECT count(*) FROM events), (SELECT max(id_key) FROM audit_entries)"
    seen = rows_of(url, state)
    assert main(["erase", "--client", str(client), "--yes"]) == EXIT_FINE
    assert rows_of(url, state) == seen
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("   ")]
    assert lines
    assert all(line.endswith(": 0") for line in lines)


def test_the_rest_goes_when_the_years_are_over(
    shop: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, made = shop
    monkeypatch.setenv("RETENTION_YEARS", "0")
    execute(url, "UPDATE bills SET date = date - 1")
    get_settings.cache_clear()
    assert main(["erase", "--client", str(made["client"]), "--yes"]) == EXIT_FINE
    assert tables_with(url, MARK, PHONE) - {"idempotency_keys"} == set()
    assert breaches(url) == []


def test_without_consent_nothing_is_erased(shop: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    url, made = shop
    monkeypatch.setattr("builtins.input", lambda question: "")
    assert main(["erase", "--client", str(made["client"])]) == EXIT_REFUSED
    assert "clients" in tables_with(url, MARK)


@pytest.mark.parametrize("command", [["export"], ["erase", "--yes"]])
def test_nobody_of_this_key(
    shop: tuple[str, dict[str, Any]], command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command[0], "--client", "999999", *command[1:]]) == EXIT_REFUSED
    assert "Client with id 999999 not found" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["export"], ["erase", "--client", "x"], ["forget", "--client", "1"]])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
