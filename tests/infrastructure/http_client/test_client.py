"""E5: whatever a receiver does, a request ends in time, reads little, and goes only to the address that was checked."""

import asyncio
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from infrastructure.http_client.address_guard import AddressGuard
from infrastructure.http_client.client import HttpAnswer, HttpClient, RequestFailed

pytestmark = pytest.mark.unit

LOOPBACK = ip_network("127.0.0.0/8")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Behaviour = Callable[[socket.socket], object]


@contextmanager
def server(behave: Behaviour) -> Iterator[tuple[int, list[bytes]]]:
    """The port of a server that does this with each connection once the request is there, and the requests."""
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    part = connection.recv(65536)
                    if not part:
                        return
                    request += part
                got.append(request)
                try:
                    behave(connection)
                except OSError:
                    return

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1], got


def answering(data: bytes) -> Behaviour:
    return lambda connection: connection.sendall(data)


def post(url: str, seconds: float = 60, guard: AddressGuard | None = None, body: bytes = b"{}") -> HttpAnswer:
    client = HttpClient(guard or AddressGuard([LOOPBACK]), seconds)
    return asyncio.run(client.post(url, {"content-type": "text/plain", "x-a": "1"}, body))


def test_a_request_and_its_answer() -> None:
    with server(answering(b"HTTP/1.1 503 Later\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")) as (port, got):
        assert post(f"http://127.0.0.1:{port}/a?b=c") == HttpAnswer(503, "7")
    head = got[0].split(b"\r\n")
    assert head[0] == b"POST /a?b=c HTTP/1.1"
    assert f"host: 127.0.0.1:{port}".encode() in [line.lower() for line in head]
    assert {b"content-type: text/plain", b"x-a: 1"} <= {line.lower() for line in head}


def test_a_redirect_is_an_answer_and_nobody_follows_it() -> None:
    with (
        server(answering(OK)) as (other, got),
        server(
            answering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % other)
        ) as (port, _),
    ):
        assert post(f"http://127.0.0.1:{port}/").status == 302
    assert got == []


def hang(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while connection.send(b"x"):
        threading.Event().wait(0.05)


def drip_head(connection: socket.socket) -> None:
    while connection.send(b"HTTP/1.1 102 Wait\r\n\r\n"):
        threading.Event().wait(0.05)


@pytest.mark.parametrize("behave", [hang, drip, drip_head])
def test_who_does_not_end_is_left(behave: Behaviour) -> None:
    with server(behave) as (port, _), pytest.raises(RequestFailed, match=r"no complete answer within 0\.5 s"):
        post(f"http://127.0.0.1:{port}/", 0.5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000,
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
    ],
)
def test_what_is_no_answer_is_a_failure(data: bytes) -> None:
    with server(answering(data)) as (port, _), pytest.raises(RequestFailed, match="without a complete answer"):
        post(f"http://127.0.0.1:{port}/")


def test_of_a_hundred_megabytes_a_little_is_read() -> None:
    sent = [0]

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(1600):
            connection.sendall(b"x" * 65536)
            sent[0] += 65536

    with server(flood) as (port, _):
        post(f"http://127.0.0.1:{port}/")
        tracemalloc.start()
        assert post(f"http://127.0.0.1:{port}/").status == 200
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2_000_000
    assert sent[0] < 100_000_000


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "2130706433"])
def test_no_connection_to_the_inside(host: str) -> None:
    with server(answering(OK)) as (port, got), pytest.raises(RequestFailed, match="an address that is not allowed"):
        post(f"http://{host}:{port}/", guard=AddressGuard())
    assert got == []


def test_a_name_that_changes_its_mind_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the address that was checked: the system is not asked again, what it would say now counts nothing."""
    answers = iter([["127.0.0.2"], ["10.0.0.1"]])

    async def resolve(host: str, port: int) -> Sequence[str]:
        return next(answers)

    with server(answering(OK)) as (port, got):
        guard = AddressGuard([ip_network("127.0.0.2/32")], resolve)
        asked: list[str] = []
        real = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            asked.append(str(host))
            return real(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        # Nobody listens at 127.0.0.2: the server's own address is never tried.
        with pytest.raises(RequestFailed, match="no connection"):
            post(f"http://hooks.example:{port}/", guard=guard)
        with pytest.raises(RequestFailed, match="an address that is not allowed"):
            post(f"http://hooks.example:{port}/", guard=guard)
    assert got == []
    assert "hooks.example" not in asked


def test_nothing_listens_there() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        with pytest.raises(RequestFailed, match="no connection"):
            post(f"http://127.0.0.1:{holder.getsockname()[1]}/")


def test_what_does_not_speak_tls_gets_nothing() -> None:
    # It waits for the end of a head, which a greeting of TLS does not have.
    with server(answering(OK)) as (port, got), pytest.raises(RequestFailed, match="within"):
        post(f"https://127.0.0.1:{port}/", 0.5)
    assert got == []


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        with pytest.raises(RequestFailed, match="the certificate is not valid"):
            post(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(60)


def test_names_that_are_not_known() -> None:
    with pytest.raises(RequestFailed, match="not known"):
        post("http://no-such-name.invalid/")
