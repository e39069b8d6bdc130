"""`python -m scripts.smoke`: a healthy deployment passes, and what a proxy gets wrong is named."""

import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from infrastructure.database.migrations import maintenance_engine
from infrastructure.embedded.servers import ServerUrls
from scripts.api_errors import EXIT_CANNOT, EXIT_FINE, EXIT_MISMATCH
from scripts.credentials import make_key
from scripts.smoke import FAILED, PASSED, SKIPPED, Failed, SmokeTest, main
from tests.mail_server import certificate_of
from tests.race.databases import new_database, rows_of
from tests.scripts.small_server import Answer, Request, serving
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def database(servers: ServerUrls) -> str:
    return new_database(servers.database_url)


@pytest.fixture(scope="module")
def shop(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("smoke")
    with shop_in_thread(environment_of(database, None, folder, AUTH="on", API_PREFIX="/api/v1")) as url:
        yield f"{url}/api/v1"


@pytest.fixture
def key(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = maintenance_engine(database)
    monkeypatch.setenv("SHOP_API_KEY", make_key(engine, "smoke"))
    engine.dispose()


def outcomes(output: str) -> dict[str, str]:
    rows = ((line[:20].strip(), line[20:29].strip()) for line in output.splitlines())
    return {check: outcome for check, outcome in rows if outcome in (PASSED, FAILED, SKIPPED)}


def test_a_healthy_shop_passes_and_is_left_as_it_was(
    shop: str, key: None, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rows_of(database, "SELECT * FROM categories")
    assert main(["--base-url", shop]) == EXIT_FINE
    output = capsys.readouterr().out
    assert set(outcomes(output).values()) == {"ok", "skipped"}
    assert outcomes(output)["write and clean-up"] == "ok"
    assert rows_of(database, "SELECT * FROM categories") == before


def test_nothing_is_written_where_that_is_asked_for(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base-url", shop, "--read-only"]) == EXIT_FINE
    assert outcomes(capsys.readouterr().out)["write and clean-up"] == "skipped"


def test_without_credentials_the_write_says_which(
    shop: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "wrong")
    assert main(["--base-url", shop]) == EXIT_MISMATCH
    assert "set SHOP_TOKEN or SHOP_API_KEY (catalog:write), or --read-only" in capsys.readouterr().out


def without_headers(answer: Answer) -> Answer:
    return replace(answer, headers={"Content-Type": "application/json"})


def with_a_page_for_errors(answer: Answer) -> Answer:
    return answer if answer.status < 400 else Answer(answer.status, b"<html>", {"Content-Type": "text/html"})


@contextmanager
def proxied(shop: str, change: Callable[[Answer], Answer]) -> Iterator[str]:
    """The URL of a proxy that changes what the shop answers."""
    site = shop.removesuffix("/api/v1")
    with httpx.Client(base_url=site) as http:

        def answer(request: Request) -> Answer:
            headers = {
                name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection")
            }
            found = http.request(request.method, request.target, content=request.body, headers=headers)
            kept = {
                name.title(): value
                for name, value in found.headers.items()
                if name not in ("content-length", "connection")
            }
            return change(Answer(found.status_code, found.content, kept))

        with serving(answer) as url:
            yield f"{url}/api/v1"


@pytest.mark.parametrize(
    ("change", "check"),
    [(without_headers, "headers"), (without_headers, "not modified"), (with_a_page_for_errors, "errors")],
)
def test_what_a_proxy_breaks_is_named(
    shop: str, change: Callable[[Answer], Answer], check: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with proxied(shop, change) as url:
        assert main(["--base-url", url, "--read-only"]) == EXIT_MISMATCH
    assert outcomes(capsys.readouterr().out)[check] == "FAILED"


def test_a_row_that_cannot_be_read_is_cleaned_up_all_the_same() -> None:
    seen: list[tuple[str, str]] = []

    def answer(request: Request) -> Answer:
        seen.append((request.method, request.target))
        return Answer(201, b'{"id_key": 7}') if request.method == "POST" else Answer(500)

    with serving(answer) as url, httpx.Client() as http, pytest.raises(Failed, match="500 instead of 200"):
        SmokeTest(url, http, read_only=False).write()
    assert seen[-1] == ("DELETE", "/categories/7")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_certificates_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody has signed, and one that is about to end."""
    context, authority = certificate_of(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as threads, httpx.Client() as http:
        test = SmokeTest(f"https://localhost:{listener.getsockname()[1]}", http, read_only=True)

        def accept() -> None:
            with listener.accept()[0] as connection, suppress(OSError):
                context.wrap_socket(connection, server_side=True).close()

        for trusted, said in (("", "certificate verify failed"), (str(authority), "the certificate ends in")):
            monkeypatch.setenv("SSL_CERT_FILE", trusted)
            accepting = threads.submit(accept)
            result = next(test.results())
            accepting.result()
            assert (result.check, result.outcome) == ("TLS", FAILED)
            assert said in result.detail


def test_nothing_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base-url", "http://ada:secret-word@127.0.0.1:1"]) == EXIT_CANNOT
    shown = capsys.readouterr()
    assert "nothing answers at http://127.0.0.1:1:" in shown.err
    assert "secret-word" not in shown.out + shown.err


@pytest.mark.parametrize("url", ["shop.example.com", "ftp://shop.example.com"])
def test_wrong_usage(url: str) -> None:
    with pytest.raises(SystemExit):
        main(["--base-url", url])
