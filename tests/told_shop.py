"""A shop of a test's own whose events the test sees as soon as they are committed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.race.databases import execute, rows_of
from tests.shop import environment_of, shop_in_thread

_NAMES = ("type", "resource", "resource_id", "client_id", "actor", "request_id", "trace_parent", "data")


def exactly(text: str) -> Any:
    """The value of JSON, with the digits of its numbers as they stand there."""
    return json.loads(text, parse_float=str)


@dataclass(frozen=True)
class ToldShop:
    """A shop on its own database, and a client of it."""

    http: httpx.Client
    database_url: str

    def events(self) -> list[dict[str, Any]]:
        """The events since the last call of this, in the order of their positions."""
        columns = ", ".join(_NAMES[:-1])
        rows = rows_of(self.database_url, f"SELECT {columns}, data::text FROM events ORDER BY position")
        execute(self.database_url, "TRUNCATE events")
        return [dict(zip(_NAMES, (*row[:-1], exactly(row[-1])), strict=True)) for row in rows]

    def types(self) -> list[str]:
        """The types of these events."""
        return [event["type"] for event in self.events()]

    def the_one(self) -> dict[str, Any]:
        """The only event since the last call."""
        (event,) = self.events()
        return event

    def shown(self, path: str) -> Any:
        """What a GET shows."""
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return exactly(answer.text)

    def order(self, order_id: int) -> Any:
        """The order as events have it."""
        return self.shown(f"/orders/{order_id}?expand=order_details,bill")


@contextmanager
def told_shop(database_url: str, folder: Path, **settings: str) -> Iterator[ToldShop]:
    """A shop with AUTH=off in a thread of this process."""
    environment = environment_of(database_url, None, folder, **settings)
    with shop_in_thread(environment) as url, httpx.Client(base_url=url, timeout=60) as http:
        yield ToldShop(http, database_url)
