"""Some thousands of odd requests, none of which may be a 500: a short run of `python -m benchmarks.fuzz`."""

import logging
import random
from pathlib import Path

import httpx
import pytest

from benchmarks.fuzz import fuzz
from benchmarks.fuzzed_requests import FuzzedRequests, operations_of
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import new_database
from tests.shop import environment_of, shop_in_thread

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.parametrize(
    ("requests", "seed"),
    [
        pytest.param(2000, 1, id="fixed"),
        pytest.param(4000, random.SystemRandom().randrange(10**6), id="random", marks=pytest.mark.chaos),
    ],
)
def test_no_request_is_a_500(
    servers: ServerUrls, redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, requests: int, seed: int
) -> None:
    # Rows are deleted at random, so they must be nobody else's.
    environment = environment_of(new_database(servers.database_url), redis_url, tmp_path)
    with caplog.at_level(logging.ERROR), shop_in_thread(environment) as url:
        document = httpx.get(f"{url}/openapi.json").json()
        place = httpx.URL(url)
        findings = fuzz(place.host, place.port or 80, FuzzedRequests(operations_of(document), seed), requests)
    assert not findings.faults, (seed, findings.faults[:5])
    assert not [record.getMessage() for record in caplog.records if record.name.startswith("shop")], seed
    assert {200, 201, 204, 404, 409, 422} <= findings.statuses.keys()
