"""Databases in which background processes of a test work."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.embedded.servers import ServerUrls
from tests.jobs.processes import Background, background
from tests.race.databases import new_database


@pytest.fixture
def work(servers: ServerUrls, tmp_path: Path) -> Iterator[Background]:
    """A database of the test's own, without a process yet. A process counts as dead after three seconds."""
    with background(new_database(servers.database_url), tmp_path, DEAD_AFTER="3", DRAIN_SECONDS="1") as one:
        yield one
