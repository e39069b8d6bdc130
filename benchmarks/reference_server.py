"""The servers that the shop is compared with, each a small application served with the settings of the shop's workers.

`benchmarks.bare_route` is what FastAPI can do, `benchmarks.empty_application` what ASGI can do. `python -m MODULE PORT`
serves one of them.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from benchmarks.load_generators import run_load
from benchmarks.production_shop import free_port, wait_for_answer
from benchmarks.raw_requests import Scenario, raw_request
from config.settings import PROJECT_ROOT

PATH = "/reference"
# As long as a product.
BODY = b'{"id_key":1,"name":"Product 000001","description":"%s","price":9.99,"stock":100}' % (b"x" * 150)

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference that is being served: its process and its port."""

    pid: int
    port: int

    def requests_per_second(self, seconds: float, connections: int) -> float:
        """What it does with this number of connections."""
        scenario = Scenario("reference", [raw_request("GET", PATH)])
        return run_load(scenario, _HOST, self.port, seconds, connections).per_second


@contextmanager
def reference_server(module: str) -> Iterator[Reference]:
    """A process that serves the application of `module`; it ends with the block."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", module, str(port)], cwd=PROJECT_ROOT)
    try:
        wait_for_answer(process, f"http://{_HOST}:{port}{PATH}")
        yield Reference(process.pid, port)
    finally:
        process.terminate()
        process.wait(30)


def serve(app: Any) -> None:
    """Serve the application on the port of the command line."""
    uvicorn.run(
        app,
        host=_HOST,
        port=int(sys.argv[1]),
        loop="auto",
        http="httptools",
        ws="none",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
    )
