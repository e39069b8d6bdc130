"""The loads: that what they count is what the server saw."""

import shutil
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from benchmarks.load_generators import generator_for, run_load
from benchmarks.raw_requests import MARK, Scenario, blend, raw_request
from tests.scripts.small_server import Answer, Answering, Request, serving

pytestmark = pytest.mark.unit

CONNECTIONS = 3


@pytest.fixture(params=["wrk", "asyncio"])
def generator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    if name == "asyncio":
        monkeypatch.setattr(shutil, "which", no_program)
    elif shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")
    return name


def no_program(name: str) -> None:
    return None


def loaded(scenario: Scenario, answering: Answering) -> tuple[list[Request], int, int]:
    """What the server saw of a load of a second, and the load's own counts of requests and errors."""
    seen: list[Request] = []

    def noting(request: Request) -> Answer | None:
        seen.append(request)
        return answering(request)

    with serving(noting) as url:
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        load = run_load(scenario, address.hostname, address.port, 1, CONNECTIONS)
    assert 0 < load.p50_ms <= load.p99_ms
    return seen, load.requests, load.errors


def test_every_request_is_sent_and_counted(generator: str) -> None:
    scenario = Scenario("two", [raw_request("GET", "/one"), raw_request("POST", "/two", {"name": MARK})])
    assert generator_for(scenario) == generator
    seen, requests, errors = loaded(scenario, always(200))
    assert errors == 0
    assert 0 <= len(seen) - requests <= CONNECTIONS
    targets = Counter((request.method, request.target) for request in seen)
    assert abs(targets["GET", "/one"] - targets["POST", "/two"]) <= CONNECTIONS
    bodies = [request.body for request in seen if request.method == "POST"]
    assert MARK.encode() not in b"".join(bodies)
    assert len(set(bodies)) == len(bodies)


def test_an_unexpected_status_is_an_error(generator: str) -> None:
    _, requests, errors = loaded(Scenario("one", [raw_request("GET", "/")], frozenset({201})), always(200))
    assert errors == requests > 0


def test_wrk_is_spared_answers_without_the_body_they_speak_of() -> None:
    assert generator_for(Scenario("heads", [raw_request("HEAD", "/")])) == "asyncio"


def test_a_blend_has_the_shares_it_was_given() -> None:
    mixed = blend([(900, [b"a", b"b"]), (100, [b"c"])])
    assert Counter(mixed) == {b"a": 450, b"b": 450, b"c": 100}
    assert mixed != sorted(mixed)
    with pytest.raises(ValueError, match="999"):
        blend([(999, [b"a"])])


def always(status: int) -> Callable[[Request], Answer]:
    def answer(_: Request) -> Answer:
        return Answer(status)

    return answer
