"""Rules of shipments: never more than was ordered, and the order moves on with the first and with the last of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from infrastructure.database.datetimes import FarDatetime
from models import Order, Shipment
from models.order import OrderStatus
from repositories.event_writing import Happening, tell
from repositories.order import OrderRepository
from repositories.order_detail import OrderDetailRepository
from repositories.shipment import ShipmentRepository
from schemas.shipment import ShipmentCreate, ShipmentLine, ShipmentRead
from security.principal import EVERYBODY, Principal
from services.base import BaseService
from services.declared_errors import refuses
from services.errors import Conflict, InvalidField, NotFound
from services.integrity import violations_of
from services.order import OrderService
from services.shipment_errors import NothingToShip, ShipmentDelivered, ShipmentExceedsOrder

_SHIPPED, _DELIVERED = "shipped_at", "delivered_at"


class ShipmentService(BaseService[Shipment]):
    """Locks the order, then the shipment: what is shipped of an order changes under the lock of the order."""

    thing, resource = "Shipment", "shipments"
    repository_type = ShipmentRepository

    def __init__(self, session: Session, principal: Principal = EVERYBODY) -> None:
        super().__init__(session, principal)
        self.shipments = ShipmentRepository(session)
        self.orders = OrderService(session, principal)
        self._order: Order | None = None

    def lock(self, row_id: int) -> Shipment:
        """The shipment, locked after its order, which the hooks find in `_order`."""
        found = self.row_query(row_id, ("order_id",), self.owned_by(self.principal))(self.session)
        self._order = self.orders.lock(found.order_id)
        return super().lock(row_id)

    @refuses(NotFound, Conflict, ShipmentExceedsOrder, NothingToShip)
    def ship(self, order_id: int, request: ShipmentCreate) -> dict[str, Any]:
        """The new shipment, as `ShipmentRead` has it. The first one of an order takes it to IN_PROGRESS."""
        order = self.orders.lock(order_id)
        if not order.is_open:
            raise Conflict(f"Order {order_id} is {OrderStatus(order.status).name}: nothing of it can be shipped")
        sent = request.sent()
        lines = _lines(order_id, sent.pop("lines", None), self._left(order_id))
        values = {_SHIPPED: self.shipments.now(), "order_id": order_id, **sent}
        _require_times(values[_SHIPPED], values.get(_DELIVERED))
        if order.status == OrderStatus.PENDING:
            self.orders.update_locked(order, {"status": int(OrderStatus.IN_PROGRESS)})
        with violations_of(values):
            row = self.shipments.add(values)
        self.shipments.add_lines([{"shipment_id": row.id_key, **line} for line in lines])
        shown = {name: getattr(row, name) for name in ShipmentRead.model_fields if name != "lines"} | {"lines": lines}
        self._tell_order(order_id, shown)
        self._deliver(order)
        return shown

    @refuses(ShipmentDelivered)
    def before_update(self, row: Shipment, changes: dict[str, Any]) -> None:
        if _DELIVERED not in changes:
            return
        if row.delivered_at is not None:
            raise ShipmentDelivered(row.id_key)
        _require_times(row.shipped_at, changes[_DELIVERED])

    def tell_change(self, row: Shipment, old: Mapping[str, Any]) -> None:
        """To change a shipment is to change its order, which is delivered with the last of them."""
        self._tell_order(row.order_id, {name: getattr(row, name) for name in ShipmentRead.model_fields})
        if _DELIVERED in old:
            assert self._order is not None
            self._deliver(self._order)

    # -- the order around it -----------------------------------------------------------------------

    def _tell_order(self, order_id: int, shown: Mapping[str, Any]) -> None:
        tell(self.session, OrderRepository.told, [Happening("order.updated", order_id, {"shipment": shown})])

    def _left(self, order_id: int) -> dict[int, int]:
        """How many pieces of each line are left to ship."""
        out = self.shipments.out_of(order_id)
        details = OrderDetailRepository(self.session).of_order(order_id)
        # What was given back is not sent again, whether it had been shipped before or never left.
        return {
            detail.id_key: detail.quantity - detail.returned_quantity - out.get(detail.id_key, 0) for detail in details
        }

    def _deliver(self, order: Order) -> None:
        """Move the order to DELIVERED, if all of it has arrived."""
        if order.status != OrderStatus.IN_PROGRESS or any(self._left(order.id_key).values()):
            return
        if self.shipments.all_arrived(order.id_key):
            self.orders.update_locked(order, {"status": int(OrderStatus.DELIVERED)})


def _lines(order_id: int, asked: Sequence[ShipmentLine] | None, left: Mapping[int, int]) -> list[dict[str, int]]:
    """The lines of the shipment, each once: those that were asked for, or all that is left."""
    if not any(left.values()):
        raise NothingToShip(order_id)
    wanted = Counter({key: quantity for key, quantity in left.items() if quantity > 0} if asked is None else ())
    for line in asked or ():
        if line.order_detail_id not in left:
            raise NotFound("OrderDetail", line.order_detail_id)
        wanted[line.order_detail_id] += line.quantity
    for key, quantity in wanted.items():
        if quantity > left[key]:
            raise ShipmentExceedsOrder(key, quantity, left[key])
    return [{"order_detail_id": key, "quantity": wanted[key]} for key in sorted(wanted)]


def _require_times(shipped_at: datetime, delivered_at: datetime | None) -> None:
    """Raise `InvalidField` for a delivery before the shipment."""
    if delivered_at is None or isinstance(shipped_at, FarDatetime):
        return
    if delivered_at < shipped_at:
        raise InvalidField(("body", _DELIVERED), "must not be before shipped_at")
