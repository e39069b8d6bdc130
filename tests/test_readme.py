"""The calls of the README, sent as they stand there to a fresh shop."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from config.settings import PROJECT_ROOT
from infrastructure.embedded.servers import ServerUrls
from tests.race.databases import new_database
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

# What each of them answers, in their order.
STATUSES = [201, 201, 201, 201, 201, 200, 200, 201, 200, 200, 400, 200, 200]


@pytest.fixture(scope="module")
def shop(servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    url = new_database(servers.database_url)
    with (
        shop_in_thread(environment_of(url, None, tmp_path_factory.mktemp("readme"))) as base,
        httpx.Client(base_url=base, timeout=30) as client,
    ):
        yield client


def calls_below(heading: str) -> list[list[str]]:
    """The words of every curl line of the first block below a heading."""
    commands = shlex.split(block_below(heading).replace("\\\n", " ").replace("$SHOP", ""), comments=True)
    calls: list[list[str]] = []
    for word in commands:
        if word == "curl":
            calls.append([])
        elif calls:
            calls[-1].append(word)
    return calls


def sent(client: httpx.Client, words: list[str]) -> httpx.Response:
    """The answer to the curl command of these words."""
    method, url, headers, data = "GET", "", {}, None
    rest = iter(words)
    for word in rest:
        if word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-d":
            data = next(rest)
        elif word != "-i":
            url = word
    return client.request(method, url, headers=headers, content=data)


def test_the_first_calls_answer_as_the_readme_says(shop: httpx.Client) -> None:
    answers = [sent(shop, words) for words in calls_below("## First calls")]
    assert [answer.status_code for answer in answers] == STATUSES, [answer.text for answer in answers]
    placed, repeated, shown = answers[3:6]
    assert placed.json()["bill"]["total"] == 74.98
    assert repeated.headers["idempotent-replayed"] == "true"
    assert repeated.json() == placed.json()
    assert shown.json()["client"]["name"] == "Ada"
    assert answers[7].json()["total"] == 37.49
    assert [line["amount"] for line in answers[8].json()["lines"]] == [37.49]
    assert [movement["delta"] for movement in answers[9].json()] == [25, -2, 1]
    assert answers[10].json()["code"] == "insufficient_stock"
    assert [product["name"] for product in answers[11].json()] == ["Desk lamp"]


def test_events_are_read_as_the_readme_says(shop: httpx.Client) -> None:
    assert shop.post("/categories", json={"name": "Garden"}).status_code == 201
    *calls, stream = calls_below("## What happens, as it happens")
    for words in calls:
        answer = sent(shop, words)
        assert answer.status_code == 200
        assert answer.headers["x-next-after"].isdigit()
    assert "-N" in stream
    (url,) = (word for word in stream if "/" in word)
    with shop.stream("GET", url) as response:
        assert next(line for line in response.iter_lines() if line.startswith("event: ")) == "event: category.created"


@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs curl and bash")
def test_who_may_do_what_is_as_the_readme_says(servers: ServerUrls, redis_url: str, tmp_path: Path) -> None:
    """A failed command, or a response of 400 and more, ends the script."""
    database_url = new_database(servers.database_url)
    environment = environment_of(database_url, redis_url, tmp_path, AUTH="on", DATA_DIR=str(tmp_path / "data"))
    with shop_in_thread(environment) as url:
        script = block_below("## Who may do what").replace("SHOP=http://127.0.0.1:8000", f"SHOP={url}")
        strict = 'set -eo pipefail; curl() { command curl --silent --show-error --fail-with-body "$@"; }\n'
        finished = subprocess.run(
            ["bash", "-c", strict + script],
            cwd=PROJECT_ROOT,
            env={**os.environ, **environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            input="a lamp for every desk\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "boss is an administrator now." in finished.stdout
    assert '"role":"admin"' in finished.stdout
    assert '"username":"grace"' in finished.stdout
    assert '"action":"create_api_key"' in finished.stdout


def block_below(heading: str) -> str:
    """The first block of commands below a heading."""
    text = (PROJECT_ROOT / "README.md").read_text().partition(heading)[2]
    return text.partition("```bash\n")[2].partition("```")[0]


def test_every_guide_that_is_linked_is_there() -> None:
    for page in [PROJECT_ROOT / "README.md", *(PROJECT_ROOT / "docs").rglob("*.md")]:
        for part in page.read_text().split("](")[1:]:
            target = part.partition(")")[0].partition("#")[0]
            if target and "://" not in target:
                assert (page.parent / Path(target)).exists(), f"{page.name}: {target}"
