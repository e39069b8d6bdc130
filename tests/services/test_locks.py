"""A transaction locks each row once, in one order: order, detail, products by id, bill."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.orm import Session

from infrastructure.database.migrations import maintenance_engine
from models.order import OrderStatus
from repositories.checkout import PendingOrder
from repositories.order_detail import OrderDetailRepository
from schemas.checkout import Checkout
from schemas.returns import Return
from schemas.shipment import ShipmentCreate
from security.principal import EVERYBODY
from services.bill import BillService
from services.category import CategoryService
from services.checkout import new_order
from services.checkout_groups import place_in_session
from services.client import ClientService
from services.order import OrderService
from services.order_detail import OrderDetailService
from services.product import ProductService
from services.returns import ReturnService
from services.shipment import ShipmentService
from tests.builders import unique
from tests.repositories.statements import statements_of

pytestmark = pytest.mark.integration

_LOCK = re.compile(r"\nFROM (\w+) .*\bFOR NO KEY UPDATE", re.DOTALL)


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    engine = maintenance_engine(database_url)
    with Session(engine, expire_on_commit=False) as session:
        yield session
    engine.dispose()


class Placed:
    """An order of two products that is stored, and a third product that it has not."""

    def __init__(self, session: Session) -> None:
        category = CategoryService(session).create({"name": unique("Shelf")})
        client = ClientService(session).create({"name": "A", "lastname": "B", "email": f"{unique('a')}@b.example"})
        values = {"price": 2, "stock": 9, "category_id": category.id_key}
        products = [ProductService(session).create({"name": unique("Tea"), **values}) for _ in range(3)]
        self.first, self.second, self.other = (product.id_key for product in products)
        lines = [{"product_id": key, "quantity": 2} for key in (self.second, self.first)]
        asked = {"client_id": client.id_key, "delivery_method": 1, "payment_type": "cash", "lines": lines}
        placed = place_in_session(PendingOrder(new_order(Checkout.model_validate(asked), EVERYBODY)), session).order
        assert placed is not None
        order = OrderService.row_query(placed.id_key, ("id_key", "bill_id"))(session)
        self.order, self.bill = order.id_key, order.bill_id
        details = OrderDetailRepository(session).of_order(order.id_key)
        (self.detail,) = (detail.id_key for detail in details if detail.product_id == self.second)


def create_detail(session: Session, placed: Placed) -> None:
    OrderDetailService(session).create({"order_id": placed.order, "product_id": placed.other, "quantity": 1})


def change_product(session: Session, placed: Placed) -> None:
    OrderDetailService(session).update(placed.detail, {"product_id": placed.other})


def change_quantity(session: Session, placed: Placed) -> None:
    OrderDetailService(session).update(placed.detail, {"quantity": 1})


def delete_detail(session: Session, placed: Placed) -> None:
    OrderDetailService(session).delete(placed.detail)


def delete_order(session: Session, placed: Placed) -> None:
    OrderService(session).delete(placed.order)


def change_bill(session: Session, placed: Placed) -> None:
    BillService(session).update(placed.bill, {"discount": 1})


def cancel(session: Session, placed: Placed) -> None:
    OrderService(session).cancel(placed.order)


def advance(session: Session, placed: Placed) -> None:
    OrderService(session).advance(placed.order)


def return_items(session: Session, placed: Placed) -> None:
    details = OrderDetailRepository(session).of_order(placed.order)
    lines = [{"order_detail_id": detail.id_key, "quantity": 1} for detail in details]
    ReturnService(session).return_items(placed.order, Return.model_validate({"lines": lines}))


def deliver_otherwise(session: Session, placed: Placed) -> None:
    OrderService(session).update(placed.order, {"delivery_method": 2})


def ship(session: Session, placed: Placed) -> dict[str, Any]:
    return ShipmentService(session).ship(placed.order, ShipmentCreate.model_validate({}))


def placed_in(session: Session, status: OrderStatus) -> Placed:
    """An order of this status, in a transaction that is over."""
    placed = Placed(session)
    OrderService(session).move_to(placed.order, status)
    session.commit()
    return placed


def locked_by(session: Session, change: Callable[[], object]) -> list[tuple[str, int]]:
    """The table and the key of each row that `change` locks, in this order, as often as it does."""
    with statements_of(session) as statements:
        change()
    session.rollback()
    found = ((_LOCK.search(statement), parameters) for statement, parameters in statements)
    return [(lock[1], key) for lock, parameters in found if lock is not None for key in parameters["keys"]]


ORDER, DETAIL, BILL = ("orders", "order"), ("order_details", "detail"), ("bills", "bill")
FIRST, SECOND, OTHER = ("products", "first"), ("products", "second"), ("products", "other")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (create_detail, [ORDER, OTHER, BILL]),
        (change_quantity, [ORDER, DETAIL, SECOND, BILL]),
        (change_product, [ORDER, DETAIL, SECOND, OTHER, BILL]),
        (delete_detail, [ORDER, DETAIL, SECOND, BILL]),
        (delete_order, [ORDER, FIRST, SECOND, BILL]),
        (return_items, [ORDER, FIRST, SECOND, BILL]),
        (cancel, [ORDER, FIRST, SECOND, BILL]),
        (advance, [ORDER]),
        (ship, [ORDER]),
        (change_bill, [ORDER, BILL]),
        (deliver_otherwise, [ORDER, BILL]),
    ],
)
def test_each_row_is_locked_once(
    session: Session, change: Callable[[Session, Placed], object], expected: list[tuple[str, str]]
) -> None:
    # Goods come back from an order on its way, and lines change before.
    placed = placed_in(session, OrderStatus.IN_PROGRESS if change is return_items else OrderStatus.PENDING)
    locked = locked_by(session, lambda: change(session, placed))
    assert locked == [(table, getattr(placed, name)) for table, name in expected]


def test_the_last_delivery_locks_the_order_first(session: Session) -> None:
    placed = placed_in(session, OrderStatus.IN_PROGRESS)
    shipment = ship(session, placed)["id_key"]
    session.commit()
    arrival = {"delivered_at": datetime(2100, 1, 1, tzinfo=UTC)}
    locked = locked_by(session, lambda: ShipmentService(session).update(shipment, arrival))
    assert locked == [("orders", placed.order), ("shipments", shipment)]
