"""The Locust scenario, run as people run it; Locust patches the process it is in, so always in its own."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.small_server import Answer, Request, forward, serving

ROOT = Path(__file__).resolve().parents[1]


# What `python load_test.py` turns into; starting there loads everything once instead of twice.
LOCUST = [sys.executable, "-m", "locust", "-f", "load_test.py"]

# Every import of Locust takes more than a second, so one process tells all that needs no run.
TELL = """
import argparse, json, load_test
from benchmarks.visitor import mix

def refused(text):
    try:
        load_test.percentage(text)
    except (argparse.ArgumentTypeError, ValueError):
        return True
    return False

print(json.dumps({
    "mixes": [[writes, {step.__name__: share for step, share in mix(writes).items()}] for writes in (10, 0, 100)],
    "weights": [load_test.Visitor.weight, load_test.Buyer.weight],
    "usual_writes": load_test.USUAL_WRITES,
    "refused": [text for text in ("-1", "101", "many", "0", "2.5", "100") if refused(text)],
}))
"""


def run_load_test(host: str, *options: str, until: threading.Event | None = None) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which Ctrl-C brings when `until` is set: sooner than any time that would always be enough."""
    command = [*LOCUST, "--headless", "--host", host, "--only-summary", *options]
    # In a session of its own, as in a terminal of its own: its Ctrl-C reaches all processes in there.
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            if until is not None and until.wait(30):
                os.killpg(process.pid, signal.SIGINT)
            printed, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    return subprocess.CompletedProcess(command, process.returncode, printed, errors)


