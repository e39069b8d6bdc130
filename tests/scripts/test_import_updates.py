"""What `import_csv --on-duplicate update` does to a running shop: all that a `PATCH` of each row would do, and no more."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from config.settings import get_settings
from infrastructure.embedded.servers import ServerUrls
from scripts.database import EXIT_FINE
from tests.race.databases import breaches, execute, new_database, rows_of
from tests.scripts.csv_shop import exported, imported, named_by_the_settings, stored
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

HEADER = "sku,name,price,stock,category,description,active,reorder_level\n"
UPDATE = ("--on-duplicate", "update")


@pytest.fixture
def database(servers: ServerUrls, redis_url: str) -> Iterator[str]:
    """A shop with two categories, whose writes are audited."""
    url = new_database(servers.database_url)
    execute(url, "INSERT INTO categories (name) VALUES ('Tools'), ('Toys')")
    with named_by_the_settings(url, redis_url), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTH", "on")
        get_settings.cache_clear()
        yield url
    get_settings.cache_clear()


def everything(url: str) -> dict[str, Any]:
    """All rows that an import could touch."""
    tables = ("products", "clients", "categories", "stock_movements", "price_changes", "events", "audit_entries")
    return {table: rows_of(url, f"SELECT * FROM {table} ORDER BY 1") for table in tables}


def test_a_change_is_seen_everywhere(database: str, redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"{HEADER}A,Axe,9.99,5,Tools,sharp,true,2\nB,Saw,20.00,3,Tools,,true,\n")
    environment = environment_of(database, redis_url, tmp_path)
    with shop_in_thread(environment) as shop, httpx.Client(base_url=shop) as http:
        assert imported("products", path) == EXIT_FINE
        (axe, saw) = http.get("/products").json()
        before = {row["id_key"]: http.get(f"/products/{row['id_key']}") for row in (axe, saw)}
        execute(database, "TRUNCATE events, audit_entries")
        path.write_text(f"{HEADER}a,Big axe,12.50,1,Toys,,false,\nB,Saw,20.00,3,Tools,,,\n")
        assert imported("products", path, *UPDATE) == EXIT_FINE
        after = {key: http.get(f"/products/{key}") for key in before}
        listed = {row["id_key"]: row for row in http.get("/products").json()}

        changed = after[axe["id_key"]].json()
        assert (changed["name"], changed["price"], changed["stock"], changed["active"]) == ("Big axe", 12.5, 1, False)
        # An empty cell leaves what is there.
        assert (changed["description"], changed["reorder_level"], changed["category_id"]) == ("sharp", 2, 2)
        assert changed["updated_at"] > axe["updated_at"]
        assert after[axe["id_key"]].headers["etag"] != before[axe["id_key"]].headers["etag"]
        assert listed[axe["id_key"]] == changed
        assert after[saw["id_key"]].json() == before[saw["id_key"]].json()
        assert after[saw["id_key"]].headers["etag"] == before[saw["id_key"]].headers["etag"]
        history = http.get(f"/products/{axe['id_key']}/price_history").json()
        assert sorted(one["price"] for one in history) == [9.99, 12.5]
    ledger = "SELECT product_id, delta, reason FROM stock_movements ORDER BY id_key"
    assert rows_of(database, ledger) == [
        (axe["id_key"], 5, "initial"),
        (saw["id_key"], 3, "initial"),
        (axe["id_key"], -4, "edit"),
    ]
    told = {kind for (kind,) in rows_of(database, "SELECT type FROM events")}
    assert told == {"product.updated", "product.price_changed", "stock.low"}
    ((actor, action, resource_id, changes),) = rows_of(
        database, "SELECT actor, action, resource_id, changes FROM audit_entries"
    )
    assert (actor, action, resource_id) == ("system", "import_csv", axe["id_key"])
    assert changes["stock"] == [5, 1]
    assert [Decimal(str(price)) for price in changes["price"]] == [Decimal("9.99"), Decimal("12.5")]
    assert changes.keys() >= {"name", "price", "stock", "category_id", "active"}
    assert breaches(database) == []


def test_exports_go_back_in_and_change_nothing(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        f'{HEADER}A,"Axe; ""big""",9.99,5,Tools,"two\n lines, =1+1",false,2\n,Saw,20.00,3,Tools,,true,\n'
        ",Saw,20.00,3,Tools,,true,\n,Saw,21.00,0,Toys,\u00e9,true,\n"
    )
    assert imported("products", path) == EXIT_FINE
    path.write_text("name,lastname,email,telephone\nAda,'King,Ada@example.com,+442071234567\n-B,@C,b@example.com,\n")
    assert imported("clients", path) == EXIT_FINE
    before = everything(database)
    for entity, count in {"products": 4, "clients": 2, "categories": 2}.items():
        out = tmp_path / f"{entity}.csv"
        exported(entity, out)
        capsys.readouterr()
        assert imported(entity, out, *UPDATE) == EXIT_FINE
        assert f"0 {entity} added, 0 updated, {count} unchanged, 0 rows were refused." in capsys.readouterr().out
        assert imported(entity, out, "--on-duplicate", "skip") == EXIT_FINE
        assert f"0 {entity} added, {count} there already, 0 rows were refused." in capsys.readouterr().out
    assert everything(database) == before


def test_without_a_sku_all_else_must_be_the_same(database: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("name,price,category\nSaw,20,Tools\nSaw,20,Tools\n")
    assert imported("products", path, *UPDATE) == EXIT_FINE
    path.write_text("name,price,category,stock\nSaw,20,Tools,\nSaw,20,Tools,0\nSaw,20,Tools,0\nSaw,21,Tools,\n")
    assert imported("products", path, *UPDATE) == EXIT_FINE
    # One of three was not there yet, and one costs something else.
    assert stored(database, "price") == [(20,), (20,), (20,), (21,)]
    assert imported("products", path) == EXIT_FINE
    assert len(stored(database, "price")) == 8


def test_an_empty_cell_of_a_field_with_a_default_gets_it(database: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("sku,name,price,category,currency,stock,active\nA,Axe,1,Tools,,,\nB,Saw,2,Tools,EUR,1,true\n")
    for options in ((), UPDATE, ("--on-duplicate", "skip")):
        execute(database, "TRUNCATE products CASCADE")
        assert imported("products", path, *options) == EXIT_FINE
        assert stored(database, "currency, stock, active") == [("EUR", 0, True), ("EUR", 1, True)]
