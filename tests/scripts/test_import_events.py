"""What an import of a CSV file tells: an event for each of a few rows, and one for all of many."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infrastructure.embedded.servers import ServerUrls
from scripts.csv_session import EXIT_REFUSED
from scripts.database import EXIT_FINE
from services.event_writing import MOST_EVENTS
from tests.race.databases import execute, new_database, rows_of
from tests.scripts.csv_shop import imported, named_by_the_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def database(servers: ServerUrls) -> Iterator[str]:
    """An empty shop with a category."""
    url = new_database(servers.database_url)
    execute(url, "INSERT INTO categories (name) VALUES ('Tools')")
    with named_by_the_settings(url):
        yield url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def told(database: str) -> list[Any]:
    """Type, actor, key and data of the events since the last call of this."""
    rows = rows_of(database, "SELECT type, actor, resource_id, data::text FROM events ORDER BY position")
    execute(database, "TRUNCATE events")
    return [(*row[:-1], json.loads(row[-1])) for row in rows]


def test_a_few_rows(database: str, file: Path) -> None:
    file.write_text("sku,name,price,stock,category_id\nA,Axe,9.99,5,1\nS,Saw,10,,1\n")
    assert imported("products", file) == EXIT_FINE
    axe, saw = told(database)
    assert [event[:3] for event in (axe, saw)] == [("product.created", "system", 1), ("product.created", "system", 2)]
    assert (axe[3]["name"], axe[3]["stock"], saw[3]["price"]) == ("Axe", 5, 10)
    file.write_text("sku,name,price,stock,category_id\nA,Axe,12,5,1\nS,Hand saw,11,,1\nN,New,3,,1\nN,Newer,4,,1\n")
    assert imported("products", file, "--on-duplicate", "update") == EXIT_FINE
    events = told(database)
    ((new,),) = rows_of(database, "SELECT id_key FROM products WHERE sku = 'N'")
    assert sorted((kind, key) for kind, _, key, _ in events) == [
        ("product.created", new),
        ("product.price_changed", 1),
        ("product.price_changed", 2),
        ("product.updated", 2),
    ]
    by_key = {(kind, key): data for kind, _, key, data in events}
    assert by_key["product.created", new]["name"] == "Newer"
    price = by_key["product.price_changed", 1]
    assert (price["name"], price["price"], price["old_price"], price["new_price"]) == ("Axe", 12, 9.99, 12)


def test_a_refused_file_tells_nothing(database: str, file: Path) -> None:
    file.write_text("name\nLamps\nTools\n")
    assert imported("categories", file) == EXIT_REFUSED
    assert told(database) == []


def test_many_rows_are_one_event(database: str, file: Path) -> None:
    names = [f"Category {number}" for number in range(MOST_EVENTS + 1)]
    file.write_text("\n".join(["name", *names, "Tools"]))
    assert imported("categories", file, "--on-duplicate", "skip") == EXIT_FINE
    ((kind, actor, key, data),) = told(database)
    assert (kind, actor, key) == ("catalog.imported", "system", None)
    keys = [row[0] for row in rows_of(database, "SELECT id_key FROM categories WHERE name <> 'Tools' ORDER BY id_key")]
    assert data["resource"] == "categories"
    assert data["created"]["rows"] == len(names)
    assert {key for first, last in data["created"]["keys"] for key in range(first, last + 1)} >= set(keys)
    assert (data["updated"]["rows"], data["deleted"]["keys"]) == (0, [])
