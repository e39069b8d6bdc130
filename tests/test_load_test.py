"""The Locust scenario, run as people run it; Locust patches the process it is in, so always in its own."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.scripts.small_server import Answer, Request, forward, serving

ROOT = Path(__file__).resolve().parents[1]


def run_load_test(host: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "load_test.py", "--headless", "--host", host, "--only-summary", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.unit
def test_the_mix_is_the_documented_one() -> None:
    code = "import collections, json, load_test; print(json.dumps(collections.Counter({names})))"
    printed = run_python(code.format(names="task.__name__ for task in load_test.Visitor.tasks"))
    assert json.loads(printed) == {
        "list_products": 40,
        "view_product": 25,
        "list_categories": 15,
        "list_clients": 10,
        "create_product": 5,
        "create_client": 5,
    }
    weights = run_python("import load_test; print(load_test.Visitor.weight, load_test.Buyer.weight)")
    assert weights.split() == ["9", "1"]


@pytest.mark.integration
@pytest.mark.slow
def test_a_short_run_is_clean_and_summed_up(live_server: str) -> None:
    finished = run_load_test(live_server, "--users", "30", "--spawn-rate", "30", "--run-time", "4s")
    assert finished.returncode == 0, finished.stderr
    summary = re.search(r"Requests: ([\d,]+) \([\d.]+ per second\), 0 failed", finished.stdout)
    assert summary is not None, finished.stdout
    assert int(summary[1].replace(",", "")) >= 30
    assert re.search(r"p50 \d+ ms, p95 \d+ ms, p99 \d+ ms", finished.stdout)
    assert re.search(r"Cache hit rate: [\d.]+ % of [\d,]+ reads", finished.stdout)
    orders = re.search(r"Orders: (\d+) placed", finished.stdout)
    assert orders is not None
    assert int(orders[1]) >= 1
    assert finished.stdout.endswith("oversold 0, lost 0, doubled 0\n")


@pytest.mark.integration
@pytest.mark.slow
def test_a_shop_that_places_every_order_twice_is_found(live_server: str) -> None:
    def doubling(request: Request) -> Answer:
        if request.target == "/checkout":
            forward(live_server, replace(request, headers={"Content-Type": "application/json"}))
        return forward(live_server, request)

    with serving(doubling) as url:
        finished = run_load_test(url, "--users", "4", "--spawn-rate", "4", "--run-time", "2s", "Buyer")
    assert finished.returncode == 1
    assert re.search(r", 0 failed\n", finished.stdout)
    assert re.search(r"oversold 0, lost 0, doubled [1-9]\d*\n$", finished.stdout), finished.stdout


@pytest.mark.unit
def test_the_rate_limit_ends_the_run_and_is_explained_once() -> None:
    requests = 0

    def limited(request: Request) -> Answer:
        nonlocal requests
        requests += 1
        # The first three are the look at the shop before the visitors come.
        return Answer(200, b'[{"id_key": 1}]') if requests <= 3 else Answer(HTTPStatus.TOO_MANY_REQUESTS)

    with serving(limited) as url:
        finished = run_load_test(url, "--users", "5", "--spawn-rate", "5", "--run-time", "30s", "Visitor")
    assert finished.returncode == 1
    assert finished.stderr.count("RATE_LIMIT_EXEMPT=") == 1
    assert "Traceback" not in finished.stderr


@pytest.mark.unit
def test_failures_show_in_the_exit_code() -> None:
    def broken(request: Request) -> Answer:
        looks = request.target.endswith("limit=100")
        return Answer(200, b'[{"id_key": 1}]') if looks else Answer(HTTPStatus.INTERNAL_SERVER_ERROR)

    with serving(broken) as url:
        finished = run_load_test(url, "--users", "3", "--spawn-rate", "3", "--run-time", "2s", "Visitor")
    assert finished.returncode == 1
    assert re.search(r"Requests: (\d+) \([\d.]+ per second\), \1 failed", finished.stdout)


@pytest.mark.unit
def test_a_missing_api_ends_the_run_with_one_line() -> None:
    finished = run_load_test("http://127.0.0.1:1", "--users", "1", "--run-time", "30s")
    assert finished.returncode == 1
    assert finished.stderr.count("No shop answers at http://127.0.0.1:1") == 1
    assert "Traceback" not in finished.stderr
