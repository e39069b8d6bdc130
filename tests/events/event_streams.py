"""A client of server-sent events."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

from tests.infrastructure.processes import PATIENCE_SECONDS


class Stream:
    """An open stream, read event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()
        self.comments = 0

    def fields(self) -> dict[str, str] | None:
        """The fields of the next event, or of what else has any; None at the end of the stream."""
        found: dict[str, str] = {}
        for line in self._lines:
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                assert name not in found
                found[name] = value
            elif found:
                return found
        return None

    def event(self) -> dict[str, Any]:
        """The next event."""
        fields = self.fields()
        assert fields is not None, "the stream has ended"
        event: dict[str, Any] = json.loads(fields["data"])
        assert fields["id"] == str(event["sequence"])
        assert fields["event"] == event["type"]
        return event

    def events(self, number: int) -> list[dict[str, Any]]:
        return [self.event() for _ in range(number)]


@contextmanager
def streamed(client: httpx.Client, headers: dict[str, str] | None = None, **params: Any) -> Iterator[Stream]:
    """A stream that has begun. The place of another, which its client has left, is free a moment later."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with ExitStack() as stack:
        while True:
            request = client.stream("GET", "/events/stream", params=params, headers=headers, timeout=60)
            response = stack.enter_context(request)
            if response.status_code != 503 or time.monotonic() > deadline:
                break
            response.read()
            time.sleep(0.05)
        assert response.status_code == 200, response.read()
        stream = Stream(response)
        first = stream.fields()
        assert first is not None
        assert list(first) == ["retry"]
        yield stream


def require_end(lines: Iterator[Any]) -> None:
    """The rest of a response, which has to come to its end."""
    for _ in lines:
        pass
