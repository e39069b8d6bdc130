"""Each part of uvicorn's inside that the shop uses is as it was. What fails here names the part that another version changed.

After an upgrade that fails: compare the part with what `infrastructure/server/uvicorn_internals.py` does with it or instead of
it, and then write down here what it is now.
"""

import ast
import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httptools
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.supervisors.statreload import StatReload

from config.settings import PROJECT_ROOT
from tests.infrastructure.server.pipe import Connection

pytestmark = [pytest.mark.unit, pytest.mark.anyio]

CLASSES = {
    kind.__name__: kind for kind in (FlowControl, HttpToolsProtocol, RequestResponseCycle, StatReload, uvicorn.Server)
}

# What is called or overridden.
PARAMETERS = {
    "HttpToolsProtocol.__init__": ("self", "config", "server_state", "app_state", "_loop"),
    "HttpToolsProtocol.connection_made": ("self", "transport"),
    "HttpToolsProtocol.connection_lost": ("self", "exc"),
    "HttpToolsProtocol.data_received": ("self", "data"),
    "HttpToolsProtocol.on_message_begin": ("self",),
    "HttpToolsProtocol.on_headers_complete": ("self",),
    "HttpToolsProtocol.on_body": ("self", "body"),
    "HttpToolsProtocol.on_message_complete": ("self",),
    "HttpToolsProtocol.on_response_complete": ("self",),
    "HttpToolsProtocol.send_400_response": ("self", "msg"),
    "HttpToolsProtocol.timeout_keep_alive_handler": ("self",),
    "HttpToolsProtocol._start_asgi_task": ("self", "cycle", "app"),
    "HttpToolsProtocol._unset_keepalive_if_required": ("self",),
    "HttpToolsProtocol._unsupported_upgrade_warning": ("self",),
    "FlowControl.__init__": ("self", "transport"),
    "FlowControl.pause_reading": ("self",),
    "FlowControl.resume_reading": ("self",),
    "RequestResponseCycle.__init__": (
        *("self", "scope", "transport", "flow", "logger", "access_logger", "access_log", "default_headers"),
        *("message_event", "expect_100_continue", "keep_alive", "on_response"),
    ),
    "RequestResponseCycle.run_asgi": ("self", "app"),
    "Server.startup": ("self", "sockets"),
    "Server.shutdown": ("self", "sockets"),
    "StatReload.__init__": ("self", "config", "target", "sockets"),
    "StatReload.pause": ("self",),
    "StatReload.iter_py_files": ("self",),
    "StatReload.run": ("self",),
}

# What the shop does in other words, without calling it, or builds upon: any change may be one to follow.
CODE = {
    "HttpToolsProtocol.connection_lost": "74b41526f21b5b38",
    "HttpToolsProtocol.data_received": "77d64a8ed713b585",
    "HttpToolsProtocol.on_message_begin": "20a27ece9e762ed0",
    "HttpToolsProtocol.on_headers_complete": "8340d55da54aaa1d",
    "HttpToolsProtocol.on_response_complete": "711703bdb94f59ec",
    "HttpToolsProtocol.timeout_keep_alive_handler": "347bfacb1966906c",
    "HttpToolsProtocol.shutdown": "1289206de08e725a",
    "HttpToolsProtocol._unset_keepalive_if_required": "8badb0af681243a5",
    "HttpToolsProtocol._start_asgi_task": "2cd446b5c6bbdcbc",
    "FlowControl.resume_reading": "a7ad58bdb0ba85cc",
    "RequestResponseCycle.__init__": "3fe4fe02c3e8378a",
    "RequestResponseCycle.send": "037826b6d0103a80",
    "RequestResponseCycle.receive": "e8e7d1f9ef89838e",
}

# What is read or set, while a first request is answered and the beginning of a second has come.
OF_A_CONNECTION: dict[str, type | tuple[type, ...]] = {
    "access_log": bool,
    "access_logger": logging.Logger,
    "app": object,
    "client": tuple,
    "connections": set,
    "cycle": RequestResponseCycle,
    "flow": FlowControl,
    "limit_concurrency": int,
    "logger": logging.Logger,
    "headers": list,
    "loop": asyncio.AbstractEventLoop,
    "pipeline": deque,
    "scope": dict,
    "server_state": uvicorn.server.ServerState,
    "tasks": set,
    "parser": httptools.HttpRequestParser,
    "timeout_keep_alive": (int, float),
    "timeout_keep_alive_task": (asyncio.TimerHandle, type(None)),
    "transport": asyncio.Transport,
}
OF_A_CYCLE: dict[str, type | tuple[type, ...]] = {
    "chunked_encoding": (bool, type(None)),
    "default_headers": list,
    "disconnected": bool,
    "expected_content_length": int,
    "flow": FlowControl,
    "keep_alive": bool,
    "message_event": asyncio.Event,
    "more_body": bool,
    "on_response": object,
    "response_complete": bool,
    "response_started": bool,
    "scope": dict,
    "transport": asyncio.Transport,
    "waiting_for_100_continue": bool,
}
OF_A_FLOW: dict[str, type] = {"read_paused": bool, "write_paused": bool}
OF_A_STATE: dict[str, type] = {"default_headers": list, "total_requests": int}
OF_A_SERVER: dict[str, type] = {"force_exit": bool, "server_state": uvicorn.server.ServerState, "started": bool}
OF_A_CONFIG = ("get_loop_factory", "http_protocol_class", "limit_concurrency", "load", "loaded_app")
OF_A_SCOPE = ("client", "headers", "http_version", "method", "path", "query_string", "raw_path", "state", "type")


