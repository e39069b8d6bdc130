"""Hostile requests, row by row: I10, I12 and I13, sent as no client library would send them."""

import json
import socket
import uuid
from pathlib import Path

import httpx
import pytest

from tests.shop import environment_of, shop_in_thread

pytestmark = pytest.mark.integration


def sent_raw(url: str, request: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to these very bytes."""
    parts = httpx.URL(url)
    with socket.create_connection((parts.host, parts.port or 80), timeout=60) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def get_raw(url: str, path: bytes = b"/categories", *headers: bytes, host: bytes = b"shop") -> tuple[int, bytes]:
    lines = (b"GET " + path + b" HTTP/1.1", b"Host: " + host, *headers, b"Connection: close", b"", b"")
    return sent_raw(url, b"\r\n".join(lines))


class TestI10ForgedAddresses:
    LIMITS = {"RATE_LIMIT_EXEMPT": "", "RATE_LIMIT_CALLS": "3"}

    def test_of_an_untrusted_peer_count_for_one(self, database_url: str, tmp_path: Path) -> None:
        environment = environment_of(database_url, None, tmp_path, **self.LIMITS)
        with shop_in_thread(environment) as url:
            statuses = [
                httpx.get(
                    f"{url}/categories", headers={"X-Forwarded-For": f"203.0.113.{n}", "X-Real-IP": f"10.0.0.{n}"}
                )
                for n in range(4)
            ]
        assert [response.status_code for response in statuses] == [200, 200, 200, 429]

    def test_behind_a_trusted_proxy_the_rightmost_untrusted_hop_counts(self, database_url: str, tmp_path: Path) -> None:
        limits = self.LIMITS | {"TRUSTED_PROXIES": "127.0.0.0/8,10.0.0.0/8"}
        with shop_in_thread(environment_of(database_url, None, tmp_path, **limits)) as url:

            def status(forwarded: str) -> int:
                return httpx.get(f"{url}/categories", headers={"X-Forwarded-For": forwarded}).status_code

            assert [status(f"198.51.100.{n}, 203.0.113.7, 10.0.0.{n}") for n in range(4)] == [200, 200, 200, 429]
            assert status("203.0.113.7, 203.0.113.8") == 200
            assert status("203.0.113.8, 203.0.113.7") == 429


class TestI12ForgedLines:
    FORGED = b"[x] GET /forged - 200 OK"

    @pytest.mark.parametrize(
        "request_id", [b"a\x1b[31mred", b"a b", b"x" * 4096, b"caf\xc3\xa9", b"a\tb", b"..;" + FORGED, b"\x7f"]
    )
    def test_an_id_that_is_none_is_replaced(self, shop_url: str, request_id: bytes) -> None:
        status, body = get_raw(shop_url, b"/categories/0", b"X-Request-ID: " + request_id)
        # A control character in a header is for the server to refuse; what it lets through is replaced.
        assert status in (400, 404)
        if status == 404:
            answered = json.loads(body)["request_id"]
            assert str(uuid.UUID(answered)) == answered

    def test_no_line_of_the_log_is_forged(self, database_url: str, tmp_path: Path) -> None:
        forged = b"/a%0d%0a" + self.FORGED.replace(b" ", b"%20")
        with shop_in_thread(environment_of(database_url, None, tmp_path, LOG_FORMAT="text")) as url:
            for path in (forged, b"/b%1b[31m", b"/c%E2%80%A8x", b"/d?q=%0aforged", b"/" + b"e" * 4096):
                assert get_raw(url, path, b"User-Agent: " + self.FORGED)[0] == 404
                # A control character in a header is for the server to refuse.
                assert get_raw(url, path, b"User-Agent: \x1b[31m " + self.FORGED)[0] in (400, 404)
            httpx.post(f"{url}/clients", json={"name": "\r\n" + self.FORGED.decode()})
        lines = (tmp_path / "logs" / "app.log").read_bytes().splitlines()
        assert any(b"/a%0d%0a" in line.lower() for line in lines)
        assert not any(line.lstrip().startswith(self.FORGED) for line in lines)
        assert b"\x1b" not in b"".join(lines)
        assert max(map(len, lines)) < 20_000

    @pytest.mark.parametrize(
        "path", [b"/%0d%0aSet-Cookie:%20a=b", b"/x%0a%0a<script>", b"/%1b[31m", b"/%2e%2e/%2e%2e/etc", b"/%00"]
    )
    def test_a_path_comes_back_encoded(self, shop_url: str, path: bytes) -> None:
        status, body = get_raw(shop_url, path)
        assert status == 404
        assert json.loads(body)["instance"] == path.decode()


@pytest.mark.parametrize(
    "host", ["", "a b", "shop/x", "shop\\x", "shop?x", "shop#x", "user@shop", '"', "<script>", "a" * 300]
)
def test_i13_a_malformed_host(shop_url: str, host: str) -> None:
    status, body = get_raw(shop_url, host=host.encode())
    assert status == 400
    assert json.loads(body)["status"] == 400


@pytest.mark.parametrize("host", [b"shop:99999", b"shop:port", b"[::1", b"[::1]x", b"sh\xffp"])
def test_i13_a_host_with_a_malformed_port_or_address(shop_url: str, host: bytes) -> None:
    assert get_raw(shop_url, host=host)[0] == 400


def test_i13_a_host_that_is_missing_or_there_twice(shop_url: str) -> None:
    assert get_raw(shop_url, b"/categories", b"Host: shop")[0] == 400
    assert sent_raw(shop_url, b"GET /categories HTTP/1.1\r\nConnection: close\r\n\r\n")[0] == 400
    for host in (b"shop", b"shop.example:8000", b"127.0.0.1", b"[::1]:80"):
        assert get_raw(shop_url, host=host)[0] == 200


def test_a_client_that_leaves_before_its_body_ends_is_no_error_of_the_shop(database_url: str, tmp_path: Path) -> None:
    with shop_in_thread(environment_of(database_url, None, tmp_path, LOG_FORMAT="text")) as url:
        parts = httpx.URL(url)
        with socket.create_connection((parts.host, parts.port or 80), timeout=60) as connection:
            head = b"POST /categories HTTP/1.1\r\nHost: shop\r\nX-Request-ID: leaver\r\nContent-Length: 9\r\n\r\n"
            connection.sendall(head + b"{")
        # The answer that nobody waits for is logged before the next one is.
        assert httpx.get(f"{url}/categories").status_code == 200
    logs = tmp_path / "logs"
    assert "[leaver] POST /categories - 400 " in (logs / "app.log").read_text()
    assert (logs / "error.log").read_text() == ""
