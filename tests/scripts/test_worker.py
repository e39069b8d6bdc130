"""`python -m scripts.worker --heartbeat`: a file that is touched as long as the event loop runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.settings import PROJECT_ROOT
from tests.infrastructure.processes import wait_for
from tests.shop import environment_of


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.chaos
def test_the_heartbeat_is_that_of_the_event_loop(database_url: str, redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.worker", "--heartbeat", str(file)],
        cwd=PROJECT_ROOT,
        env={**os.environ, **environment_of(database_url, redis_url, tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(file.exists, "the heartbeat")
        first = file.stat().st_mtime_ns
        wait_for(lambda: file.stat().st_mtime_ns > first, "the next one")
    finally:
        process.terminate()
        assert process.wait(60) == 0
