"""What is asked of any site: `/`, the icon, what robots may read, whom to tell of a weakness."""

import datetime as dt
import re
import struct
from pathlib import Path

import httpx
import pytest

from tests.builders import BUILDERS
from tests.contract.answers import assert_headers, assert_problem
from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class TestIndex:
    @pytest.mark.parametrize("accept", [CHROMIUM, FIREFOX, "text/html", "TEXT/HTML ; q=0.5", "text/*, */*;q=0.1"])
    def test_a_browser_is_sent_to_the_documentation(self, client: httpx.Client, accept: str) -> None:
        for method in ("GET", "HEAD"):
            response = client.request(method, "/", headers={"Accept": accept})
            assert response.status_code == 307
            assert response.headers["Location"] == "/docs"
            assert "accept" in response.headers["Vary"].lower()
            assert_headers(response)
        assert client.get("/", headers={"Accept": accept}, follow_redirects=True).status_code == 200

    @pytest.mark.parametrize(
        "accept",
        [
            "*/*",
            "",
            "application/json",
            "application/json, text/html;q=0.9",
            "text/html;q=0.5, application/json",
            "text/html;q=0, */*",
            "text/html;q=x",
            "text/html;q=nan",
            "image/png",
            ",;=,",
            "text/html," * 200,
        ],
    )
    def test_other_clients_get_the_index(self, client: httpx.Client, accept: str) -> None:
        response = client.get("/", headers={"Accept": accept})
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/json"
        assert "accept" in response.headers["Vary"].lower()
        assert_headers(response)
        index = response.json()
        assert index["name"]
        assert index["version"] == client.get("/openapi.json").json()["info"]["version"]
        assert set(index["resources"].values()) == {
            *BUILDERS,
            "/checkout",
            "/returns",
            "/payments",
            "/shipments",
            "/audit_entries",
            "/jobs",
            "/notifications",
            "/webhook_deliveries",
        }
        for name in ("docs", "redoc", "openapi", "health"):
            assert client.get(index[name]).status_code == 200

    def test_head_is_get_without_its_body(self, client: httpx.Client) -> None:
        head = client.head("/")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Type"] == "application/json"


def test_the_icon_is_one(client: httpx.Client) -> None:
    response = client.get("/favicon.ico")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "image/x-icon"
    assert_headers(response)
    reserved, kind, count = struct.unpack_from("<HHH", response.content)
    assert (reserved, kind) == (0, 1)
    for number in range(count):
        size, offset = struct.unpack_from("<II", response.content, 6 + 16 * number + 8)
        assert response.content[offset : offset + 8] == b"\x89PNG\r\n\x1a\n"
        assert offset + size <= len(response.content)


def test_robots_may_read_the_documentation_and_nothing_else(client: httpx.Client) -> None:
    response = client.get("/robots.txt")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    lines = response.text.splitlines()
    assert lines[0] == "User-agent: *"
    assert {"Disallow: /", "Allow: /docs"} <= set(lines)


class TestSecurity:
    def test_there_is_no_file_without_a_contact(self, client: httpx.Client) -> None:
        assert_problem(client.get("/.well-known/security.txt"), 404, "Not Found")

    def test_the_file_names_every_contact_and_does_not_expire(self, database_url: str, tmp_path: Path) -> None:
        contacts = {"SECURITY_CONTACT": "security@example.com, https://example.com/report"}
        environment = environment_of(database_url, None, tmp_path, API_PREFIX="/api/v1", **contacts)
        with shop_in_thread(environment) as url:
            response = httpx.get(f"{url}/.well-known/security.txt")
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        fields = [line.split(": ", 1) for line in response.text.splitlines()]
        assert [value for name, value in fields if name == "Contact"] == [
            "mailto:security@example.com",
            "https://example.com/report",
        ]
        (expires,) = [value for name, value in fields if name == "Expires"]
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", expires)
        left = dt.datetime.fromisoformat(expires) - dt.datetime.now(dt.UTC)
        assert dt.timedelta(days=30) < left < dt.timedelta(days=365)


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_shop_without_documentation_does_not_name_it(database_url: str, tmp_path: Path, prefix: str) -> None:
    environment = environment_of(database_url, None, tmp_path, DOCS="false", API_PREFIX=prefix)
    with shop_in_thread(environment) as url, httpx.Client(base_url=url) as client:
        for path in ("/docs", "/redoc", "/openapi.json", "/docs-assets/swagger-ui.css", "/docs/", "/DOCS"):
            for method in ("GET", "HEAD", "POST"):
                response = client.request(method, path, headers={"Accept": CHROMIUM})
                assert response.status_code == 404, (method, path)
        assert_problem(client.get("/openapi.json"), 404)
        for accept in (CHROMIUM, "application/json"):
            index = client.get("/", headers={"Accept": accept})
            assert index.status_code == 200
            assert set(index.json()) == {"name", "version", "health", "resources"}
        assert client.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"
        assert client.get(f"{prefix}/products").status_code == 200
