"""The Locust scenario, run as people run it; Locust patches the process it is in, so always in its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
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
@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        (10, {"list_products": 40, "view_product": 25, "list_categories": 15, "list_clients": 10, "create_product": 5}),
        (0, {"list_products": 44.4, "view_product": 27.8, "list_categories": 16.7, "create_product": 0}),
        (100, {"list_products": 0, "list_clients": 0, "create_product": 50, "create_client": 50}),
    ],
)
def test_the_mix_is_the_documented_one(writes: float, expected: dict[str, float]) -> None:
    code = f"""
import json, load_test
from benchmarks.visitor import mix
print(json.dumps({{step.__name__: round(share, 1) for step, share in mix({writes}).items()}}))
"""
    shares = json.loads(run_python(code))
    assert expected.items() <= shares.items()
    assert sum(shares.values()) == pytest.approx(100, abs=0.5)


@pytest.mark.unit
def test_one_of_ten_users_is_a_buyer_and_one_of_ten_visits_writes() -> None:
    weights = run_python(
        "import load_test; print(load_test.Visitor.weight, load_test.Buyer.weight, load_test.USUAL_WRITES)"
    )
    assert weights.split() == ["9", "1", "10.0"]


@pytest.mark.integration
@pytest.mark.slow
def test_a_short_run_is_clean_and_summed_up(live_server: str) -> None:
    targets = ["--max-p95", "30000", "--min-hit-rate", "0"]
    finished = run_load_test(live_server, "--users", "30", "--spawn-rate", "30", "--run-time", "4s", *targets)
    assert finished.returncode == 0, finished.stderr
    summary = re.search(r"Requests: ([\d,]+) \([\d.]+ per second\), 0 failed", finished.stdout)
    assert summary is not None, finished.stdout
    assert int(summary[1].replace(",", "")) >= 30
    assert re.search(r"p50 \d+ ms, p95 \d+ ms, p99 \d+ ms", finished.stdout)
    assert re.search(r"Cache hit rate: [\d.]+ % of [\d,]+ reads", finished.stdout)
    assert "Target p95 below 30000 ms: reached\nTarget cache hit rate above 0 %: reached\n" in finished.stdout
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


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--processes", "2"]], ids=["one process", "several"])
def test_ctrl_c_ends_with_a_verdict(live_server: str, options: list[str]) -> None:
    users = ["--users", "20", "--spawn-rate", "20"]
    # In a session of its own, as in a terminal of its own: its Ctrl-C reaches all processes in there.
    process = subprocess.Popen(
        [sys.executable, "load_test.py", "--headless", "--host", live_server, "--only-summary", *users, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "users spawned" in line or "Spawning is complete" in line:
            break
    # Several processes say so before the last of them has prepared its catalog.
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert re.search(r"Orders: [1-9]\d* placed", printed), printed
    assert "oversold 0, lost 0, doubled 0\n" in printed


@dataclass
class CountingShop:
    """A shop whose every read is a row; its /metrics, where it has any, tell of one more miss at every look."""

    metrics: bool = True
    looks: int = 0

    def __call__(self, request: Request) -> Answer:
        if request.target != "/metrics":
            return Answer(200, b'[{"id_key": 1}]')
        if not self.metrics:
            return Answer(HTTPStatus.NOT_FOUND)
        self.looks += 1
        return Answer(200, b"shop_cache_hits_total 1000\nshop_cache_misses_total %d\n" % self.looks)


@pytest.mark.unit
def test_a_missed_target_shows_in_the_exit_code() -> None:
    targets = ["--max-p95", "30000", "--min-hit-rate", "90"]
    with serving(CountingShop()) as url:
        finished = run_load_test(url, "--users", "3", "--spawn-rate", "3", "--run-time", "2s", "Visitor", *targets)
    assert "Cache hit rate: 0.0 % of 1 reads\n" in finished.stdout
    assert "Target p95 below 30000 ms: reached\nTarget cache hit rate above 90 %: MISSED\n" in finished.stdout
    assert finished.returncode == 1


@pytest.mark.unit
def test_an_unknown_hit_rate_is_told_and_misses_its_target() -> None:
    options = ["--users", "3", "--spawn-rate", "3", "--run-time", "2s", "Visitor"]
    with serving(CountingShop(metrics=False)) as url:
        without_target = run_load_test(url, *options)
        with_target = run_load_test(url, *options, "--min-hit-rate", "0")
    assert without_target.stderr.count("The cache's hit rate stays unknown") == 1
    assert "Cache hit rate" not in without_target.stdout
    assert (without_target.returncode, with_target.returncode) == (0, 1)


@pytest.mark.unit
@pytest.mark.parametrize("share", ["-1", "101", "many"])
def test_a_share_is_zero_to_a_hundred_percent(share: str) -> None:
    finished = run_load_test("http://127.0.0.1:1", "--writes", share)
    assert finished.returncode == 2
    assert "--writes" in finished.stderr


@pytest.mark.unit
def test_the_rate_limit_ends_the_run_and_is_explained_once() -> None:
    requests = 0

    def limited(request: Request) -> Answer:
        nonlocal requests
        requests += 1
        # The first three are the look at the shop before the visitors come, the fourth is that at its counters.
        return Answer(200, b'[{"id_key": 1}]') if requests <= 4 else Answer(HTTPStatus.TOO_MANY_REQUESTS)

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
