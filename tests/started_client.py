"""FastAPI's test client for tests that are written as its documentation writes them.

    client = TestClient(create_fastapi_app())

    def test_products() -> None:
        assert client.get("/products").status_code == 200

Without `with`, the client of the library never starts the application, which then has neither database nor cache. This
one starts it at its first request, on servers of the test run, and stops it at the end of the run.
"""

import atexit
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fastapi.testclient
import starlette.testclient
from httpx import Response

_FOLDER = "SHOP_TEST_FOLDER"

_started = ExitStack()


class StartedTestClient(starlette.testclient.TestClient):
    """A test client whose application runs from its first request on."""

    def request(self, *args: Any, **kwargs: Any) -> Response:
        if self.portal is None:
            _started.enter_context(self)
        response: Response = super().request(*args, **kwargs)
        return response


def install() -> None:
    """Give the tests this client under the library's names, and applications of default settings a folder of the run."""
    fastapi.testclient.TestClient = starlette.testclient.TestClient = StartedTestClient  # type: ignore[misc]
    if _FOLDER not in os.environ:
        # The processes of a parallel run inherit it, and share the servers in it.
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="shop-tests-")
        atexit.register(shutil.rmtree, os.environ[_FOLDER], ignore_errors=True)
    folder = Path(os.environ[_FOLDER])
    os.environ |= {"DATA_DIR": str(folder / "data"), "LOG_DIR": str(folder / "logs")}


def stop_all() -> None:
    """Stop every application that a client has started."""
    _started.close()
