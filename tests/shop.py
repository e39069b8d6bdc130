"""The shop as tests meet it: in a thread of the test's process, or as real worker processes."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import httpx
import pytest
import uvicorn

from application import resources
from config.settings import PROJECT_ROOT, read_settings
from infrastructure.cache.gateway import CALL_SECONDS, RedisGateway
from infrastructure.server.http_protocol import ShopProtocol
from main import create_fastapi_app

# How long a start may take on a very busy machine; how long it should take is for others to say.
START_SECONDS = 90

# How long a shop waits for Redis where a busy machine must not pass for a Redis that is away.
PATIENT_REDIS_SECONDS = 30

_LIMITS_OF_ROUTES = ("RATE_LIMIT_LOGIN", "RATE_LIMIT_LOGIN_ADDRESS", "RATE_LIMIT_REGISTER", "RATE_LIMIT_REFRESH")


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port for a shop to listen on, which nobody else on this machine is given meanwhile."""
    with socket.socket() as holder:
        # With this option on both sides another socket may be bound beside one that does not listen.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def environment_of(database_url: str, redis_url: str | None, folder: Path, **settings: str) -> dict[str, str]:
    """The settings of a shop on these servers; rate limits do not apply to the test unless it asks for them."""
    redis = {"REDIS_ENABLED": "false"} if redis_url is None else {"REDIS_URL": redis_url}
    return {
        "DATABASE_URL": database_url,
        **redis,
        "LOG_DIR": str(folder / "logs"),
        "RATE_LIMIT_EXEMPT": "127.0.0.0/8",
        # These hold for exempt networks too.
        **dict.fromkeys(_LIMITS_OF_ROUTES, "100000/60"),
        "DRAIN_SECONDS": "0.1",
        "BACKGROUND_WORKERS": "0",
        "AUTH": "off",
        "SECRET_KEYS": "only-for-tests-0123456789abcdef0123456789",
        **settings,
    }


@contextmanager
def shop_in_thread(
    environment: dict[str, str], root_path: str = "", redis_seconds: float = CALL_SECONDS
) -> Iterator[str]:
    """The URL of a shop that one thread of this process serves, where coverage sees it.

    `root_path` is what a proxy would take off the paths that clients use, `redis_seconds` how long Redis is waited for.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resources, "RedisGateway", partial(RedisGateway, timeout=redis_seconds))
        app = create_fastapi_app(read_settings(environment))
    with reserved_port() as port:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                port=port,
                http=ShopProtocol,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                root_path=root_path,
            )
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(url)
            yield url
        finally:
            server.should_exit = True
            thread.join(60)


@contextmanager
def shop_processes(
    environment: dict[str, str], workers: int = 2, open_files: int | None = None, errors: Path | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The URL of a production server with real worker processes, and its launcher.

    No process of it may have more than `open_files`; standard error goes to the file `errors`.
    """
    limited = () if open_files is None else ("sh", "-c", f'ulimit -n {open_files}; exec "$@"', "sh")
    with reserved_port() as port, errors.open("wb") if errors else nullcontext() as stderr:
        process = subprocess.Popen(
            [*limited, sys.executable, str(PROJECT_ROOT / "run_production.py")],
            env={
                **os.environ,
                **environment,
                "API_HOST": "127.0.0.1",
                "API_PORT": str(port),
                "UVICORN_WORKERS": str(workers),
            },
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(url, process)
            yield url, process
        finally:
            process.terminate()
            process.wait(90)


def wait_until_ready(url: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return once the shop can serve; fail when it does not within the bound."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process is None or process.poll() is None, "the shop ended at its start"
        try:
            if httpx.get(f"{url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the shop was not ready within {START_SECONDS} s")
