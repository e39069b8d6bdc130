"""Load generators: as many requests as the shop can serve, over connections that each wait for their response.

`wrk` is used if it is installed, else a protocol of asyncio, which takes about three times the CPU.
"""

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.http_client import percentile
from benchmarks.raw_requests import MARK, Scenario, first_number

_WRK_SCRIPT = Path(__file__).with_name("wrk.lua")
# A response that takes longer counts as an error.
_TIMEOUT_SECONDS = 10
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WITHOUT_BODY = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Load:
    """The result of a load. `errors` are responses with an unexpected status, and broken connections."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def generator_for(scenario: Scenario) -> str:
    """The name of the generator. wrk waits for the body of a response to HEAD, which never comes."""
    return "wrk" if shutil.which("wrk") and not scenario.asks_for_heads else "asyncio"


def run_load(scenario: Scenario, host: str, port: int, seconds: float, connections: int) -> Load:
    """Load the server for `seconds`."""
    if generator_for(scenario) == "wrk":
        return _run_wrk(scenario, f"http://{host}:{port}", seconds, connections)
    return uvloop.run(_run_here(scenario, host, port, seconds, connections))


def _run_wrk(scenario: Scenario, url: str, seconds: float, connections: int) -> Load:
    with tempfile.NamedTemporaryFile(prefix="requests-") as file:
        file.write(b"\0".join(scenario.requests))
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", f"--timeout={_TIMEOUT_SECONDS}s"]
        statuses = ",".join(map(str, sorted(scenario.expected)))
        arguments = ["-s", str(_WRK_SCRIPT), url, "--", file.name, str(first_number()), statuses]
        timeout = seconds + 3 * _TIMEOUT_SECONDS
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=timeout, check=True)
    return Load(**json.loads(done.stdout.splitlines()[-1]))


class _Run:
    """The state that the connections of one load share."""

    def __init__(self, scenario: Scenario, seconds: float) -> None:
        self.expected = scenario.expected
        self.started = time.perf_counter()
        self.deadline = self.started + seconds
        self.times: list[float] = []
        self.errors = 0
        self._requests = cycle(scenario.requests)
        self._numbers = _numbers()

    def next_request(self) -> bytes:
        request = next(self._requests)
        return request.replace(MARK.encode(), next(self._numbers)) if MARK.encode() in request else request

    def load(self) -> Load:
        seconds = time.perf_counter() - self.started
        self.times.sort()
        p50, p99 = (percentile(self.times, share) * 1000 for share in (0.5, 0.99))
        return Load(len(self.times), seconds, p50, p99, self.errors)


def _numbers() -> Iterator[bytes]:
    number = first_number()
    while True:
        number += 1
        yield b"%0*d" % (len(MARK), number)


class _Sender(asyncio.Protocol):
    """One connection: sends the next request when the response to the last one is complete."""

    def __init__(self, run: _Run, done: "asyncio.Future[None]") -> None:
        self._run, self._done = run, done
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._sent_at = 0.0
        self._asked_for_head = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, but have the same methods.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        status = int(head[9:12])
        length = _LENGTH.search(head)
        if length and not self._asked_for_head and status not in _WITHOUT_BODY and len(body) < int(length[1]):
            return
        self._received = b""
        now = time.perf_counter()
        self._run.times.append(now - self._sent_at)
        self._run.errors += status not in self._run.expected
        if now < self._run.deadline:
            self._send()
        else:
            self._finish()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._run.errors += 1
            self._finish()

    def _send(self) -> None:
        request = self._run.next_request()
        self._asked_for_head = request.startswith(b"HEAD ")
        self._sent_at = time.perf_counter()
        assert self._transport is not None
        self._transport.write(request)

    def _finish(self) -> None:
        self._done.set_result(None)
        assert self._transport is not None
        self._transport.close()


async def _run_here(scenario: Scenario, host: str, port: int, seconds: float, connections: int) -> Load:
    loop = asyncio.get_running_loop()
    run = _Run(scenario, seconds)
    ends = [loop.create_future() for _ in range(connections)]
    for end in ends:
        await loop.create_connection(partial(_Sender, run, end), host, port)
    _, silent = await asyncio.wait(ends, timeout=seconds + _TIMEOUT_SECONDS)
    run.errors += len(silent)
    return run.load()
