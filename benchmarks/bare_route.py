"""The baseline of the benchmarks: a bare FastAPI route that returns constant bytes.

`python -m benchmarks.bare_route PORT` serves it with the settings of the shop's workers, and no middleware.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from starlette.responses import Response

from benchmarks.load_generators import run_load
from benchmarks.production_shop import free_port, wait_for_answer
from benchmarks.raw_requests import Scenario, raw_request
from config.settings import PROJECT_ROOT

PATH = "/bare"
_HOST = "127.0.0.1"

# As long as a product.
_BODY = b'{"id_key":1,"name":"Product 000001","description":"%s","price":9.99,"stock":100}' % (b"x" * 150)

app = FastAPI(openapi_url=None)


@app.get(PATH)
async def bare() -> Response:
    return Response(_BODY, media_type="application/json")


@contextmanager
def bare_server() -> Iterator[tuple[int, int]]:
    """A process that serves the route, as its pid and port; it ends with the block."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.bare_route", str(port)], cwd=PROJECT_ROOT)
    try:
        wait_for_answer(process, f"http://{_HOST}:{port}{PATH}")
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(30)


def bare_requests_per_second(port: int, seconds: float, connections: int) -> float:
    """The requests per second of the route on `port`, with this number of connections."""
    scenario = Scenario("bare", [raw_request("GET", PATH)])
    return run_load(scenario, _HOST, port, seconds, connections).per_second


if __name__ == "__main__":
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
