"""What the launcher does before it forks workers."""

import gc
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from uvicorn import Config

from infrastructure.server.worker import load

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave the collector of this process as it was."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    gc.enable()


def test_workers_inherit_a_collector_that_works_and_spares_what_was_imported() -> None:
    frozen = gc.get_freeze_count()
    load(Config(Starlette(), log_config=None))
    assert gc.isenabled()
    assert gc.get_freeze_count() > frozen
    assert gc.get_threshold()[0] > 10_000
