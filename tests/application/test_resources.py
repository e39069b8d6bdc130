"""What a worker does by itself while it serves."""

import time
import uuid
from pathlib import Path

import pytest

from application import resources as lifecycle
from tests.race.databases import execute, rows_of
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

WITHIN_SECONDS = 60


def test_kept_answers_are_forgotten_after_a_day(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "PURGE_SECONDS", 0.05)
    run = uuid.uuid4().hex
    execute(
        database_url,
        "INSERT INTO idempotency_keys (key, fingerprint, status, headers, body, created_at)"
        f" SELECT '{run} ' || hours, '', 201, '{{}}', '', now() - make_interval(hours => hours)"
        " FROM unnest(ARRAY[1, 23, 25, 100]) AS hours",
    )
    ours = f"SELECT key FROM idempotency_keys WHERE key LIKE '{run}%' ORDER BY created_at DESC"
    with shop_in_thread(environment_of(database_url, None, tmp_path)):
        deadline = time.monotonic() + WITHIN_SECONDS
        while len(kept := rows_of(database_url, ours)) > 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        assert rows_of(database_url, ours) == kept == [(f"{run} 1",), (f"{run} 23",)]
