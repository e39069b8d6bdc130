"""A proxy before a Redis on a Unix socket, which can fall silent or close, for all its clients or for one process."""

import asyncio
import os
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

State = Literal["open", "silent", "closed"]


class RedisProxy:
    """`state` is what new connections meet and, from then on, those that are there; `cut` are processes it is for.

    `silent` is a network that drops everything without saying so; what it has dropped is lost for good.
    """

    def __init__(self, url: str, folder: Path) -> None:
        # Where new connections lead to.
        self.server = url
        self.path = str(folder / "proxy.sock")
        self.url = f"unix://{self.path}"
        self._state: State = "open"
        self._cut: set[int] | None = None
        self._connections: set[tuple[int, asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._silenced: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def state(self) -> State:
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self.meet(state)

    def meet(self, state: State, *processes: int) -> None:
        """Meet the clients of `processes`, or all, in this way from now on."""
        asyncio.run_coroutine_threadsafe(self._set(state, {*processes} or None), self._loop).result(60)

    @property
    def processes(self) -> set[int]:
        """Those that have a connection."""
        return {process for process, *_ in list(self._connections)}

    async def _set(self, state: State, processes: set[int] | None) -> None:
        self._state, self._cut = state, processes
        for process, client, server in list(self._connections):
            if self._is_cut(process):
                if state == "silent":
                    self._silenced.update((client, server))
                else:
                    client.close()
                    server.close()

    def _is_cut(self, process: int) -> bool:
        return self._state != "open" and (self._cut is None or process in self._cut)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        credentials = client.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        process = struct.unpack("3i", credentials)[0]
        if self._is_cut(process) and self._state == "closed":
            client.close()
            return
        replies, server = await asyncio.open_unix_connection(self.server.removeprefix("unix://"))
        if self._is_cut(process):
            self._silenced.update((client, server))
        connection = process, client, server
        self._connections.add(connection)
        try:
            with suppress(asyncio.CancelledError):
                await asyncio.gather(self._copy(reader, server), self._copy(replies, client))
        finally:
            self._connections.discard(connection)
            client.close()
            server.close()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if target not in self._silenced:
                    target.write(data)
                    await target.drain()
        except OSError:
            pass
        finally:
            target.close()

    def __enter__(self) -> "RedisProxy":
        self._thread.start()
        listening = asyncio.run_coroutine_threadsafe(asyncio.start_unix_server(self._serve, self.path), self._loop)
        self._server = listening.result(60)
        return self

    def __exit__(self, *error: object) -> None:
        async def end() -> None:
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # The transports close in the next turns.
            await asyncio.sleep(0.01)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()
        os.unlink(self.path)
