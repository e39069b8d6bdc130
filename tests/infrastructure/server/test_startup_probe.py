"""What the launcher prints, and when: at the first healthy answer, once, and whoever reads it or not."""

import os
import re
import socket
import sys
from collections.abc import Iterator

import pytest

from config.settings import read_settings
from infrastructure.server.startup_banner import drain_notice, external_address, web_address
from infrastructure.server.startup_probe import StartupProbe
from tests.infrastructure.processes import wait_for

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1:80"),
        ("0.0.0.0", "127.0.0.1:80"),
        ("::", "[::1]:80"),
        ("0:0:0:0:0:0:0:1", "[::1]:80"),
        ("localhost", "localhost:80"),
    ],
)
def test_an_address_is_shown_so_that_it_can_be_opened(host: str, shown: str) -> None:
    assert web_address(host, 80) == shown


def test_where_all_addresses_are_listened_on_one_is_shown_that_works_from_elsewhere() -> None:
    assert external_address("127.0.0.1", 80) is None
    for everywhere in ("0.0.0.0", "::"):
        shown = external_address(everywhere, 80)
        # A machine without a network has no such address.
        assert shown is None or re.fullmatch(r"([0-9.]+|\[[0-9a-f:]+\]):80", shown)
        assert shown not in ("127.0.0.1:80", "[::1]:80", "0.0.0.0:80", "[::]:80")


@pytest.mark.parametrize(
    ("drain", "begins"), [(2.0, "Stopping: requests are accepted for 2 s"), (0.0, "Stopping: those")]
)
def test_the_end_is_published_in_one_line(drain: float, begins: str) -> None:
    line = drain_notice(drain, 30)
    assert line.startswith(begins)
    assert "30 s" in line
    assert "\n" not in line


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


def announced(listener: socket.socket) -> StartupProbe:
    settings = read_settings({"API_HOST": "0.0.0.0", "API_PREFIX": "/v1"})
    return StartupProbe(settings, listener, demo=False, banner=True)


def answer(probe: StartupProbe, listener: socket.socket, status: str) -> bytes:
    """Have the request answered, and looked at; returns the request."""
    probe.poll()
    connection, _ = listener.accept()
    with connection:
        request = connection.recv(4096)
        probe.poll()
        connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
    probe.poll()
    return request


def test_nothing_is_said_before_the_shop_is_healthy_and_all_of_it_once(
    listener: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    with announced(listener) as probe:
        assert answer(probe, listener, "503 Service Unavailable").startswith(b"GET /health_check HTTP/1.1\r\n")
        assert capsys.readouterr().out == ""
        answer(probe, listener, "200 OK")
        shop = f"http://127.0.0.1:{listener.getsockname()[1]}"
        addresses = f"API     {shop}/v1\nDocs    {shop}/docs\nHealth  {shop}/health_check\n"
        out = capsys.readouterr().out
        assert out.startswith(addresses)
        auth, mails = out.removeprefix(addresses).splitlines()
        assert auth == "AUTH=off: every caller may do everything"
        assert mails.startswith("Mails are files in /")
        probe.poll()
        assert capsys.readouterr().out == ""


def test_a_shop_that_is_not_reached_is_asked_again(listener: socket.socket, capsys: pytest.CaptureFixture[str]) -> None:
    address = listener.getsockname()
    with announced(listener) as probe:
        listener.close()
        probe.poll()
        with socket.create_server(address) as another:
            answer(probe, another, "200 OK")
            wait_for(lambda: "Health " in capsys.readouterr().out, "the addresses")


def test_a_reader_that_has_gone_does_not_end_the_shop(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as nobody:
        monkeypatch.setattr(sys, "stdout", nobody)
        with announced(listener) as probe:
            answer(probe, listener, "200 OK")
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            nobody.flush()
        os.dup2(2, writer)
