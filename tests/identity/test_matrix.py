"""Every operation, called by every kind of caller, on the fast path and past it, with Redis and without.

A new operation needs a line in `tests/identity/operations.py` and, if it takes a body, one in `matrix_requests.py`.
"""

import http.client
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from starlette.routing import Route

from config.settings import read_settings
from infrastructure.embedded.servers import ServerUrls
from main import create_fastapi_app
from tests.guarded_shop import GuardedShop, guarded_processes
from tests.identity.matrix_callers import KINDS, NOBODY, OTHER, Callers, expected, headers_of
from tests.identity.matrix_requests import Rows
from tests.identity.operations import BESIDE, DOCUMENTED, Operation
from tests.identity.shelf import Shelf
from tests.race.databases import new_database

# Every caller, and whoever calls from an exempt network too, sends more here than in a day of work.
UNLIMITED = {"RATE_LIMIT_CALLS_AUTHENTICATED": "1000000"}


# The same read in ways that the shop answers differently: by what it remembers, or by the layers and the route. The first
# two come again, so that what they were answered is met.
def ways(host: str) -> Sequence[tuple[str, str, Sequence[tuple[str, str]]]]:
    again = [("GET", "GET", ()), ("GET with an Origin", "GET", [("Origin", f"http://{host}")])]
    once = [("GET with a header twice", "GET", [("Accept", "*/*"), ("Accept", "*/*")]), ("HEAD", "HEAD", ())]
    return [*again, *((f"{way}, again", method, headers) for way, method, headers in again), *once]


@pytest.mark.unit
def test_the_table_has_every_operation_and_no_other() -> None:
    app = create_fastapi_app(read_settings({"REDIS_ENABLED": "false"}))
    documented = {
        f"{method.upper()} {path}"
        for path, operations in app.openapi()["paths"].items()
        for method in operations
        if method in ("get", "put", "post", "delete", "options", "head", "patch", "trace")
    }
    assert sorted(operation.name for operation in DOCUMENTED) == sorted(documented)
    routed = {
        f"{method} {route.path_format}"
        for route in app.router.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert len(app.router.routes) == len(routed)
    assert sorted(operation.name for operation in BESIDE) == sorted(routed - documented)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str


class Connection:
    """A connection that is kept, and sends headers as they are given, also twice."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self.host, timeout=30)

    def send(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: object) -> Answer:
        content = b"" if body is None else json.dumps(body).encode()
        self._connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            self._connection.putheader(name, value)
        if content or method in ("POST", "PUT", "PATCH"):
            self._connection.putheader("Content-Type", "application/json")
            self._connection.putheader("Content-Length", str(len(content)))
        self._connection.endheaders(content)
        response = self._connection.getresponse()
        lower = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, lower, response.read().decode("latin-1"))

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module", params=["redis", pytest.param("no redis", marks=pytest.mark.chaos)])
def shop(
    request: pytest.FixtureRequest, servers: ServerUrls, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedShop]:
    redis = redis_url if request.param == "redis" else None
    database, folder = new_database(servers.database_url), tmp_path_factory.mktemp("matrix")
    with guarded_processes(database, redis, folder, **UNLIMITED) as shop:
        yield shop


class Matrix:
    """The shop with what it takes to ask it everything as everybody; `wrong` is what it answered otherwise."""

    def __init__(self, shop: GuardedShop, connection: Connection) -> None:
        shelf = Shelf(shop)
        owner, other = shelf.a_customer(), shelf.a_customer()
        self._rows = Rows(shop, shelf, owner)
        self._callers = Callers(shop, shelf, owner, other)
        self._canary = owner.canary
        self._connection = connection
        self.wrong: list[str] = []

    def ask(self, operation: Operation) -> None:
        """Send the operation as everybody, in all ways, and twice if it reads."""
        if operation.method != "GET":
            for kind in KINDS:
                self._ask(operation, kind, operation.method, operation.method, ())
            return
        for way, method, headers in ways(self._connection.host):
            for kind in KINDS:
                self._ask(operation, kind, way, method, headers)

    def _ask(self, operation: Operation, kind: str, way: str, method: str, headers: Sequence[tuple[str, str]]) -> None:
        caller = self._callers.find(operation, kind)
        path, body = self._rows.path(operation), self._rows.body(operation, kind)
        # Of another version of the row: only who may delete it learns that.
        condition = [("If-Match", '"1-1"')] if operation.status == 412 else []
        answer = self._connection.send(method, path, [*headers_of(caller).items(), *headers, *condition], body)
        for problem in self._problems(operation, kind, answer, method):
            self.wrong.append(f"{operation.path} [{operation.rule}], {way}, {kind}: {problem}")

    def _problems(self, operation: Operation, kind: str, answer: Answer, method: str) -> Iterator[str]:
        wanted = expected(operation, kind)
        if answer.status != wanted.status:
            yield f"{answer.status} instead of {wanted.status}: {answer.text[:200]}"
            return
        if kind != NOBODY and answer.headers.get("cache-control") != "private, no-store":
            yield f"Cache-Control: {answer.headers.get('cache-control')}"
        challenge = answer.headers.get("www-authenticate")
        if (challenge and challenge.split(", error_description")[0]) != wanted.challenge:
            yield f"WWW-Authenticate: {challenge}"
        if wanted.code is not None and method != "HEAD":
            problem = json.loads(answer.text)
            if (problem["code"], problem.get("scope")) != (wanted.code, wanted.scope):
                yield answer.text
        if (kind in (NOBODY, OTHER) or wanted.code) and self._canary in answer.text:
            yield f"shows another's row: {answer.text[:200]}"


@pytest.mark.integration
@pytest.mark.slow
def test_everybody_may_do_what_the_table_says_and_nothing_else(shop: GuardedShop) -> None:
    with closing(Connection(shop.url)) as connection:
        matrix = Matrix(shop, connection)
        for operation in (*DOCUMENTED, *BESIDE):
            matrix.ask(operation)
    assert not matrix.wrong, "\n".join(matrix.wrong)