def function_of(name: str) -> Any:
    kind, _, function = name.partition(".")
    assert hasattr(CLASSES[kind], function), f"uvicorn has no {name} any more"
    return getattr(CLASSES[kind], function)


def code_of(function: Any) -> str:
    """A digest of the lines of `function`, comments and their blanks left out."""
    lines = (line.partition("  #")[0].strip() for line in inspect.getsource(function).splitlines())
    return sha256("\n".join(line for line in lines if line and not line.startswith("#")).encode()).hexdigest()[:16]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def connection() -> Connection:
    connection = Connection(HttpToolsProtocol, limit_concurrency=10)
    await connection.feed(
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /b?c HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx"
    )
    return connection


def check(holder: object, name: str, kind: type | tuple[type, ...]) -> None:
    assert hasattr(holder, name), f"uvicorn has no {type(holder).__name__}.{name} any more"
    assert isinstance(getattr(holder, name), kind), f"uvicorn changed {type(holder).__name__}.{name}"


@pytest.mark.parametrize("name", PARAMETERS)
def test_what_is_called_or_overridden_has_the_same_parameters(name: str) -> None:
    found = tuple(inspect.signature(function_of(name)).parameters)
    assert found == PARAMETERS[name], f"uvicorn changed {name}"


@pytest.mark.parametrize("name", CODE)
def test_what_is_done_in_other_words_is_the_same(name: str) -> None:
    function = function_of(name)
    assert code_of(function) == CODE[name], f"uvicorn changed {name}:\n{inspect.getsource(function)}"


@pytest.mark.parametrize("name", OF_A_CONNECTION)
async def test_a_connection_has_its_attributes(connection: Connection, name: str) -> None:
    check(connection.protocol, name, OF_A_CONNECTION[name])


@pytest.mark.parametrize("name", OF_A_CYCLE)
async def test_a_request_and_its_response_have_their_attributes(connection: Connection, name: str) -> None:
    check(connection.protocol.cycle, name, OF_A_CYCLE[name])


@pytest.mark.parametrize("name", OF_A_SCOPE)
async def test_a_scope_has_its_members(connection: Connection, name: str) -> None:
    assert name in connection.protocol.scope, f"uvicorn changed scope[{name!r}]"


@pytest.mark.parametrize("name", OF_A_FLOW)
async def test_the_flow_has_its_attributes(connection: Connection, name: str) -> None:
    check(connection.protocol.flow, name, OF_A_FLOW[name])


@pytest.mark.parametrize("name", OF_A_STATE)
async def test_the_state_of_a_server_has_its_attributes(connection: Connection, name: str) -> None:
    check(connection.protocol.server_state, name, OF_A_STATE[name])


@pytest.mark.parametrize("name", OF_A_SERVER)
def test_a_server_has_its_attributes(name: str) -> None:
    check(uvicorn.Server(uvicorn.Config(_application)), name, OF_A_SERVER[name])


@pytest.mark.parametrize("name", OF_A_CONFIG)
def test_a_config_has_its_attributes(name: str) -> None:
    config = uvicorn.Config(_application, log_config=None)
    config.load()
    assert hasattr(config, name), f"uvicorn changed Config.{name}"


def test_status_lines_are_whole_lines() -> None:
    assert (STATUS_LINE[200], STATUS_LINE[599]) == (b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 599 \r\n")


def test_one_module_knows_the_inside_of_uvicorn() -> None:
    documented = {"uvicorn", "uvicorn.Config", "uvicorn.Server", "uvicorn.run"}
    found = {
        (str(path.relative_to(PROJECT_ROOT)), name)
        for path in _sources()
        for name in _imported(path)
        if name.partition(".")[0] == "uvicorn" and name not in documented
    }
    assert {path for path, _ in found} == {"infrastructure/server/uvicorn_internals.py"}, found


async def _application(scope: Scope, receive: Receive, send: Send) -> None:
    """Is never called."""


def _sources() -> Iterator[Path]:
    yield from PROJECT_ROOT.glob("*.py")
    for folder in PROJECT_ROOT.iterdir():
        if folder.is_dir() and not folder.name.startswith((".", "tests", "node_modules")):
            yield from folder.rglob("*.py")


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
