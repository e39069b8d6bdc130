"""Workers and pools have sizes that PostgreSQL has connections for; workers that somebody has set stay."""

import itertools

import pytest
from sqlalchemy import make_url

from config.settings import Settings
from infrastructure.database.connection_limit import (
    ConnectionLimit,
    connection_limit,
    connections_of_background,
    connections_of_worker,
    fitted,
)
from infrastructure.database.migrations import maintenance_connection
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import execute, new_database, process_number

_numbers = itertools.count()


def sizes(number: int, **given: int) -> tuple[int, int, str | None]:
    settings = Settings(**{"background_workers": 0, **given})
    result, line = fitted(settings, ConnectionLimit(number, "max_connections"))
    return result.uvicorn_workers, result.db_pool_size, line


@pytest.mark.unit
def test_what_fits_stays() -> None:
    assert sizes(36, uvicorn_workers=2) == (2, 6, None)


@pytest.mark.unit
@pytest.mark.parametrize(("number", "threads"), [(35, 5), (27, 3), (20, 2), (10, 1)])
def test_pools_shrink_first(number: int, threads: int) -> None:
    workers, found, line = sizes(number, uvicorn_workers=2)
    assert (workers, found) == (2, threads)
    assert workers * connections_of_worker(found) <= number
    assert line is not None
    assert f"DB_POOL_SIZE={threads}" in line


@pytest.mark.unit
@pytest.mark.parametrize(("number", "threads"), [(46, 6), (45, 5), (20, 1), (14, 1)])
def test_background_processes_have_their_share(number: int, threads: int) -> None:
    found = sizes(number, uvicorn_workers=2, background_workers=1)[1]
    assert found == threads
    needed = 2 * connections_of_worker(found) + connections_of_background(found)
    assert needed <= number


@pytest.mark.unit
def test_then_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(background_workers=0).model_copy(update={"uvicorn_workers": 8})
    settings.model_fields_set.discard("uvicorn_workers")
    result, line = fitted(settings, ConnectionLimit(7, "CONNECTION LIMIT of the role shop"))
    assert (result.uvicorn_workers, result.db_pool_size) == (1, 1)
    assert line is not None
    assert "CONNECTION LIMIT of the role shop" in line


@pytest.mark.unit
def test_workers_that_somebody_has_set_share_what_there_is() -> None:
    assert sizes(20, uvicorn_workers=2, db_pool_size=40)[:2] == (2, 2)
    workers, threads, line = sizes(7, uvicorn_workers=2, db_pool_size=6)
    assert (workers, threads) == (2, 1)
    assert line is not None
    assert "requests will wait for each other; raise the limit to 10, or set UVICORN_WORKERS=1" in line
    line = sizes(3, uvicorn_workers=1)[2]
    assert line is not None
    assert line.endswith("raise the limit to 5")


@pytest.mark.integration
def test_the_lowest_of_the_limits_counts(servers: ServerUrls) -> None:
    url = new_database(servers.database_url)
    with maintenance_connection(url) as connection:
        assert connection_limit(connection).reason == "max_connections"
    role = f"limited_{process_number()}_{next(_numbers)}"
    execute(url, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 9")
    own = make_url(url).set(username=role).render_as_string(hide_password=False)
    try:
        with maintenance_connection(own) as connection:
            limit = connection_limit(connection)
        assert (limit.number, role in limit.reason) == (9, True)
        execute(url, f"ALTER DATABASE {make_url(url).database} CONNECTION LIMIT 5")
        with maintenance_connection(own) as connection:
            assert connection_limit(connection).number == 5
    finally:
        execute(url, f"DROP ROLE {role}")
