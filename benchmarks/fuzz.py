"""Fuzzing: a hundred thousand odd requests to one worker, none of which may be a 500 or leave an error in the log.

    python -m benchmarks.fuzz --requests 100000
    python -m benchmarks.fuzz --requests 5000 --seed 7

The production server runs on embedded servers in a temporary folder. The requests of `benchmarks.fuzzed_requests` are
sent one after the other over one connection. The seed is printed: with it the run can be repeated. Exits with 1 after
any fault; the request is printed with it.
"""

import argparse
import http.client
import json
import random
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from benchmarks.fuzzed_requests import RIGHT, FuzzedRequests, operations_of
from benchmarks.production_shop import production_shop

LARGEST_REFUSAL = 64 * 1024
_SECONDS = 30
_SHOWN = 1500


@dataclass
class Findings:
    """The results: the number of responses by status, and the faults."""

    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class RawConnection:
    """A connection for requests as bytes, which opens again after the server has closed it."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def ask(self, method: bytes, request: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        """The response and its body. Raises `OSError` or `HTTPException` when there is none."""
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=_SECONDS)
        try:
            self._socket.sendall(request)
            response = http.client.HTTPResponse(self._socket, method=method.decode())
            response.begin()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if response.will_close:
            self.close()
        return response, body

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def fuzz(host: str, port: int, requests: FuzzedRequests, count: int, findings: Findings | None = None) -> Findings:
    """Send `count` of the requests, after some that create rows, and check the responses."""
    findings = findings or Findings()
    connection = RawConnection(host, port)
    for request in (requests.right(path) for path in RIGHT * 6):
        response, _ = connection.ask(b"POST", request)
        requests.remember(response.getheader("ETag"), response.getheader("Location"))
    for method, request in islice(requests, count):
        try:
            response, body = connection.ask(method, request)
        except (OSError, http.client.HTTPException) as error:
            findings.faults.append(f"{type(error).__name__} {error}: {request[:_SHOWN]!r}")
            continue
        findings.statuses[response.status] += 1
        requests.remember(response.getheader("ETag"), response.getheader("Location"))
        for fault in faults_of(response, body):
            findings.faults.append(f"{fault}: {request[:_SHOWN]!r}")
    connection.close()
    return findings


def faults_of(response: http.client.HTTPResponse, body: bytes) -> Iterable[str]:
    """The faults of a response, for any request."""
    if response.status >= 500:
        yield f"{response.status} {body[:300]!r}"
    if response.status >= 400 and len(body) > LARGEST_REFUSAL:
        yield f"{response.status} of {len(body)} bytes"
    if "json" in (response.getheader("Content-Type") or "") and body and response.getheader("Content-Encoding") is None:
        try:
            json.loads(body)
        except ValueError:
            yield f"{response.status} with a body that is no JSON: {body[:300]!r}"


def document_of(host: str, port: int) -> dict[str, object]:
    """The OpenAPI document of the shop."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    connection.request("GET", "/openapi.json")
    document: dict[str, object] = json.loads(connection.getresponse().read())
    connection.close()
    return document


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000, help="how many are sent")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the requests")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    findings = Findings()
    with tempfile.TemporaryFile() as log:
        with production_shop(1, log.fileno(), LOG_FORMAT="json") as shop:
            requests = FuzzedRequests(operations_of(document_of(shop.host, shop.port)), options.seed)
            for sent in range(0, options.requests, 5000):
                fuzz(shop.host, shop.port, requests, min(5000, options.requests - sent), findings)
                print(f"{sum(findings.statuses.values()):,} answers, {len(findings.faults)} faults", flush=True)
        log.seek(0)
        findings.faults += [f"in the log: {line.decode()[:_SHOWN]}" for line in log if b'"level":"ERROR"' in line]
    print("  ".join(f"{status}: {count:,}" for status, count in sorted(findings.statuses.items())))
    for fault in findings.faults[:100]:
        print(fault)
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
