"""The embedded PostgreSQL by itself; how it is started and ended is in `test_embedded.py`."""

import pytest

from config.settings import DEFAULT_DATABASE_THREADS
from infrastructure.database.async_pool import READ_CONNECTIONS, WRITE_CONNECTIONS
from infrastructure.embedded.postgres_server import connections_for

HEALTH_CHECK = 1
FOR_PEOPLE = 20


@pytest.mark.unit
@pytest.mark.parametrize("cores", [1, 8, 16, 96])
def test_there_are_connections_for_a_worker_on_each_core(cores: int) -> None:
    of_a_worker = DEFAULT_DATABASE_THREADS + WRITE_CONNECTIONS + READ_CONNECTIONS + HEALTH_CHECK
    assert connections_for(cores) >= cores * of_a_worker + FOR_PEOPLE