def is_a_visit(request: Request) -> bool:
    """Whether it is none of those that look at the shop before the visitors come, or at its counters."""
    return request.target != "/metrics" and not request.target.endswith(("limit=100", "limit=1"))


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What a process says that imports the load test."""
    finished = subprocess.run([sys.executable, "-c", TELL], cwd=ROOT, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(finished.stdout)
    return told


@pytest.mark.unit
class TestOptions:
    @pytest.mark.parametrize(
        ("writes", "expected"),
        [
            (
                10,
                {
                    "list_products": 40,
                    "view_product": 25,
                    "list_categories": 15,
                    "list_clients": 10,
                    "create_product": 5,
                },
            ),
            (0, {"list_products": 44.4, "view_product": 27.8, "list_categories": 16.7, "create_product": 0}),
            (100, {"list_products": 0, "list_clients": 0, "create_product": 50, "create_client": 50}),
        ],
    )
    def test_the_mix_is_the_documented_one(
        self, told: dict[str, Any], writes: float, expected: dict[str, float]
    ) -> None:
        shares = {step: round(share, 1) for step, share in dict(told["mixes"])[writes].items()}
        assert expected.items() <= shares.items()
        assert sum(shares.values()) == pytest.approx(100, abs=0.5)

    def test_one_of_ten_users_is_a_buyer_and_one_of_ten_visits_writes(self, told: dict[str, Any]) -> None:
        assert told["weights"] == [9, 1]
        assert told["usual_writes"] == 10.0

    def test_a_share_is_zero_to_a_hundred_percent(self, told: dict[str, Any]) -> None:
        assert told["refused"] == ["-1", "101", "many"]

    def test_a_share_that_is_none_is_a_usage_error(self) -> None:
        finished = run_load_test("http://127.0.0.1:1", "--writes", "101")
        assert finished.returncode == 2
        assert "--writes" in finished.stderr


@pytest.mark.integration
@pytest.mark.slow
def test_a_short_run_is_clean_and_summed_up(live_server: str) -> None:
    users = ["--users", "30", "--spawn-rate", "30", "--run-time", "6s"]
    finished = run_load_test(live_server, *users, "--max-p95", "30000")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    summary = re.search(r"Requests: ([\d,]+) \([\d.]+ per second\), 0 failed", finished.stdout)
    assert summary is not None, finished.stdout
    assert int(summary[1].replace(",", "")) >= 30
    assert re.search(r"p50 \d+ ms, p95 \d+ ms, p99 \d+ ms", finished.stdout)
    assert re.search(r"Cache hit rate: [\d.]+ % of [\d,]+ reads", finished.stdout)
    assert "Target p95 below 30000 ms: reached\n" in finished.stdout
    orders = re.search(r"Orders: (\d+) placed", finished.stdout)
    assert orders is not None
    assert int(orders[1]) >= 1
    assert finished.stdout.endswith("oversold 0, lost 0, doubled 0\n")


@pytest.mark.integration
@pytest.mark.slow
def test_a_shop_that_places_every_order_twice_is_found(live_server: str) -> None:
    bought, orders = threading.Event(), itertools.count(1)

    def doubling(request: Request) -> Answer:
        if request.target == "/checkout":
            forward(live_server, replace(request, headers={"Content-Type": "application/json"}))
            if next(orders) == 3:
                bought.set()
        return forward(live_server, request)

    with serving(doubling) as url:
        finished = run_load_test(url, "--users", "4", "--spawn-rate", "4", "Buyer", until=bought)
    assert finished.returncode == 1
    assert re.search(r", 0 failed\n", finished.stdout)
    assert re.search(r"oversold 0, lost 0, doubled [1-9]\d*\n$", finished.stdout), finished.stdout


@pytest.mark.integration
@pytest.mark.slow
def test_ctrl_c_ends_several_processes_with_a_verdict(live_server: str) -> None:
    process = subprocess.Popen(
        [
            *[sys.executable, "load_test.py", "--headless", "--host", live_server, "--only-summary"],
            *["--users", "20", "--spawn-rate", "20", "--processes", "2"],
        ],
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
    # They say so before the last of them has prepared its catalog.
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert re.search(r"Orders: [1-9]\d* placed", printed), printed
    assert "oversold 0, lost 0, doubled 0\n" in printed


@dataclass
class CountingShop:
    """A shop whose every read is a row; its /metrics, where it has any, tell of more hits and misses at every look."""

    metrics: bool = True
    hits: int = 0
    looks: int = 0
    visited: threading.Event = field(default_factory=threading.Event)

    def __call__(self, request: Request) -> Answer:
        if is_a_visit(request):
            self.visited.set()
        if request.target != "/metrics":
            return Answer(200, b'[{"id_key": 1}]')
        if not self.metrics:
            return Answer(HTTPStatus.NOT_FOUND)
        self.looks += 1
        hits, misses = 1000 + self.hits * self.looks, self.looks
        return Answer(200, b"shop_cache_hits_total %d\nshop_cache_misses_total %d\n" % (hits, misses))

    def run(self, *targets: str) -> subprocess.CompletedProcess[str]:
        """A run with three visitors, which ends when one of them has been there."""
        with serving(self) as url:
            return run_load_test(url, "--users", "3", "--spawn-rate", "3", "Visitor", *targets, until=self.visited)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("hits", "rate", "verdict", "exit_code"),
    [(0, "0.0 % of 1 reads", "MISSED", 1), (9, "90.0 % of 10 reads", "reached", 0)],
)
def test_a_missed_target_shows_in_the_exit_code(hits: int, rate: str, verdict: str, exit_code: int) -> None:
    finished = CountingShop(hits=hits).run("--max-p95", "30000", "--min-hit-rate", "89")
    assert f"Cache hit rate: {rate}\n" in finished.stdout
    assert f"Target p95 below 30000 ms: reached\nTarget cache hit rate above 89 %: {verdict}\n" in finished.stdout
    assert finished.returncode == exit_code


@pytest.mark.unit
def test_an_unknown_hit_rate_is_told_and_misses_its_target() -> None:
    without_target = CountingShop(metrics=False).run()
    with_target = CountingShop(metrics=False).run("--min-hit-rate", "0")
    assert without_target.stderr.count("The cache's hit rate stays unknown") == 1
    assert "Cache hit rate" not in without_target.stdout
    assert (without_target.returncode, with_target.returncode) == (0, 1)


@pytest.mark.unit
def test_the_rate_limit_ends_the_run_and_is_explained_once() -> None:
    requests = 0

    def limited(request: Request) -> Answer:
        nonlocal requests
        requests += 1
        # The first asks whether the shop wants credentials, three look at its rows, and the fifth at its counters.
        return Answer(200, b'[{"id_key": 1}]') if requests <= 5 else Answer(HTTPStatus.TOO_MANY_REQUESTS)

    with serving(limited) as url:
        finished = run_load_test(url, "--users", "5", "--spawn-rate", "5", "--run-time", "30s", "Visitor")
    assert finished.returncode == 1
    assert finished.stderr.count("RATE_LIMIT_EXEMPT=") == 1
    assert "Traceback" not in finished.stderr


@pytest.mark.unit
def test_failures_show_in_the_exit_code() -> None:
    visited, visits = threading.Event(), itertools.count(1)

    def broken(request: Request) -> Answer:
        if not is_a_visit(request):
            return Answer(200, b'[{"id_key": 1}]')
        if next(visits) == 4:
            # One of the three comes again, so has been answered before.
            visited.set()
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR)

    with serving(broken) as url:
        finished = run_load_test(url, "--users", "3", "--spawn-rate", "3", "Visitor", until=visited)
    assert finished.returncode == 1
    assert re.search(r"Requests: ([1-9]\d*) \([\d.]+ per second\), \1 failed", finished.stdout)


@pytest.mark.unit
def test_a_missing_api_ends_the_run_with_one_line() -> None:
    finished = run_load_test("http://127.0.0.1:1", "--users", "1", "--run-time", "30s")
    assert finished.returncode == 1
    assert finished.stderr.count("No shop answers at http://127.0.0.1:1") == 1
    assert "Traceback" not in finished.stderr
