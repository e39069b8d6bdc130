"""Ways to hurt a shop: triggers that are slow or raise errors, sessions that hold locks, servers that end."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg2

from infrastructure.database.migrations import migrate
from infrastructure.embedded.postgres_server import PostgresServer
from infrastructure.embedded.servers import never
from tests.infrastructure.processes import wait_for
from tests.race.databases import close, execute
from tests.race.goods import Goods
from tests.shop import environment_of, shop_in_thread

# A busy machine must not pass for a fault: a test whose fault is one of these sets it.
PATIENT = {"DB_POOL_TIMEOUT": "30", "DB_LOCK_TIMEOUT": "30", "DB_STATEMENT_TIMEOUT": "30"}
# The client is patient, so that it is the shop that gives up.
PATIENCE_SECONDS = 60.0


@contextmanager
def shop_on(database_url: str, folder: Path, redis_url: str | None = None, **settings: str) -> Iterator[httpx.Client]:
    """A client of a shop on this database, without Redis unless one is named."""
    environment = environment_of(database_url, redis_url, folder, **{**PATIENT, **settings})
    with shop_in_thread(environment) as url, httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as http:
        yield http


@contextmanager
def goods_on(database_url: str, folder: Path, redis_url: str | None = None, **settings: str) -> Iterator[Goods]:
    """The same, with a category and a client in it."""
    with shop_on(database_url, folder, redis_url, **settings) as http:
        yield Goods(http)


def require_unavailable(answer: httpx.Response) -> None:
    """503 with a hint when to come back, and nothing about the reason."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["code"] == "service_unavailable"
    assert answer.json()["detail"] == "The database is not available, try again later"


def wait_until_placed(http: httpx.Client, cart: dict[str, Any]) -> None:
    """Return when an order can be placed again; every answer before that must be an orderly 503."""

    def is_placed() -> bool:
        answer = http.post("/checkout", json=cart)
        if answer.status_code != 201:
            require_unavailable(answer)
        return answer.status_code == 201

    wait_for(is_placed, "an order to be placed")


def connections_in_use(http: httpx.Client) -> int:
    return int(http.get("/health_check").json()["checks"]["db_pool"]["checked_out"])


def do_on_insert(database_url: str, table: str, statement: str, *, at_commit: bool = False) -> None:
    """Have the database do `statement` (PL/pgSQL) for every row that is inserted into the table."""
    kind = "CONSTRAINT TRIGGER" if at_commit else "TRIGGER"
    deferred = "DEFERRABLE INITIALLY DEFERRED" if at_commit else ""
    execute(
        database_url,
        f"CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN NEW; END $$;"
        f"CREATE {kind} fault AFTER INSERT ON {table} {deferred} FOR EACH ROW EXECUTE FUNCTION fault()",
    )


def heal(database_url: str) -> None:
    """Take back what `do_on_insert` did."""
    execute(database_url, "DROP FUNCTION fault() CASCADE")


@contextmanager
def locked_row(database_url: str, table: str, id_key: int) -> Iterator[Any]:
    """A foreign session's cursor, in a transaction that holds the row."""
    connection = psycopg2.connect(database_url.replace("+psycopg2", ""))
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {table} WHERE id_key = %s FOR UPDATE", (id_key,))
            yield cursor
    finally:
        close(connection)


class OwnPostgres:
    """A PostgreSQL that a test may stop, kill and start again, with the shop's tables in it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._server = PostgresServer(folder, durable=False)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def socket(self) -> Path:
        return self._server.socket_folder / ".s.PGSQL.5432"

    @property
    def pid(self) -> int:
        pid = self._server.running_pid()
        assert pid is not None
        return pid

    def start(self) -> None:
        self._server.begin(may_end=True, stopping=never)
        self._server.wait_until_ready(never)

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> "OwnPostgres":
        self.start()
        migrate(self.url)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
