"""deploy/nginx as it is, but for ports and paths, in front of two processes of the shop, with a self-made certificate."""

import getpass
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from config.settings import PROJECT_ROOT
from tests.infrastructure.processes import wait_for
from tests.servers.nginx import needs_nginx
from tests.shop import environment_of, reserved_port, shop_processes

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    needs_nginx,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]

DEPLOYED = PROJECT_ROOT / "deploy" / "nginx"


class Behind(NamedTuple):
    """An nginx, and what is behind it."""

    url: str
    plain_url: str
    port: int


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    kind = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *kind, *names, *files], check=True, capture_output=True)
    return folder


@contextmanager
def deployed_nginx(folder: Path, certificate: Path, upstreams: list[str]) -> Iterator[tuple[int, int]]:
    """The ports for TLS and without of an nginx before the upstreams (127.0.0.1:8000)."""
    with reserved_port() as port, reserved_port() as plain:
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy"))
        configuration = (
            (DEPLOYED / "nginx.conf")
            .read_text()
            .replace("listen 443", f"listen 127.0.0.1:{port}")
            .replace("listen 80 ", f"listen 127.0.0.1:{plain} ")
            .replace("listen [::]:", "# listen ")
            .replace("/var/run/nginx.pid", str(folder / "nginx.pid"))
            # Another user could not enter the folders of the tests.
            .replace("worker_processes auto;", f"worker_processes 2; user {getpass.getuser()};")
            .replace("http {", f"http {{ {temporary}", 1)
        )
        (folder / "nginx.conf").write_text(configuration)
        shutil.copytree(certificate, folder / "tls")
        server = "    server 127.0.0.1:8000 max_fails=2 fail_timeout=2s;\n"
        upstream = (DEPLOYED / "upstream.conf").read_text()
        assert server in upstream
        servers = "".join(server.replace("127.0.0.1:8000", address) for address in upstreams)
        (folder / "upstream.conf").write_text(upstream.replace(server, servers))
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
        assert tested.returncode == 0, tested.stderr
        process = subprocess.Popen([*command, "-g", "daemon off;"], stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda: is_listening(port), "nginx")
            yield port, plain
        finally:
            process.terminate()
            process.wait(60)


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def behind(
    database_url: str, redis_url: str, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("deployed")
    folder.chmod(0o755)
    with ExitStack() as stack:
        urls = []
        for number in range(2):
            logs = tmp_path_factory.mktemp(f"shop{number}")
            environment = environment_of(database_url, redis_url, logs, TRUSTED_PROXIES="127.0.0.1", DRAIN_SECONDS="1")
            url, _ = stack.enter_context(shop_processes(environment, workers=1))
            urls.append(url.removeprefix("http://"))
        port, plain = stack.enter_context(deployed_nginx(folder, certificate, urls))
        yield Behind(f"https://localhost:{port}", f"http://127.0.0.1:{plain}", port)


@pytest.fixture
def http(behind: Behind, certificate: Path) -> Iterator[httpx.Client]:
    with client_of(behind, certificate) as client:
        yield client


def client_of(behind: Behind, certificate: Path) -> httpx.Client:
    trusting = ssl.create_default_context(cafile=str(certificate / "fullchain.pem"))
    return httpx.Client(base_url=behind.url, verify=trusting, timeout=60)


def test_a_shop_is_behind_it(http: httpx.Client) -> None:
    response = http.get("/categories")
    assert response.status_code == 200
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "nginx/" not in response.headers["Server"]
    made = http.post("/categories", json={"name": f"deployed {time.time_ns()}"})
    assert made.status_code == 201
    assert http.get(made.headers["Location"]).json() == made.json()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_it_speaks_http_2(behind: Behind, certificate: Path) -> None:
    form = ["--write-out", "%{http_version} %{http_code}", "--output", "/dev/null"]
    options = ["--silent", "--http2", "--cacert", str(certificate / "fullchain.pem"), "--max-time", "60"]
    shown = subprocess.run(
        ["curl", *options, *form, f"{behind.url}/categories"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "2 200"


@pytest.mark.parametrize(("version", "is_taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_from_1_2_on(behind: Behind, version: str, is_taken: bool) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with socket.create_connection(("127.0.0.1", behind.port), timeout=60) as connection:
        if is_taken:
            context.wrap_socket(connection, server_hostname="localhost").close()
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(connection, server_hostname="localhost")


def test_who_comes_without_tls_is_sent_to_it(behind: Behind) -> None:
    response = httpx.get(f"{behind.plain_url}/products?limit=1", timeout=60)
    assert response.status_code == 301
    assert response.headers["Location"] == "https://127.0.0.1/products?limit=1"


def test_metrics_are_for_those_within(http: httpx.Client) -> None:
    assert http.get("/metrics").status_code == 404


def test_bodies_may_be_as_large_as_the_shop_takes_them(http: httpx.Client) -> None:
    refused = http.post("/categories", content=b'"' + b"x" * (1024 * 1024) + b'"')
    assert refused.status_code == 413
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "body_too_large"
    json = {"Content-Type": "application/json"}
    assert http.post("/categories", content=b'"' + b"x" * (1024 * 1024 - 2) + b'"', headers=json).status_code == 422
    assert http.post("/products/bulk", content=b"[" + b" " * 5_000_000 + b"]", headers=json).status_code != 413
    assert http.post("/products/bulk", content=b"[" + b" " * 17_000_000 + b"]", headers=json).status_code == 413


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Forwarded-Prefix", "Forwarded"])
def test_what_a_client_says_of_itself_is_not_believed(http: httpx.Client, name: str) -> None:
    headers = {"Origin": "https://evil.example", name: "evil.example"}
    refused = http.post("/categories", json={"name": f"evil {time.time_ns()}"}, headers=headers)
    assert refused.status_code == 403
    assert refused.json()["code"] == "cross_origin"
    assert "evil" not in http.get("/", headers={name: "/evil"}).text


def test_a_client_that_says_nothing_is_closed(behind: Behind) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", behind.port), timeout=60) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as silent,
    ):
        silent.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        try:
            said = silent.recv(1000)
        except ConnectionError:
            said = b""
        assert not said.startswith(b"HTTP/1.1 200")


def test_no_request_is_lost_while_one_process_is_replaced(
    database_url: str, redis_url: str, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("replaced")
    folder.chmod(0o755)

    def settings(number: int) -> dict[str, str]:
        return environment_of(
            database_url, redis_url, folder / str(number), TRUSTED_PROXIES="127.0.0.1", DRAIN_SECONDS="1"
        )

    with ExitStack() as stack:
        stays, _ = stack.enter_context(shop_processes(settings(1), workers=1))
        leaving = ExitStack()
        leaves, _ = leaving.enter_context(shop_processes(settings(2), workers=1))
        urls = [url.removeprefix("http://") for url in (stays, leaves)]
        port, plain = stack.enter_context(deployed_nginx(folder, certificate, urls))
        behind = Behind(f"https://localhost:{port}", f"http://127.0.0.1:{plain}", port)
        statuses: set[int] = set()
        over, counts = threading.Event(), [0] * 4

        def ask(number: int) -> None:
            with client_of(behind, certificate) as client:
                while not over.is_set():
                    statuses.add(client.get("/categories?limit=1").status_code)
                    name = f"replaced {number} {time.time_ns()}"
                    statuses.add(client.post("/categories", json={"name": name}).status_code)
                    counts[number] += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(counts))]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: min(counts) > 10, "requests before")
            leaving.close()
            after = min(counts)
            wait_for(lambda: min(counts) > after + 20, "requests after")
        finally:
            over.set()
            for thread in threads:
                thread.join(120)
        assert statuses == {200, 201}


def test_without_any_process_it_is_503_in_the_form_of_the_shop(certificate: Path, tmp_path: Path) -> None:
    with reserved_port() as nobody, deployed_nginx(tmp_path, certificate, [f"127.0.0.1:{nobody}"]) as (port, plain):
        behind = Behind(f"https://localhost:{port}", f"http://127.0.0.1:{plain}", port)
        with client_of(behind, certificate) as client:
            response = client.get("/categories")
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "service_unavailable"
