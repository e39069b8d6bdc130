"""Stock under many hands: exactly what there is gets sold, and whatever comes back is there again."""

import itertools

import httpx
import pytest

from tests.race.crowd import Call, Outcome, send_from_processes, send_together, statuses, together
from tests.race.goods import Goods

pytestmark = [pytest.mark.race, pytest.mark.integration]

BUYERS, PIECES = 60, 20


def require_exactly_sold(outcomes: list[Outcome], goods: Goods, product: int) -> None:
    """Every piece has one buyer; all others were told, each in the shop's words, that there was not enough."""
    assert statuses(outcomes) == [201] * PIECES + [400] * (BUYERS - PIECES)
    refusals = {outcome.body["detail"] for outcome in outcomes if outcome.status == 400}
    assert refusals == {f"Insufficient stock for product {product}. Requested: 1, Available: 0"}
    assert goods.stock(product) == 0


def test_sixty_buyers_of_twenty_pieces_by_details(race_url: str, goods: Goods) -> None:
    product = goods.product(stock=PIECES)
    orders = [goods.order() for _ in range(BUYERS)]
    calls = [Call("POST", "/order_details", {"order_id": id_, "product_id": product, "quantity": 1}) for id_ in orders]
    require_exactly_sold(send_together(race_url, calls), goods, product)


def test_sixty_buyers_of_twenty_pieces_by_checkout(race_url: str, goods: Goods) -> None:
    product = goods.product(stock=PIECES)
    calls = [Call("POST", "/checkout", goods.cart((product, 1)))] * BUYERS
    require_exactly_sold(send_together(race_url, calls), goods, product)


def test_sixty_buyers_in_three_processes(race_url: str, goods: Goods) -> None:
    product = goods.product(stock=PIECES)
    calls = [Call("POST", "/checkout", goods.cart((product, 1)))] * BUYERS
    require_exactly_sold(send_from_processes(race_url, calls), goods, product)


def test_parallel_edits_of_quantities(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=100)
    details = [goods.detail(goods.order(), product, 5) for _ in range(4)]
    quantities = itertools.cycle([1, 30, 7, 60, 12])
    calls = [Call("PUT", f"/order_details/{id_}", {"quantity": next(quantities)}) for id_ in details * 8]
    outcomes = send_together(race_url, calls)
    assert set(statuses(outcomes)) <= {200, 400}
    left = sum(http.get(f"/order_details/{id_}").json()["quantity"] for id_ in details)
    assert goods.stock(product) == 100 - left


def test_lines_of_one_order_are_added_at_once(race_url: str, http: httpx.Client, goods: Goods) -> None:
    products = [goods.product(stock=5, price=price) for price in (1.25, 3.5)]
    order = goods.order()
    calls = [
        Call("POST", "/order_details", {"order_id": order, "product_id": product, "quantity": 1})
        for product in products * 8
    ]
    outcomes = send_together(race_url, calls)
    assert statuses(outcomes) == [201] * 10 + [400] * 6
    assert http.get(f"/orders/{order}").json()["total"] == 5 * 1.25 + 5 * 3.5


def test_products_are_exchanged_in_both_directions(race_url: str, http: httpx.Client, goods: Goods) -> None:
    lamp, chair = goods.product(stock=50), goods.product(stock=50, price=3)
    to_chairs = [goods.detail(goods.order(), lamp, 2) for _ in range(12)]
    to_lamps = [goods.detail(goods.order(), chair, 2) for _ in range(12)]
    calls = [
        *(Call("PUT", f"/order_details/{id_}", {"product_id": chair}) for id_ in to_chairs),
        *(Call("PUT", f"/order_details/{id_}", {"product_id": lamp}) for id_ in to_lamps),
    ]
    assert statuses(send_together(race_url, calls)) == [200] * 24
    assert [goods.stock(lamp), goods.stock(chair)] == [26, 26]


def test_a_stale_copy_never_undoes_a_sale(race_url: str, http: httpx.Client, goods: Goods) -> None:
    product = goods.product(stock=40)
    copy = http.get(f"/products/{product}").json()
    edits = [Call("PUT", f"/products/{product}", {**copy, "description": f"text {n}"}) for n in range(20)]
    sales = [Call("POST", "/checkout", goods.cart((product, 1)))] * 20
    outcomes = send_together(race_url, [call for pair in zip(edits, sales, strict=True) for call in pair])
    assert statuses(outcomes[1::2]) == [201] * 20
    assert statuses(outcomes[::2]) in ([409] * 20, [200] + [409] * 19)
    refusals = {outcome.body["detail"] for outcome in outcomes if outcome.status == 409}
    assert refusals == {f"Product {product} has changed since it was read"}
    assert goods.stock(product) == 20


def test_stock_taken_by_hand_and_by_sales(race_url: str, goods: Goods) -> None:
    product = goods.product(stock=10)
    calls = [
        *[Call("POST", f"/products/{product}/stock", {"delta": -1, "reason": "edit"})] * 15,
        *[Call("POST", "/checkout", goods.cart((product, 1)))] * 15,
    ]
    outcomes = send_together(race_url, calls)
    assert sum(outcome.status < 300 for outcome in outcomes) == 10
    assert set(statuses(outcomes)) <= {200, 201, 400}
    assert goods.stock(product) == 0


def test_opposite_orders_of_many_lines_never_deadlock(race_url: str, goods: Goods) -> None:
    """Eight buyers, half of them with their list upside down, 6 400 lines in all."""
    products = [goods.product(stock=1_000) for _ in range(100)]
    cart = goods.cart(*((product, 1) for product in products))
    upside_down = {**cart, "lines": cart["lines"][::-1]}
    rounds = [
        together(
            [lambda: send_together(race_url, [Call("POST", "/checkout", body) for body in [cart, upside_down] * 4])]
        )
        for _ in range(8)
    ]
    outcomes = [outcome for (round_,) in rounds for outcome in round_]
    assert statuses(outcomes) == [201] * 64
    assert {goods.stock(product) for product in products} == {1_000 - 64}
