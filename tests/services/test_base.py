"""New rows: which of them are one statement, what happens where that is refused, and what the cache is told."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from application.assembly import CONTROLLERS
from infrastructure.cache.tags import Invalidation
from infrastructure.embedded.servers import ServerUrls
from models.unique_fields import unique_texts
from services.base import BaseService
from services.product import ProductService
from services.review import ReviewService
from tests.builders import BUILDERS, Builder, a_category, a_client, a_product, unique
from tests.faults.commit_proxy import CommitProxy
from tests.faults.faulty import do_on_insert, heal, locked_row, require_unavailable, shop_on
from tests.infrastructure.processes import wait_for
from tests.race.databases import WAITING, breaches, execute, new_database, rows_of
from tests.valkey import Valkey

SERVICES = {controller.service.resource: controller.service for controller in CONTROLLERS}
IN_STEPS = {"bills", "orders", "order_details", "api_keys", "users", "webhook_endpoints"}


@pytest.fixture(scope="module")
def database(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@pytest.fixture
def http(database: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """A shop that notes by which statement each row came into a table; see `statements`."""
    execute(database, "CREATE TABLE IF NOT EXISTS asked (statement text); TRUNCATE asked")
    with shop_on(database, tmp_path) as http:
        yield http
    assert breaches(database) == []


def statements(database: str, table: str) -> list[str]:
    """How the statements begin that brought rows into the table since `do_on_insert`, and which of them were prepared.

    A timeout that is set in the same message does not count.
    """
    texts = [text.rpartition("; ")[2] for (text,) in rows_of(database, "SELECT statement FROM asked")]
    return ["prepared " * ("$1" in text) + " ".join(text.split()[:6]) for text in texts]


@pytest.mark.integration
@pytest.mark.parametrize("resource", BUILDERS.values(), ids=list(BUILDERS))
def test_a_new_row_is_one_statement_unless_other_rows_are_looked_at(
    database: str, http: httpx.Client, resource: Builder
) -> None:
    name = resource.path.removeprefix("/")
    body = resource.body(http)
    do_on_insert(database, name, "INSERT INTO asked VALUES (current_query())")
    try:
        answers = [http.post(resource.path, json=body), http.post(resource.path, json=body, headers=a_key())]
    finally:
        heal(database)
    in_steps = f"WITH added AS (INSERT INTO {name}"
    first, *second = statements(database, name)
    assert first == (in_steps if name in IN_STEPS else f"prepared {in_steps}")
    assert answers[0].status_code == 201
    # The answer that is kept under a key is kept by several statements; or the row is not unique.
    assert second == ([in_steps] if answers[1].status_code == 201 else [])


def a_key() -> dict[str, str]:
    return {"Idempotency-Key": unique("key").replace(" ", "-")}


@pytest.mark.integration
def test_both_ways_answer_the_same(http: httpx.Client) -> None:
    body = a_product.body(http, sku=None)
    answers = [http.post("/products", json=body), http.post("/products", json=body, headers=a_key())]
    rows = [answer.json() for answer in answers]
    for row, answer in zip(rows, answers, strict=True):
        assert answer.headers["Location"] == f"/products/{row['id_key']}"
        shown = http.get(f"/products/{row['id_key']}")
        assert (shown.content, shown.headers["ETag"]) == (answer.content, answer.headers["ETag"])
    own = ("id_key", "created_at", "updated_at", "rating_average", "review_count")
    assert [{name: row[name] for name in row if name not in own} for row in rows] == [body, body]
    ledgers = [http.get(f"/products/{row['id_key']}/stock_movements").json() for row in rows]
    assert [[(entry["delta"], entry["reason"]) for entry in ledger] for ledger in ledgers] == [[(100, "initial")]] * 2


@pytest.mark.integration
@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("/clients", {"notify": {"sms": False}}),
        ("/clients", {}),
        ("/tax_classes", {"rates": [{"country": "ES", "rate": 0.125}, {"country": "PT", "rate": 100}]}),
        ("/tax_classes", {"rates": []}),
        ("/tax_classes", {}),
    ],
)
def test_documents_are_stored_the_same_in_both_ways(http: httpx.Client, path: str, given: dict[str, Any]) -> None:
    documents = {"notify", "rates"}
    rows = []
    for headers in ({}, a_key()):
        body = {name: value for name, value in BUILDERS[path].body(http).items() if name not in documents}
        answer = http.post(path, json=body | given, headers=headers)
        assert answer.status_code == 201
        assert http.get(answer.headers["Location"]).content == answer.content
        rows.append({name: value for name, value in answer.json().items() if name in documents})
    assert rows[0] == rows[1] != {}


@pytest.mark.integration
def test_whoever_waits_for_a_locked_reference_gives_the_lane_up(database: str, http: httpx.Client) -> None:
    """It waits in a thread; others go on meanwhile."""
    body = a_product.body(http)
    with locked_row(database, "categories", body["category_id"]) as foreign, ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(http.post, "/products", json={**body, "sku": None}) for _ in range(3)]
        while len(rows_of(database, WAITING)) < 2:
            assert not any(answer.done() for answer in waiting)
        a_client(http)
        foreign.connection.rollback()
        answers = [answer.result() for answer in waiting]
    assert [answer.status_code for answer in answers] == [201] * 3


@pytest.mark.integration
def test_a_reference_is_waited_for_until_the_lock_timeout(database: str, tmp_path: Path) -> None:
    with shop_on(database, tmp_path, DB_LOCK_TIMEOUT="0.4") as http:
        body = a_product.body(http)
        with locked_row(database, "categories", body["category_id"]), ThreadPoolExecutor(3) as threads:
            for answer in threads.map(lambda _: http.post("/products", json={**body, "sku": None}), range(3)):
                require_unavailable(answer)


@pytest.mark.integration
@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_lost_connection_is_not_tried_again_and_readers_see_what_came_of_it(
    servers: ServerUrls, tmp_path: Path, cut: Any
) -> None:
    """Nobody knows the new key, so every page that may have the row is read anew."""
    database = new_database(servers.database_url)
    with (
        CommitProxy(database, tmp_path) as proxy,
        Valkey(tmp_path) as valkey,
        shop_on(proxy.url, tmp_path, valkey.url, DB_POOL_SIZE="1") as http,
    ):
        category = a_category(http)["id_key"]
        first = a_product(http, category_id=category)
        wait_for(lambda: http.get("/products").headers["X-Cache-Hit"] == "true", "the list to be cached")
        proxy.cut_at_next(b"\0add_products", cut)
        require_unavailable(http.post("/products", json=a_product.body(http, category_id=category)))
        assert proxy.commits == 1, "the server tried again by itself"
        found = http.get("/products")
        assert (found.headers["X-Cache-Hit"], found.headers["X-Total-Count"]) == ("false", str(1 + (cut == "after")))
        assert found.json()[0] == first
    assert breaches(database) == []


# -- what a service says of itself -----------------------------------------------------------------


class NoteService(BaseService[Any]):
    """A new entity, which states what every entity states."""

    thing, resource = "Note", "notes"
    repository_type = ReviewService.repository_type
    references = {"product_id": ProductService}


class CheckedNoteService(NoteService):
    def before_create(self, values: dict[str, Any]) -> None:
        """A rule that looks at other rows would stand here."""


class CountedNoteService(NoteService):
    def create(self, values: dict[str, Any]) -> Any:
        return super().create(values)


@pytest.mark.unit
def test_a_new_entity_is_one_statement_without_a_line_of_its_own() -> None:
    work = NoteService.single_statement({"rating": 5, "product_id": 1})
    assert work is not None
    assert work.statement.name.startswith("add_reviews_")
    assert (work.parameters["rating"], work.parameters["comment"]) == (5, None)
    assert not work.invalidation(None), "nothing of it is cached"


@pytest.mark.unit
@pytest.mark.parametrize("service", [CheckedNoteService, CountedNoteService])
def test_rules_that_look_at_other_rows_are_never_passed_over(service: type[BaseService[Any]]) -> None:
    assert service.single_statement({"rating": 5, "product_id": 1}) is None


@pytest.mark.unit
def test_a_row_of_which_nobody_knows_the_key_may_be_on_any_page() -> None:
    work = ProductService.single_statement({"name": "x", "price": 1, "category_id": 1, "sku": None})
    assert work is not None
    known, unknown = Invalidation(), Invalidation()
    known.row_added("products", 7, "731")
    unknown.row_added("products", None)
    names = ProductService.repository_type.model.__table__.c.keys()
    row = (*(7 if name == "id_key" else None for name in names), "731")
    assert work.invalidation(work.result(row)) == known
    assert work.invalidation(None) == unknown
    assert unknown.added == {"products": (0, None)}


@pytest.mark.unit
@pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))
def test_the_database_itself_holds_what_a_service_refers_to(service: type[BaseService[Any]]) -> None:
    """A row that is one statement is checked by nothing else."""
    columns = service.repository_type.model.__table__.c
    for field, referenced in service.references.items():
        keys = {key.column for key in columns[field].foreign_keys}
        assert keys == {referenced.repository_type.model.__table__.c.id_key}
    unique = {unique.field for unique in unique_texts(service.repository_type.model)}
    assert unique == service.unique.keys() == service.repository_type.forms.keys()
