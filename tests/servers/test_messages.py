"""A server that speaks another language: why it refuses a connection is found out by the code, not by the words."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url

from infrastructure.database.migrations import migrate
from infrastructure.database.refusal import is_by_server, refusal_code
from infrastructure.server.production_checks import DatabaseAway, wait_for_database
from tests.faults.faulty import shop_on
from tests.faults.test_few_connections import statuses
from tests.race.databases import execute
from tests.race.goods import Goods
from tests.servers.debian_postgres import debian_postgres

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_CATALOG = Path("/usr/share/locale/de/LC_MESSAGES")


@pytest.fixture(scope="module")
def german() -> Iterator[str]:
    if not list(_CATALOG.glob("postgres-*.mo")):
        pytest.skip("PostgreSQL's messages in German are not installed: apt-get install postgresql")
    with debian_postgres(("de_DE.UTF-8",), lc_messages="de_DE.UTF-8") as url:
        migrate(url)
        yield url


@pytest.fixture
def login(german: str) -> Iterator[Callable[[str], str]]:
    """Makes a role with such options, and gives the URL for it."""

    def made(options: str) -> str:
        execute(german, f"CREATE ROLE ann {options}; GRANT ALL ON ALL TABLES IN SCHEMA public TO ann")
        execute(german, "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ann")
        return make_url(german).set(username="ann").render_as_string(hide_password=False)

    yield made
    execute(german, "DROP OWNED BY ann; DROP ROLE ann")


def refusal(url: str) -> psycopg2.OperationalError:
    with pytest.raises(psycopg2.OperationalError) as raised:
        psycopg2.connect(url.replace("+psycopg2", ""))
    assert is_by_server(raised.value)
    return raised.value


def test_the_code_tells_what_the_words_do_not(german: str, login: Callable[[str], str]) -> None:
    assert "zu viele Verbindungen" in str(refusal(full := login("LOGIN CONNECTION LIMIT 0")))
    assert refusal_code(full) == "53300"
    execute(german, "ALTER ROLE ann NOLOGIN")
    assert refusal_code(full) == "28000"
    nowhere = make_url(german).set(database="nowhere").render_as_string(hide_password=False)
    refusal(nowhere)
    assert refusal_code(nowhere) == "3D000"
    # Whoever is let in was refused for want of a place.
    assert refusal_code(german) == "53300"


@pytest.mark.parametrize("number", [2, 5])
def test_requests_wait_for_the_connections_that_are_there(
    login: Callable[[str], str], number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with shop_on(login(f"LOGIN CONNECTION LIMIT {number}"), tmp_path) as http:
        found = statuses(http, Goods(http))
    assert found == {"read": {200}, "list": {200}, "order": {201}, "change": {200}, "bulk": {201}, "ready": {200}}
    said = [line.getMessage() for line in caplog.records if line.name == "shop.database"]
    assert sum("gives no more connections" in line for line in said) == 1
    assert not [line for line in said if "is away" in line or "did not serve" in line]


def test_a_start_does_not_wait_for_what_no_waiting_changes(german: str, login: Callable[[str], str]) -> None:
    for url in (login("NOLOGIN"), make_url(german).set(database="nowhere").render_as_string(hide_password=False)):
        with pytest.raises(DatabaseAway, match="refuses the connection"):
            wait_for_database(url, 60, lambda: False)
