"""Behind a real nginx: prefixes, long links, tags that it makes weak, and a Unix socket."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from config.settings import PROJECT_ROOT
from tests.builders import a_category, a_client
from tests.faults.test_planned_end import Generations
from tests.servers.nginx import needs_nginx, nginx_before
from tests.shop import START_SECONDS, environment_of, shop_in_thread, shop_processes

pytestmark = [pytest.mark.integration, pytest.mark.slow, needs_nginx]

LOCATIONS = """
    location / { proxy_pass http://shop; }
    location /shop/ { proxy_pass http://shop/; proxy_set_header X-Forwarded-Prefix /shop; }
    location /zipped/ {
        proxy_pass http://shop/; gzip on; gzip_types application/json; gzip_min_length 1;
        proxy_set_header Accept-Encoding "";
    }
"""


@pytest.fixture(scope="module")
def behind(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an nginx before a shop that trusts it."""
    folder = tmp_path_factory.mktemp("nginx")
    settings = {"TRUSTED_PROXIES": "127.0.0.1", "CORS_ORIGINS": "https://shop.example.com"}
    environment = environment_of(database_url, redis_url, folder, **settings)
    with (
        shop_in_thread(environment) as shop,
        nginx_before(shop.removeprefix("http://"), folder, LOCATIONS) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client


def test_links_and_locations_lead_back_through_a_prefix(behind: httpx.Client) -> None:
    made = behind.post("/shop/categories", json={"name": f"nginx {time.time_ns()}"})
    a_category(behind)
    assert behind.get(made.headers["Location"]).json() == made.json()
    link = str(behind.get("/shop/categories?limit=1").links["next"]["url"])
    assert link.startswith("/shop/categories?")
    assert behind.get(link).status_code == 200
    assert behind.get("/shop/openapi.json").json()["servers"][0]["url"] == "/shop"


@pytest.mark.parametrize("text", ["\N{GRINNING FACE}" * 200, "\N{GRINNING FACE}" * 320, "é" * 320, "a b" * 100])
@pytest.mark.parametrize("prefix", ["", "/shop"])
def test_no_link_is_too_long_for_it(behind: httpx.Client, text: str, prefix: str) -> None:
    headers = {
        "X-Request-ID": "x" * 128,
        "Origin": "https://shop.example.com",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
    }
    response = behind.get(f"{prefix}/products", params={"q": text, "limit": 1}, headers=headers)
    assert response.status_code == 200
    assert sum(len(name) + len(value) + 4 for name, value in response.headers.raw) < 4000


def test_a_tag_that_it_made_weak_protects_a_change(behind: httpx.Client) -> None:
    path = f"/zipped/clients/{a_client(behind)['id_key']}"
    response = behind.get(path)
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["ETag"].startswith("W/")
    condition = {"If-Match": response.headers["ETag"]}
    assert behind.patch(path, json={"name": "Grace"}, headers=condition).status_code == 200
    assert behind.patch(path, json={"name": "Ada"}, headers=condition).status_code == 412


def test_no_request_is_lost_when_a_worker_is_relieved(database_url: str, redis_url: str, tmp_path: Path) -> None:
    environment = environment_of(database_url, redis_url, tmp_path, LIMIT_MAX_REQUESTS="200", DRAIN_SECONDS="1")
    with (
        shop_processes(environment, workers=1) as (shop, launcher),
        nginx_before(shop.removeprefix("http://"), tmp_path) as url,
    ):
        generations, deadline = Generations(launcher), time.monotonic() + 60

        def ask(number: int) -> set[int]:
            statuses = set()
            with httpx.Client(base_url=url, timeout=30) as client:
                while generations.look() < 4 and time.monotonic() < deadline:
                    statuses.add(client.get("/categories?limit=1").status_code)
                    name = f"relieved {number} {time.time_ns()}"
                    statuses.add(client.post("/categories", json={"name": name}).status_code)
            return statuses

        with ThreadPoolExecutor(4) as clients:
            assert set().union(*clients.map(ask, range(4))) == {200, 201}
        assert generations.look() >= 4


@contextmanager
def shop_on_unix_socket(environment: dict[str, str], path: Path) -> Iterator[None]:
    """A bare uvicorn on a Unix socket."""
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "main:app", "--uds", str(path), "--root-path", "/below"],
        cwd=PROJECT_ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not path.is_socket():
            assert process.poll() is None, "the shop ended at its start"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize("trusted", [True, False])
def test_behind_a_unix_socket_the_client_counts_where_it_is_trusted(
    trusted: bool, database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "shop.sock"
    settings = {"RATE_LIMIT_CALLS": "2", "TRUSTED_PROXIES": "unix" if trusted else ""}
    with (
        shop_on_unix_socket(environment_of(database_url, None, tmp_path, **settings), path),
        nginx_before(f"unix:{path}", tmp_path) as url,
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        # This machine is exempt, and a whole socket is not.
        statuses = {client.get("/categories").status_code for _ in range(4)}
        assert statuses == ({200} if trusted else {200, 429})
        for _ in range(4):
            assert client.get("/health/live").status_code == 200
        assert client.get("/openapi.json").status_code == (200 if trusted else 429)
