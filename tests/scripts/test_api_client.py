"""The scripts' client against a server that misbehaves on purpose."""

import asyncio
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.json_codec import to_json
from scripts.api_client import ApiClient, run_script
from scripts.api_errors import EXIT_CANNOT, ApiUnreachable, RateLimited, Refused, ScriptError
from tests.scripts.small_server import Answer, Request, serving

pytestmark = pytest.mark.unit


@given(st.decimals("0.01", "9999999999.99", places=2))
def test_money_goes_out_digit_by_digit(amount: Decimal) -> None:
    assert to_json({"price": amount}).decode() == f'{{"price":{amount:f}}}'
    assert json.loads(to_json([amount]), parse_float=Decimal) == [amount]


def test_money_comes_in_exact() -> None:
    with serving(lambda _: Answer(200, b'{"price": 9999999999.99}')) as url:
        assert asyncio.run(_get(url))["price"] == Decimal("9999999999.99")


def test_a_lost_answer_is_asked_for_again_under_the_same_key() -> None:
    seen: list[str] = []

    def answering(request: Request) -> Answer | None:
        seen.append(request.headers["Idempotency-Key"])
        return [None, Answer(503, b"busy"), Answer(409, b'{"code": "request_in_progress"}'), Answer(201)][len(seen) - 1]

    with serving(answering) as url:
        asyncio.run(_post(url))
    assert len(seen) == 4
    assert len(set(seen)) == 1


def test_two_rows_have_two_keys() -> None:
    seen: list[str] = []

    def answering(request: Request) -> Answer:
        seen.append(request.headers["Idempotency-Key"])
        return Answer(201)

    with serving(answering) as url:
        asyncio.run(_post(url))
        asyncio.run(_post(url))
    assert len(set(seen)) == 2


def test_patience_ends_with_one_line() -> None:
    away = Answer(503, b'{"detail": "The database is away"}')
    complaint = r"gave no answer to GET /things/1 .*503 The database is away"
    with serving(lambda _: away) as url, pytest.raises(ApiUnreachable, match=complaint):
        asyncio.run(_get(url, retry_seconds=0.3))


def test_nobody_at_the_address_is_said_at_once() -> None:
    with pytest.raises(ApiUnreachable, match=r"No shop answers at http://127\.0\.0\.1:1 "):
        asyncio.run(_check("http://127.0.0.1:1"))
    with pytest.raises(ApiUnreachable, match=r"No shop answers at http://127\.0\.0\.1:1 "):
        asyncio.run(_check("http://ada:secret-word@127.0.0.1:1"))
    with pytest.raises(ApiUnreachable, match="is not an address"):
        asyncio.run(_check("http://127.0.0.1:eighty"))


def test_another_server_at_the_address_is_noticed() -> None:
    with serving(lambda _: Answer(200, b"<html>")) as url, pytest.raises(ScriptError, match="did not answer with JSON"):
        asyncio.run(_check(url))


def test_the_rate_limit_ends_the_script_and_names_the_remedy() -> None:
    requests: list[Request] = []

    def answering(request: Request) -> Answer:
        requests.append(request)
        return Answer(429, b'{"detail": "Rate limit exceeded."}', {"Retry-After": "30"})

    with serving(answering) as url, pytest.raises(RateLimited, match=r"RATE_LIMIT_EXEMPT=127\.0\.0\.1/32"):
        asyncio.run(_post(url))
    assert len(requests) == 1


def test_a_refusal_carries_what_the_api_said() -> None:
    body = json.dumps({"code": "price_mismatch", "detail": "Price mismatch.\nExpected 1.00, got 2.00"}).encode()
    with serving(lambda _: Answer(400, body)) as url, pytest.raises(Refused) as caught:
        asyncio.run(_post(url))
    assert (caught.value.status, caught.value.code, caught.value.replayed) == (400, "price_mismatch", False)
    assert str(caught.value) == "POST /things was refused with 400: Price mismatch. Expected 1.00, got 2.00"


def test_a_stored_answer_that_no_longer_holds_is_not_believed() -> None:
    """A replayed refusal and a replayed row that was deleted each lead to a new attempt."""
    keys: list[str] = []

    def answering(request: Request) -> Answer:
        if request.method == "GET":
            return Answer(404, b'{"code": "not_found"}')
        keys.append(request.headers["Idempotency-Key"])
        replayed = {"Idempotent-Replayed": "true"}
        return [
            Answer(400, b'{"code": "price_mismatch"}', replayed),
            Answer(201, b'{"id_key": 4}', replayed),
            Answer(201, b'{"id_key": 5}'),
        ][len(keys) - 1]

    with serving(answering) as url:
        assert asyncio.run(_create_once(url)) == {"id_key": 5}
    assert keys == ["line-1", "line-2", "line-3"]


def test_a_stored_row_that_is_still_there_is_taken() -> None:
    def answering(request: Request) -> Answer:
        return Answer(200 if request.method == "GET" else 201, b'{"id_key": 4}', {"Idempotent-Replayed": "true"})

    with serving(answering) as url:
        assert asyncio.run(_create_once(url)) == {"id_key": 4}


def test_every_page_is_read_once() -> None:
    rows = [{"id_key": 3 * number + 1} for number in range(2500)]

    def answering(request: Request) -> Answer:
        after = int(request.target.partition("after=")[2] or 0)
        return Answer(200, to_json([row for row in rows if row["id_key"] > after][:1000]))

    with serving(answering) as url:
        assert asyncio.run(_pages(url)) == rows


def test_an_expected_failure_is_one_line() -> None:
    async def work() -> int:
        raise RateLimited

    errors = io.StringIO()
    assert run_script(work, errors) == EXIT_CANNOT
    assert errors.getvalue().count("\n") == 1


async def _get(url: str, retry_seconds: float = 5.0) -> Any:
    async with ApiClient(url, retry_seconds=retry_seconds) as api:
        return await api.get("/things/1")


async def _post(url: str) -> None:
    async with ApiClient(url) as api:
        await api.post("/things", {"name": "x"})


async def _check(url: str) -> None:
    async with ApiClient(url) as api:
        await api.check()


async def _create_once(url: str) -> Any:
    async with ApiClient(url) as api:
        return await api.create_once("/things", {"name": "x"}, "line")


async def _pages(url: str) -> list[dict[str, Any]]:
    async with ApiClient(url) as api:
        return [row async for row in api.pages("/things")]
