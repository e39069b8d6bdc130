"""A real Prometheus reads the shop: its rules, each with examples, and every panel of the dashboards with an answer."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.builders import a_client, a_product
from tests.deploy.observability import FOLDER, RULES, questions
from tests.infrastructure.processes import wait_for
from tests.shop import environment_of, reserved_port, shop_processes

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed"),
]

CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["{target}"]}}]
"""


def promtool(*arguments: str) -> str:
    result = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_rules_are_right_and_do_what_their_examples_say() -> None:
    assert "SUCCESS" in promtool("check", "rules", str(RULES))
    assert "SUCCESS" in promtool("test", "rules", str(FOLDER / "rules" / "shop.test.yaml"))


@contextmanager
def prometheus(shop: str, folder: Path) -> Iterator[Callable[[str], list[dict[str, object]]]]:
    """What a Prometheus that scrapes the shop answers to a query."""
    configuration = folder / "prometheus.yaml"
    configuration.write_text(CONFIGURATION.format(rules=RULES, target=shop.removeprefix("http://")))
    with reserved_port() as port, (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

            def is_ready() -> bool:
                assert process.poll() is None, (folder / "prometheus.log").read_text()
                try:
                    return client.get("/-/ready").status_code == 200
                except httpx.TransportError:
                    return False

            def answer(query: str) -> list[dict[str, object]]:
                response = client.get("/api/v1/query", params={"query": query})
                assert response.status_code == 200, response.text
                return list(response.json()["data"]["result"])

            try:
                wait_for(is_ready, "Prometheus")
                yield answer
            finally:
                process.terminate()
                process.wait(60)


def trade(http: httpx.Client) -> None:
    """Something of everything that panels show: reads, orders, refusals, and requests beyond the limit."""
    lamp, buyer = a_product(http, stock=1)["id_key"], a_client(http)["id_key"]
    line = {"product_id": lamp, "quantity": 1}
    order = {"client_id": buyer, "lines": [line], "payment_type": "card", "delivery_method": 1}
    for path in (f"/products/{lamp}", f"/products/{lamp}", "/elsewhere"):
        http.get(path)
    key = {"Idempotency-Key": f"panels-{lamp}"}
    statuses = [http.post("/checkout", json=order, headers=key).status_code for _ in range(2)]
    assert [*statuses, http.post("/checkout", json=order).status_code] == [201, 201, 400]
    for _ in range(12):
        http.get("/categories", headers={"X-Forwarded-For": "198.51.100.7"})


def test_every_panel_has_an_answer(database_url: str, redis_url: str, tmp_path: Path) -> None:
    settings = {
        "METRICS_OPEN": "true",
        "TRUSTED_PROXIES": "127.0.0.1",
        "RATE_LIMIT_CALLS": "10",
        "BACKGROUND_WORKERS": "1",
    }
    environment = environment_of(database_url, redis_url, tmp_path, **settings)
    with (
        shop_processes(environment) as (shop, _),
        httpx.Client(base_url=shop, timeout=60) as http,
        prometheus(shop, tmp_path) as answer,
    ):
        asked = [question for question in questions() if question.is_of_the_shop]
        assert len(asked) > 30
        silent = asked

        def all_answer() -> bool:
            nonlocal silent
            # The others' panels are asked too: what is wrong in itself is refused.
            for question in set(questions()) - set(asked):
                answer(question.query.replace("$__rate_interval", "20s"))
            trade(http)
            silent = [question for question in silent if not answer(question.query.replace("$__rate_interval", "20s"))]
            return not silent

        try:
            wait_for(all_answer, "an answer to each panel")
        except AssertionError:
            pytest.fail(f"no answer for {silent}")
