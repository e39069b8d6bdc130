"""Stands between the shop and a server, and cuts each connection in the middle of what the shop sends."""

import itertools
import socket
import threading
from contextlib import suppress

_CHUNK = 1000


class CuttingProxy:
    """Forwards a port to the target. A connection ends after so many bytes of its client: each time a few more."""

    def __init__(self, target: tuple[str, int], first: int, step: int) -> None:
        self._target = target
        self._limits = itertools.count(first, step)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cuts = 0
        self.is_cutting = True

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # It is being closed.
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        left = next(self._limits)
        with client, socket.socket() as server, suppress(OSError):
            server.connect(self._target)
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()
            while data := client.recv(_CHUNK):
                if self.is_cutting and len(data) > left:
                    # The server has the beginning of it.
                    server.sendall(data[:left])
                    self.cuts += 1
                    break
                server.sendall(data)
                left -= len(data)
            for end in (server, client):
                end.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(_CHUNK):
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "CuttingProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
