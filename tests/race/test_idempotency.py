"""One key, many hands: the work is done once, and everybody who asks again learns what came of it."""

from collections.abc import Callable

import httpx
import pytest

from tests.race.crowd import Call, Outcome, send_from_processes, send_together, statuses
from tests.race.goods import Goods, unique

pytestmark = [pytest.mark.race, pytest.mark.integration]


def first_and_others(outcomes: list[Outcome], status: int) -> tuple[Outcome, list[Outcome]]:
    """The one that did the work, and those that were told about it or asked to wait."""
    done = [
        outcome for outcome in outcomes if outcome.status == status and "idempotent-replayed" not in outcome.headers
    ]
    assert len(done) == 1
    others = [outcome for outcome in outcomes if outcome is not done[0]]
    for other in others:
        if other.headers.get("idempotent-replayed") == "true":
            assert (other.status, other.body) == (status, done[0].body)
        else:
            assert other.status == 409
            assert other.headers["retry-after"] == "1"
            assert other.body["code"] == "request_in_progress"
    return done[0], others


@pytest.mark.parametrize("send", [send_together, send_from_processes], ids=["threads", "processes"])
def test_fifty_times_the_same_key_make_one_order(
    race_url: str, http: httpx.Client, goods: Goods, send: Callable[[str, list[Call]], list[Outcome]]
) -> None:
    product = goods.product(stock=50)
    call = Call("POST", "/checkout", goods.cart((product, 1)), {"Idempotency-Key": unique("key")})
    done, _ = first_and_others(send(race_url, [call] * 50), 201)
    assert goods.stock(product) == 49
    assert len(http.get("/order_details", params={"product_id": product}).json()) == 1

    (again,) = send_together(race_url, [call])
    assert (again.status, again.body) == (201, done.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == done.headers["location"]


def test_a_refusal_is_kept_once(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=1)
    call = Call("POST", "/checkout", goods.cart((product, 2)), {"Idempotency-Key": unique("key")})
    outcomes = send_together(race_url, [call] * 20)
    refused, _ = first_and_others(outcomes, 400)
    http.post(f"/products/{product}/stock", json={"delta": 5})
    (again,) = send_together(race_url, [call])
    assert (again.status, again.body) == (400, refused.body)
    assert goods.stock(product) == 6


def test_another_request_with_the_key_never_does_its_work(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=50)
    key = {"Idempotency-Key": unique("key")}
    calls = [Call("POST", "/checkout", goods.cart((product, quantity)), key) for quantity in range(1, 21)]
    outcomes = send_together(race_url, calls)
    assert statuses(outcomes)[0] == 201
    assert set(statuses(outcomes)[1:]) <= {409, 422}
    (line,) = http.get("/order_details", params={"product_id": product}).json()
    assert goods.stock(product) == 50 - line["quantity"]


def test_many_keys_at_once_are_many_orders(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=100)
    calls = [Call("POST", "/checkout", goods.cart((product, 1)), {"Idempotency-Key": unique("key")}) for _ in range(12)]
    outcomes = send_together(race_url, calls * 4)
    assert len({outcome.body["id_key"] for outcome in outcomes if outcome.status == 201}) == 12
    assert goods.stock(product) == 88
