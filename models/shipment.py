"""Shipments: the goods of an order on their way to the client, in one parcel or in several."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by
from sqlalchemy.orm import Mapped, column_property, mapped_column

from models.base import Base, Row, list_index, range_index, reference


class Shipment(Row):
    """One parcel. Its lines never change."""

    __tablename__ = "shipments"

    order_id: Mapped[int] = mapped_column(reference("orders.id_key"))
    carrier: Mapped[str | None] = mapped_column(String(100))
    tracking_number: Mapped[str | None] = mapped_column(String(100))
    tracking_url: Mapped[str | None] = mapped_column(String(500))
    shipped_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    # None while it is on its way.
    delivered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint("delivered_at >= shipped_at", name="delivered_after_shipped"),
        list_index("shipments", "created_at"),
        list_index("shipments", "order_id"),
        list_index("shipments", "shipped_at"),
        range_index("shipments", "shipped_at", "shipped_at"),
    )


class ShipmentLine(Base):
    """So many pieces of a line of the order in a shipment."""

    __tablename__ = "shipment_lines"

    shipment_id: Mapped[int] = mapped_column(reference("shipments.id_key", ondelete="CASCADE"))
    order_detail_id: Mapped[int] = mapped_column(reference("order_details.id_key"))
    quantity: Mapped[int] = mapped_column(Integer)

    __table_args__ = (
        PrimaryKeyConstraint("shipment_id", "order_detail_id"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        # What is shipped of a line; and for whoever deletes it.
        Index("ix_shipment_lines_order_detail_id", "order_detail_id"),
    )


def _line() -> Any:
    key, quantity = ShipmentLine.order_detail_id, ShipmentLine.quantity
    pairs: tuple[Any, ...] = (literal_column("'order_detail_id'"), key, literal_column("'quantity'"), quantity)
    return aggregate_order_by(func.jsonb_build_object(*pairs), key)


# The lines as they are shown: a list of objects.
Shipment.lines = column_property(
    select(func.coalesce(func.jsonb_agg(_line()), literal_column("'[]'::jsonb"), type_=JSONB))
    .where(ShipmentLine.shipment_id == Shipment.id_key)
    .correlate_except(ShipmentLine)
    .scalar_subquery(),
    deferred=True,
)
