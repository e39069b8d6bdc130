"""A real nginx in front of a shop, with the configuration of a test's own."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.shop import START_SECONDS, reserved_port

needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")

_CONFIGURATION = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream shop {{ server {upstream}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        {locations}
    }}
}}
"""


@contextmanager
def nginx_before(
    upstream: str, folder: Path, locations: str = "location / { proxy_pass http://shop; }"
) -> Iterator[str]:
    """The URL of an nginx before `upstream`, which is 127.0.0.1:8000 or unix:/path."""
    with reserved_port() as port:
        configuration = folder / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(folder=folder, upstream=upstream, port=port, locations=locations)
        )
        process = subprocess.Popen(
            ["nginx", "-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log")]
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "nginx ended at its start"
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"nginx was not there within {START_SECONDS} s")
