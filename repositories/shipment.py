"""Queries on shipments and their lines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select

from models import Return, ReturnLine, Shipment, ShipmentLine
from repositories.base import BaseRepository
from repositories.query.filters import by_value
from repositories.query.owned_by_orders import of_clients


class ShipmentRepository(BaseRepository[Shipment]):
    model = Shipment
    ranges = {
        "date_from": Shipment.shipped_at >= bindparam("date_from"),
        "date_to": Shipment.shipped_at <= bindparam("date_to"),
    }
    filters = {**by_value(order_id=Shipment.order_id), **of_clients(Shipment.order_id), **ranges}

    def now(self) -> datetime:
        """The time of this transaction, by the clock of the database."""
        return self.session.scalars(select(func.now())).one()

    def add_lines(self, lines: Sequence[dict[str, Any]]) -> None:
        """Write the lines of shipments."""
        self.session.execute(insert(ShipmentLine), lines)

    def shipped_of(self, order_id: int) -> dict[int, int]:
        """How many pieces of each line of the order were shipped; lines of which none was are left out."""
        found = (
            select(ShipmentLine.order_detail_id, func.sum(ShipmentLine.quantity))
            .join(Shipment, Shipment.id_key == ShipmentLine.shipment_id)
            .where(Shipment.order_id == order_id)
            .group_by(ShipmentLine.order_detail_id)
        )
        return {row[0]: int(row[1]) for row in self.session.execute(found)}

    def come_back_of(self, order_id: int) -> dict[int, int]:
        """How many of these pieces came back, by the key of the line."""
        found = (
            select(ReturnLine.order_detail_id, func.sum(ReturnLine.shipped_quantity))
            .join(Return, Return.id_key == ReturnLine.return_id)
            .where(Return.order_id == order_id)
            .group_by(ReturnLine.order_detail_id)
        )
        return {row[0]: int(row[1]) for row in self.session.execute(found)}

    def out_of(self, order_id: int) -> dict[int, int]:
        """How many shipped pieces of each line are not back; lines of which none was shipped are left out."""
        back = self.come_back_of(order_id)
        return {key: shipped - back.get(key, 0) for key, shipped in self.shipped_of(order_id).items()}

    def all_arrived(self, order_id: int) -> bool:
        """Whether no shipment of the order is on its way."""
        waiting = select(Shipment.id_key).where(Shipment.order_id == order_id, Shipment.delivered_at.is_(None))
        return self.session.scalar(waiting.limit(1)) is None
