"""Stands between the shop and PostgreSQL and swallows what established connections send, without closing them."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import make_url

_CHUNK = 65_536
_Target = Path | tuple[str, int]


class BlackHole:
    """Forwards a TCP port to PostgreSQL. `url` leads through it.

    `swallow` is what a firewall does that forgot its connections: those that are open lead nowhere from then on, and new
    ones are served. `move` is what a failover does behind a stable address: new connections reach another server.
    """

    def __init__(self, database_url: str) -> None:
        url = make_url(database_url)
        self._target = _target_of(database_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        plain = url.difference_update_query(["host"]).set(host="127.0.0.1", port=port)
        self.url = plain.render_as_string(hide_password=False)
        self._lock = threading.Lock()
        self._swallowed: set[socket.socket] = set()
        self._open: set[socket.socket] = set()

    def swallow(self) -> int:
        """Let the open connections lead nowhere; how many there are."""
        with self._lock:
            self._swallowed |= self._open
            return len(self._open)

    def move(self, database_url: str) -> None:
        """Let new connections lead to this server."""
        self._target = _target_of(database_url)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # It is being closed.
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        target = self._target
        family, address = (socket.AF_UNIX, str(target)) if isinstance(target, Path) else (socket.AF_INET, target)
        with client, socket.socket(family) as server, selectors.DefaultSelector() as selector:
            try:
                server.connect(address)
            except OSError:  # The server is away.
                return
            with self._lock:
                self._open.add(client)
            try:
                selector.register(client, selectors.EVENT_READ, server)
                selector.register(server, selectors.EVENT_READ, client)
                while self._pass_on(client, selector):
                    pass
            except OSError:  # One of both ends is gone.
                return
            finally:
                with self._lock:
                    self._open.discard(client)

    def _pass_on(self, client: socket.socket, selector: selectors.BaseSelector) -> bool:
        for key, _ in selector.select():
            source, destination = key.fileobj, key.data
            assert isinstance(source, socket.socket)
            data = source.recv(_CHUNK)
            if client in self._swallowed:
                # What PostgreSQL sends or ends is not heard of either.
                if not data:
                    selector.unregister(source)
                return bool(data) or source is not client
            if not data:
                return False
            destination.sendall(data)
        return True

    def __enter__(self) -> "BlackHole":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        # A thread that waits in accept is not woken by a close alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _target_of(database_url: str) -> _Target:
    url = make_url(database_url)
    if url.port is not None and url.host:
        return url.host, url.port
    return Path(str(url.query["host"])) / ".s.PGSQL.5432"


@contextmanager
def swallowing(port: int) -> Iterator[None]:
    """Let whoever connects to this port of loopback, where nobody listens, hear nothing at all."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", port), backlog=0))
        # The kernel drops what comes when the queue of connections that nobody accepts is full.
        while True:
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.3)
            try:
                filler.connect(listener.getsockname())
            except TimeoutError:
                break
        yield
