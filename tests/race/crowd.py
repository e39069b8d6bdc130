"""Many clients at once: in threads that start together, or in processes of their own."""

import http.client
import json
import multiprocessing
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Call:
    """A request to be sent."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a request came to. Names of headers are in lower case; money is exact."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Connection:
    """One keep-alive connection, as cheap as can be: the clients must not be what limits a race."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_SECONDS)

    def send(self, call: Call) -> Outcome:
        body = None if call.body is None else json.dumps(call.body)
        headers = {**call.headers, **({} if body is None else {"Content-Type": "application/json"})}
        self._connection.request(call.method, call.path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        return Outcome(
            answer.status,
            json.loads(content, parse_float=Decimal) if content else None,
            {name.lower(): value for name, value in answer.getheaders()},
        )

    def get(self, path: str) -> Any:
        return self.send(Call("GET", path)).body

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def together(works: Sequence[Callable[[], T]]) -> list[T]:
    """The results of all works, each in a thread of its own, none of which starts before all are there."""
    gate = threading.Barrier(len(works))

    def started(work: Callable[[], T]) -> T:
        gate.wait(PATIENCE_SECONDS)
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(started, works))


def send_together(url: str, calls: Sequence[Call]) -> list[Outcome]:
    """The outcomes of the calls, sent at once on connections that are open already."""
    connections = [Connection(url) for _ in calls]
    try:
        for connection in connections:
            connection.send(Call("GET", "/health/live"))

        def sending(connection: Connection, call: Call) -> Callable[[], Outcome]:
            return lambda: connection.send(call)

        return together([sending(connection, call) for connection, call in zip(connections, calls, strict=True)])
    finally:
        for connection in connections:
            connection.close()


def send_from_processes(url: str, calls: Sequence[Call], processes: int = 3) -> list[Outcome]:
    """The same, with the calls shared out to processes; they start a moment apart."""
    context = multiprocessing.get_context("spawn")
    parts = [list(calls[start::processes]) for start in range(processes)]
    with ProcessPoolExecutor(processes, context) as pool:
        # All of them are up before the first part is given out.
        list(pool.map(abs, range(processes)))
        outcomes = list(pool.map(send_together, [url] * processes, parts))
    return [outcome for part in outcomes for outcome in part]


def statuses(outcomes: Sequence[Outcome]) -> list[int]:
    """The statuses, in order."""
    return sorted(outcome.status for outcome in outcomes)
