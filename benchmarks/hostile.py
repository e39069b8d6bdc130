"""Hostile requests: how long one of them blocks the worker for other clients, and how much memory it takes.

    python -m benchmarks.hostile
    python -m benchmarks.hostile --only fractions --rounds 3

One worker of the production server on embedded servers in a temporary folder gets every shape of
`benchmarks.hostile_bodies`, one after the other, while a second connection requests `/health/live` all the time. The
memory is the peak of the worker (on Linux) above its level before. Exits with 1 when a request blocked the worker for
longer than 50 ms, took more than 8 times its size and 16 MB, or had an error response of more than 64 KB or a 500. The
waits are those of this machine: run it where nothing else runs.
"""

import argparse
import http.client
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cores import cpu_seconds
from benchmarks.hostile_bodies import MEBIBYTE, Hostile, shapes
from benchmarks.production_shop import Shop, production_shop
from benchmarks.record import save

LONGEST_WAIT_MS = 50
LARGEST_REFUSAL = 64 * 1024
_SECONDS = 120


def memory_bound(size: int) -> float:
    """The megabytes that a request of `size` bytes may take."""
    return 8 * size / MEBIBYTE + 16


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one request: the longest wait of another client, CPU and memory of the worker, bytes of the response."""

    status: int
    response_bytes: int
    wait_ms: float
    cpu_ms: float
    megabytes: float

    def faults(self, hostile: Hostile) -> list[str]:
        """The limits that the request has exceeded."""
        found = {
            f"held for {self.wait_ms:.0f} ms": self.wait_ms > LONGEST_WAIT_MS,
            f"took {self.megabytes:.0f} MB": self.megabytes > memory_bound(hostile.size),
            f"answered {self.response_bytes} bytes": self.status >= 400 and self.response_bytes > LARGEST_REFUSAL,
            f"answered {self.status}": self.status >= 500 or (self.status >= 400 and hostile.is_valid),
        }
        return [fault for fault, is_one in found.items() if is_one]


def send(shop: Shop, hostile: Hostile) -> tuple[int, int]:
    """The status of the response, and its length in bytes."""
    connection = http.client.HTTPConnection(shop.host, shop.port, timeout=_SECONDS)
    try:
        connection.request(hostile.method, hostile.path, hostile.body, hostile.headers)
        response = connection.getresponse()
        return response.status, len(response.read())
    except ConnectionError:
        # A client that is refused in the middle of a request may not get the response.
        return 400, 0
    finally:
        connection.close()


@contextmanager
def probing(shop: Shop, waits: list[float]) -> Iterator[None]:
    """Request `/health/live` all the time, and record the time of each response in milliseconds."""
    ended = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection(shop.host, shop.port, timeout=_SECONDS)
        while not ended.is_set():
            started = time.perf_counter()
            connection.request("GET", "/health/live")
            connection.getresponse().read()
            waits.append((time.perf_counter() - started) * 1000)
            time.sleep(0.001)
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def peak_megabytes(process: int) -> float:
    """The peak memory of the process since `forget_peak`, in units of 2**20 bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def forget_peak(process: int) -> float:
    """Reset the peak memory of the process; its current memory."""
    Path(f"/proc/{process}/clear_refs").write_text("5")
    return peak_megabytes(process)


def measure(shop: Shop, worker: int, hostile: Hostile) -> Cost:
    """The cost of the request."""
    waits: list[float] = []
    before, cpu = forget_peak(worker), cpu_seconds([worker])
    with probing(shop, waits):
        status, size = send(shop, hostile)
    cpu_ms = (cpu_seconds([worker]) - cpu) * 1000
    return Cost(status, size, max(waits, default=0.0), cpu_ms, peak_megabytes(worker) - before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="shapes with this in their names")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is sent; the least of its costs counts")
    options = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    failed = 0
    with production_shop(1) as shop:
        (worker,) = shop.workers()
        send(shop, Hostile("POST", "/categories", b'{"name":"Shelf"}', {"Content-Type": "application/json"}))
        for name, make in shapes().items():
            if options.only not in name:
                continue
            hostile = make()
            costs = [measure(shop, worker, make()) for _ in range(options.rounds)]
            cost = min(costs, key=lambda one: (len(one.faults(hostile)), one.wait_ms))
            faults = cost.faults(hostile)
            failed += bool(faults)
            figures[name] = {"wait_ms": round(cost.wait_ms, 1), "megabytes": round(cost.megabytes, 1)}
            print(
                f"{name:42} {hostile.size / MEBIBYTE:6.2f} MiB  {cost.status}  {cost.response_bytes:9,} bytes "
                f"{cost.wait_ms:7.1f} ms {cost.cpu_ms:6.0f} ms CPU {cost.megabytes:6.1f} MB  {'; '.join(faults)}",
                flush=True,
            )
    save("hostile", vars(options), figures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
