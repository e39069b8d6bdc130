"""Stands between the shop and PostgreSQL and cuts the connection at a commit, before or after it took effect."""

import selectors
import socket
import threading
from pathlib import Path
from typing import Literal

from sqlalchemy import make_url

Cut = Literal["before", "after"]

_CHUNK = 65_536
# What commits, each in a message of its own: the end of a transaction, as psycopg2 sends it, and the name of a prepared
# statement, which is one by itself, after that of a portal without a name.
COMMIT = b"COMMIT\0"
PLACE_ORDER = b"\0place_order"


class CommitProxy:
    """Forwards a Unix socket of PostgreSQL's. `url` leads through it."""

    def __init__(self, database_url: str, folder: Path) -> None:
        url = make_url(database_url)
        self._target = Path(str(url.query["host"])) / ".s.PGSQL.5432"
        self.url = url.update_query_dict({"host": str(folder)}).render_as_string(hide_password=False)
        self._cut: Cut | None = None
        self._mark, self._earlier = COMMIT, b""
        self.commits = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()

    def cut_at_next(self, mark: bytes, cut: Cut, earlier: bytes = b"") -> None:
        """Break the connection on which the next `mark` comes, "before" PostgreSQL gets it or "after" it answered.

        With `earlier` that text must have come on the connection before: what the shop does by itself commits, too.
        """
        self._mark, self._earlier, self._cut, self.commits = mark, earlier, cut, 0

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # The proxy is being closed.
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as selector:
            server.connect(str(self._target))
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            sent = b""
            while True:
                for key, _ in selector.select():
                    source, destination = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    data = source.recv(_CHUNK)
                    if source is client:
                        sent = sent[-_CHUNK:] + data
                    if not data or (source is client and self._earlier in sent and self._is_cut(data, server)):
                        return
                    try:
                        destination.sendall(data)
                    except OSError:  # It has gone in the meantime.
                        return

    def _is_cut(self, data: bytes, server: socket.socket) -> bool:
        if self._mark not in data:
            return False
        self.commits += 1
        cut, self._cut = self._cut, None
        if cut == "after":
            server.sendall(data)
            # PostgreSQL has committed once it answers; the answer never arrives.
            server.recv(_CHUNK)
        return cut is not None

    def __enter__(self) -> "CommitProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        # A thread that waits in accept is not woken by a close alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
